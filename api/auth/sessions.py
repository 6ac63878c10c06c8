"""Sessions of people who signed in with a link, instead of a key, for the pages of the dashboard.

A link has a token for one use, which ``python -m api sign-in`` creates. The session has the id of the link, so that the
store accepts only the first of two uses. The cookie is ``HttpOnly`` and ``SameSite=Strict``, and a write with it must
come from a page of this server.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import falcon

from api.auth.api_keys import digest_of, id_in, new_token, token_of
from api.auth.lookups import Lookups
from api.auth.principal import Principal
from api.problems import Problem, ProblemKind
from core.stores import Stores
from core.stores.api_keys import Scope
from core.stores.sessions import Session, SessionStore
from core.tenants import OPERATOR

SESSION_COOKIE: Final = "tss_session"  # unique, because cookies are shared by all ports of a host
LINK_LIFETIME_S: Final = 600
SESSION_LIFETIME_S: Final = 12 * 3600

_OF_LINK: Final = "link:"


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that has begun.

    :param token: the value of the cookie.
    :param expires_at_ms: milliseconds since 1970 UTC.
    """

    token: str
    expires_at_ms: int


def new_link_token(sessions: SessionStore, now_ms: int) -> str:
    """The token of a new link, which is valid for `LINK_LIFETIME_S`; expired links and sessions are removed.

    :raises StoreUnavailable: the store could not be written.
    """
    sessions.prune(now_ms)
    link_id, token = new_token()
    sessions.add(Session(_OF_LINK + link_id, digest_of(token), now_ms, now_ms + LINK_LIFETIME_S * 1000))
    return token


class Sessions(Lookups[Session]):
    """Begins, finds and ends sessions.

    A sign-out takes effect in this process at once, and in others when they read the session again.
    """

    def _row(self, stores: Stores, row_id: str) -> Session | None:
        return stores.sessions.get(row_id)

    def _row_ids(self, stores: Stores) -> frozenset[str]:
        return stores.sessions.valid_ids(self._clock())

    def begin(self, link_token: str) -> Begun | None:
        """A new session for the link; or None if it was used, has expired, or does not exist. Blocks.

        :raises StoreError: the store does not answer, or could not be written.
        """
        link_id, now_ms = id_in(link_token), self._clock()
        link = None if link_id is None else self._read(_OF_LINK + link_id)
        if link_id is None or link is None or not _is_of(link, link_token, now_ms):
            return None
        token = token_of(link_id)
        session = Session(link_id, digest_of(token), now_ms, now_ms + SESSION_LIFETIME_S * 1000)
        if not self._access.call(lambda stores: stores.sessions.add(session)):
            return None
        self.forget(link_id)
        return Begun(token, session.expires_at_ms)

    async def find(
        self, token: str, may_guess: Callable[[], Awaitable[bool]], *, stale_s: float = 0.0
    ) -> Principal | None:
        """The person with `token` as cookie, or None if it belongs to no valid session.

        :param may_guess: see `Lookups.get`; likewise `stale_s`.
        :raises StoreUnavailable: the store does not answer.
        """
        session_id = id_in(token)
        session = None if session_id is None else await self.get(session_id, may_guess, stale_s=stale_s)
        if session is None or not _is_of(session, token, self._clock()):
            return None
        return Principal(None, "signed in", frozenset(Scope), frozenset(), OPERATOR, session.id)

    def end(self, session_id: str) -> None:
        """End a session. Blocks.

        :raises StoreError: the store could not be written.
        """
        self._access.call(lambda stores: stores.sessions.end(session_id, self._clock()))
        self.forget(session_id)


def require_same_origin(req: falcon.Request) -> None:
    """Check that a page of this server sent the request: browsers may add the cookie to requests of other sites.

    Browsers send ``Sec-Fetch-Site``, which a page cannot set, or, without TLS, ``Origin`` only.

    :raises Problem: it came from another site, or that is not known.
    """
    site = req.get_header("Sec-Fetch-Site")
    if site == "same-origin":
        return
    origin = req.get_header("Origin")
    if site is None and origin is not None and origin.partition("://")[1:] == ("://", req.get_header("Host")):
        return
    raise Problem(ProblemKind.CROSS_SITE, "The request did not come from a page of this server.")


def _is_of(session: Session, token: str, now_ms: int) -> bool:
    return hmac.compare_digest(digest_of(token), session.digest) and session.is_valid(now_ms)
