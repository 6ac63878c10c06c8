"""Pagination by cursors. A cursor has the position of the next page, the published version, and a digest of the query.

Pages of notifications and subscriptions belong to no publication: their cursors do not expire.
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

NOT_GIVEN: Final = "is not the cursor of a previous page"
"""The error of a cursor that this API did not make."""

PageLimit = Annotated[WholeNumber, Field(ge=1, le=1000, description="The number of entries in a page.")]
PageCursor = Annotated[str | None, Field(min_length=1, description="`next_cursor` of the previous page.")]

_DIGEST_BYTES: Final = 6


def cursor_after(position: str, version: str, query: Hashable) -> str:
    """The cursor of the page that begins after `position`.

    :param position: the position of the last entry of the page before.
    :param version: the published version of that page.
    :param query: the query without its cursor; its `repr` must be unique.
    """
    content = orjson.dumps([version, position, _digest(query)])
    return base64.urlsafe_b64encode(content).decode("ascii").rstrip("=")


def position_in(cursor: str, version: str, query: Hashable, findings: Findings) -> str | None:
    """The position in `cursor`; None, with an error in `findings`, if it is not a cursor of `query`.

    :raises Problem: stale cursor: the published version of the page before is no longer current.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        of_version, position, digest = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError):
        findings.add("cursor", NOT_GIVEN)
        return None
    if digest != _digest(query) or not isinstance(position, str):
        findings.add("cursor", "belongs to another query; the other parameters must not change")
        return None
    if of_version != version:
        raise Problem(
            ProblemKind.STALE_CURSOR,
            "Summaries were published, or names of merchants changed, since the previous page was read.",
        )
    return position


def page_address(path: str, parameters: Mapping[str, Any]) -> str:
    """The address of a page: `path` with those `parameters` that are not None; a sequence repeats its name."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True)}"


def _digest(query: Hashable) -> str:
    return hashlib.blake2b(repr(query).encode(), digest_size=_DIGEST_BYTES).hexdigest()


Place = tuple[int, str]
"""``created_at_ms`` and id of the last entry of the page before."""

NO_VERSION: Final = ""
"""The version in cursors of pages that belong to no publication."""
_POSITION: Final = re.compile(r"([0-9]{1,15})-([a-z2-7]{26})")


def cursor_of(place: Place, query: Hashable) -> str:
    """The cursor of the page of `query` that begins after `place`."""
    created_at_ms, last_id = place
    return cursor_after(f"{created_at_ms}-{last_id}", NO_VERSION, query)


def place_in(cursor: str, query: Hashable, findings: Findings) -> Place | None:
    """The place in `cursor`; None, with an error in `findings`, if it is not a cursor of `query`.

    :raises Problem: stale cursor: it is a cursor of summaries.
    """
    position = position_in(cursor, NO_VERSION, query, findings)
    if position is None:
        return None
    if found := _POSITION.fullmatch(position):
        return int(found[1]), found[2]
    findings.add("cursor", NOT_GIVEN)
    return None
