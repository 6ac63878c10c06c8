"""Requests that are sent again because their answer was lost: the header ``Idempotency-Key``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import falcon

from api.auth.principal import Principal
from api.problems import ParameterError, Problem, ProblemKind, bad_parameters
from core.notifications.idempotency import id_of_request
from core.notifications.model import derived_id

HEADER: Final = "Idempotency-Key"
PATTERN: Final = "^[!-~]{1,255}$"

_KEY: Final = re.compile(PATTERN)


@dataclass(frozen=True, slots=True)
class KnownId:
    """The id that belongs to an Idempotency-Key of a tenant.

    :param earlier: under which versions without tenants kept what came with it and the same API key.
    """

    new: str
    earlier: str
    tenant: str

    def current(self, tenant_of: Callable[[str], str | None]) -> str:
        """The id under which is kept what came with it, if anything has, or will be.

        :param tenant_of: whose it is that is kept under an id; None where nothing is.
        """
        return self.earlier if tenant_of(self.earlier) == self.tenant else self.new


def known_id(req: falcon.Request, what: str) -> KnownId | None:
    """The id that belongs to the Idempotency-Key of `req`; None when there is none.

    :param what: is made with it; one key can make one of each. Keys of different tenants never meet.
    :raises Problem: bad parameter: it is not 1 to 255 visible ASCII characters.
    """
    key = req.get_header(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise bad_parameters([ParameterError(HEADER, "must be 1 to 255 visible ASCII characters")])
    caller: Principal = req.context.principal
    return KnownId(
        new=id_of_request(what, caller.tenant, key),
        earlier=derived_id("idempotency", what, caller.key_id or "", key),
        tenant=caller.tenant,
    )


def conflict() -> Problem:
    """The problem of a request with the key of another one."""
    return Problem(ProblemKind.IDEMPOTENCY_CONFLICT, f"This {HEADER} came with another body before.")
