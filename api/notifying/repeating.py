"""Requests that are sent again because their answer was lost: the header ``Idempotency-Key``."""

from __future__ import annotations

import re
from typing import Final

import falcon

from api.access.principal import Principal
from api.notifying.reading import bad_parameters
from api.problems import ParameterError, Problem, ProblemKind
from core.notifications.model import derived_id, new_id

HEADER: Final = "Idempotency-Key"
PATTERN: Final = "^[!-~]{1,255}$"

_KEY: Final = re.compile(PATTERN)


def id_of(req: falcon.Request, what: str) -> str | None:
    """The id that belongs to the Idempotency-Key of `req`; None when there is none.

    :param what: is made with it; one key can make one of each. Keys of different callers never meet.
    :raises Problem: bad parameter: it is not 1 to 255 visible ASCII characters.
    """
    key = req.get_header(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise bad_parameters([ParameterError(HEADER, "must be 1 to 255 visible ASCII characters")])
    caller: Principal = req.context.principal
    return derived_id("idempotency", what, caller.key_id or "", key)


def new_or(known_id: str | None) -> str:
    """`known_id`, or else an id that nothing has had before."""
    return known_id or new_id()


def conflict() -> Problem:
    """The problem of a request with the key of another one."""
    return Problem(ProblemKind.IDEMPOTENCY_CONFLICT, f"This {HEADER} came with another body before.")
