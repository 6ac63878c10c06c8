"""Where pages of notifications and subscriptions begin. They belong to no publication: none of their cursors lapses."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Final

from api.http.pagination import cursor_after, position_in
from api.http.query_parameters import Findings

Place = tuple[int, str]
"""``created_at_ms`` and id of the last one of the page before."""

_VERSION: Final = ""
_POSITION: Final = re.compile(r"([0-9]{1,15})-([a-z2-7]{26})")


def cursor_of(place: Place, query: Hashable) -> str:
    """The cursor of the page of `query` that begins after `place`."""
    created_at_ms, last_id = place
    return cursor_after(f"{created_at_ms}-{last_id}", _VERSION, query)


def place_in(cursor: str, query: Hashable, findings: Findings) -> Place | None:
    """The place that `cursor_of` made `cursor` from; None when it is none of `query`, as `findings` then say.

    :raises Problem: stale cursor: it is one of the summaries.
    """
    position = position_in(cursor, _VERSION, query, findings)
    if position is None:
        return None
    if found := _POSITION.fullmatch(position):
        return int(found[1]), found[2]
    findings.add("cursor", "is not one that the header Link gave")
    return None
