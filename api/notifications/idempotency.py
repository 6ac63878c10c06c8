"""The header ``Idempotency-Key``, for requests that are repeated because the response was lost."""

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

    :param earlier: the id that versions without tenants used for it and the same API key.
    """

    new: str
    earlier: str
    tenant: str

    def current(self, tenant_of: Callable[[str], str | None]) -> str:
        """The id of what the key has created, or will create.

        :param tenant_of: returns the tenant of what is stored under an id; None if nothing is.
        """
        return self.earlier if tenant_of(self.earlier) == self.tenant else self.new


def known_id(req: falcon.Request, what: str) -> KnownId | None:
    """The id that belongs to the Idempotency-Key of `req`; None without the header.

    :param what: the kind of thing; one key can create one of each kind. Keys of different tenants are independent.
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
    """The problem of a key that was used with another body."""
    return Problem(ProblemKind.IDEMPOTENCY_CONFLICT, f"This {HEADER} was used with another body.")
