"""``POST`` and ``DELETE /api/session``: signing in to the dashboard with a link, and out."""

from __future__ import annotations

import falcon
from pydantic import Field

from api.auth.sessions import SESSION_COOKIE, SESSION_LIFETIME_S, Sessions, require_same_origin
from api.http.json_response import send_document
from api.http.query_parameters import refuse_parameters
from api.http.request import ClientAddresses, Request
from api.http.request_body import Payload, checked_payload, read_object
from api.openapi.bodies import SessionState
from api.problems import Problem, ProblemKind
from core.instants import iso_instant


class SignIn(Payload):
    """The token of a sign-in link."""

    token: str = Field(max_length=200, description="The part of a link of `python -m api sign-in` after the `#`.")


class SessionResource:
    """The session of a person who signs in with a link of ``python -m api sign-in``.

    :param addresses: detects whether the client used TLS, so that its cookie is for TLS only.
    """

    public = True

    def __init__(self, sessions: Sessions, addresses: ClientAddresses) -> None:
        self._sessions = sessions
        self._addresses = addresses

    def on_post(self, req: Request, resp: falcon.Response) -> None:
        """Begin a session, and set its cookie.

        :raises Problem: the request is of another site; the link is not valid.
        """
        refuse_parameters(req.query_string)
        require_same_origin(req)
        begun = self._sessions.begin(checked_payload(read_object(req), SignIn, None).token)
        if begun is None:
            raise Problem(
                ProblemKind.BAD_LINK, "The link was used before, has expired, or is not a link of this server."
            )
        self._set_cookie(req, resp, begun.token, SESSION_LIFETIME_S)
        send_document(resp, SessionState(signed_in=True, expires_at=iso_instant(begun.expires_at_ms)))

    def on_delete(self, req: Request, resp: falcon.Response) -> None:
        """End the session of the cookie, if there is one."""
        refuse_parameters(req.query_string)
        caller = req.context.principal
        if caller is not None and caller.session_id is not None:
            self._sessions.end(caller.session_id)
        self._set_cookie(req, resp, "", 0)
        send_document(resp, SessionState(signed_in=False, expires_at=None))

    def _set_cookie(self, req: Request, resp: falcon.Response, token: str, max_age_s: int) -> None:
        resp.set_cookie(
            SESSION_COOKIE,
            token,
            max_age=max_age_s,
            path="/",
            secure=self._addresses.is_https(req),
            http_only=True,
            same_site="Strict",
        )
