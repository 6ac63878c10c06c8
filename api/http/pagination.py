"""Pagination by cursors, which name where the next page begins, in which published state, and of which query.

Pages of notifications and subscriptions belong to no publication: none of their cursors expires.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Hashable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import orjson
from pydantic import Field

from api.http.query_parameters import Findings, WholeNumber
from api.problems import Problem, ProblemKind

NOT_GIVEN: Final = "is not one that a page before gave"
"""What is wrong with a cursor that this API never made."""

PageLimit = Annotated[WholeNumber, Field(ge=1, le=1000, description="The number of entries in a page.")]
PageCursor = Annotated[
    str | None, Field(min_length=1, description="The start of a page: `next_cursor` of the page before.")
]

_DIGEST_BYTES: Final = 6


def cursor_after(position: str, version: str, query: Hashable) -> str:
    """The cursor of the page that begins after `position`.

    :param position: what the page before ended with.
    :param version: the published state that it was read from.
    :param query: the query without its cursor; its `repr` tells it from others.
    """
    content = orjson.dumps([version, position, _digest(query)])
    return base64.urlsafe_b64encode(content).decode("ascii").rstrip("=")


def position_in(cursor: str, version: str, query: Hashable, findings: Findings) -> str | None:
    """The position that `cursor_after` made `cursor` from; None when it is none of this query, as `findings` then say.

    :raises Problem: stale cursor: the published state of the page before is no longer current.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        of_version, position, digest = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError):
        findings.add("cursor", NOT_GIVEN)
        return None
    if digest != _digest(query) or not isinstance(position, str):
        findings.add("cursor", "is of another query; the other parameters must stay as they were")
        return None
    if of_version != version:
        raise Problem(
            ProblemKind.STALE_CURSOR,
            "Summaries were published, or names of merchants changed, since the page before was read.",
        )
    return position


def page_address(path: str, parameters: Mapping[str, Any]) -> str:
    """The address of a page: `path` with those `parameters` that are not None; a sequence repeats its name."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True)}"


def _digest(query: Hashable) -> str:
    return hashlib.blake2b(repr(query).encode(), digest_size=_DIGEST_BYTES).hexdigest()


Place = tuple[int, str]
"""``created_at_ms`` and id of the last one of the page before."""

NO_VERSION: Final = ""
"""What the cursors have of pages that belong to no publication."""
_POSITION: Final = re.compile(r"([0-9]{1,15})-([a-z2-7]{26})")


def cursor_of(place: Place, query: Hashable) -> str:
    """The cursor of the page of `query` that begins after `place`."""
    created_at_ms, last_id = place
    return cursor_after(f"{created_at_ms}-{last_id}", NO_VERSION, query)


def place_in(cursor: str, query: Hashable, findings: Findings) -> Place | None:
    """The place that `cursor_of` made `cursor` from; None when it is none of `query`, as `findings` then say.

    :raises Problem: stale cursor: it is one of the summaries.
    """
    position = position_in(cursor, NO_VERSION, query, findings)
    if position is None:
        return None
    if found := _POSITION.fullmatch(position):
        return int(found[1]), found[2]
    findings.add("cursor", NOT_GIVEN)
    return None
