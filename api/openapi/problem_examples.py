"""One request for each kind of problem, with its answer. The tests ask the server each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from api.notifying.listing import PATH as _NOTIFICATIONS
from api.notifying.subscription_list import PATH as _SUBSCRIPTIONS
from api.openapi.notifying_examples import KNOWN_KEY, PENDING_ID
from api.problems import ProblemKind
from api.reading.merchants import PATH as _MERCHANTS
from api.reading.series import PATH as _SUMMARY

_MADE_UP_KEY: Final = "tss_aaaaaaaaaa_" + 43 * "A"
_AS_JSON: Final = (("Content-Type", "application/json"),)


@dataclass(frozen=True, slots=True)
class ProblemExample:
    """A request that is answered with a problem.

    :param detail: the problem's; likewise `errors`.
    :param headers: of the request, beside the key.
    :param sent: its body, or None.
    """

    target: str
    detail: str
    errors: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    sent: dict[str, Any] | None = None


PROBLEMS: Final[Mapping[ProblemKind, ProblemExample]] = MappingProxyType(
    {
        ProblemKind.BAD_PARAMETER: ProblemExample(
            f"{_SUMMARY}?mode=hourly&type=amount&limit=0",
            "Wrong: mode, limit.",
            (
                ("mode", "'hourly' is not one of 'daily', 'weekly' or 'monthly'"),
                ("limit", "'0' is not allowed: it must be at least 1"),
            ),
        ),
        ProblemKind.BAD_REQUEST: ProblemExample(
            f"{_MERCHANTS}?search=%ff", "The query is not UTF-8, percent-encoded, of at most 50 parameters."
        ),
        ProblemKind.NO_KEY: ProblemExample(_MERCHANTS, "The request has no key."),
        ProblemKind.BAD_KEY: ProblemExample(
            _MERCHANTS,
            "The header Authorization holds no valid key.",
            headers=(("Authorization", f"Bearer {_MADE_UP_KEY}"),),
        ),
        ProblemKind.BAD_LINK: ProblemExample(
            "/api/session",
            "The link was used before, has expired, or is not of this server.",
            method="POST",
            headers=(*_AS_JSON, ("Sec-Fetch-Site", "same-origin")),
            sent={"token": _MADE_UP_KEY},
        ),
        ProblemKind.CROSS_SITE: ProblemExample(
            "/api/session",
            "The request did not come from a page of this server.",
            method="POST",
            headers=(*_AS_JSON, ("Sec-Fetch-Site", "cross-site")),
            sent={"token": _MADE_UP_KEY},
        ),
        ProblemKind.OUT_OF_SCOPE: ProblemExample("/api/status", "This needs the scope operate."),
        ProblemKind.UNKNOWN_MERCHANT: ProblemExample(
            f"{_SUMMARY}?mode=daily&type=amount&merchant_id=nobody", "There is no merchant of this merchant_id."
        ),
        ProblemKind.UNKNOWN_NOTIFICATION: ProblemExample(
            f"{_NOTIFICATIONS}/{26 * 'a'}", "There is no notification of this id."
        ),
        ProblemKind.UNKNOWN_SUBSCRIPTION: ProblemExample(
            f"{_SUBSCRIPTIONS}/{26 * 'a'}", "There is no subscription of this id."
        ),
        ProblemKind.NOT_POSSIBLE: ProblemExample(
            f"{_NOTIFICATIONS}/{PENDING_ID}/retry", "Nothing to retry: sms is pending.", method="POST", headers=_AS_JSON
        ),
        ProblemKind.IDEMPOTENCY_CONFLICT: ProblemExample(
            _NOTIFICATIONS,
            "This Idempotency-Key came with another body before.",
            method="POST",
            headers=(*_AS_JSON, ("Idempotency-Key", KNOWN_KEY)),
            sent={"user_id": "sara", "title": "Order 65", "body": "It is late.", "channels": ["sms"]},
        ),
        ProblemKind.NOT_FOUND: ProblemExample("/api/merchant", "GET /api/merchant cannot be answered."),
        ProblemKind.METHOD_NOT_ALLOWED: ProblemExample(
            _MERCHANTS,
            f"DELETE {_MERCHANTS} cannot be answered.",
            method="DELETE",
            headers=_AS_JSON,
        ),
        ProblemKind.STALE_CURSOR: ProblemExample(
            f"{_MERCHANTS}?limit=2&cursor=WyIwLTAiLCIyIiwiYzc4OWI1MjVkZjEwIl0",
            "Something was published since the page before was read.",
        ),
        ProblemKind.BODY_TOO_LARGE: ProblemExample(
            _MERCHANTS, "A body may have 65,536 bytes.", headers=(("Content-Length", "104857600"),)
        ),
        ProblemKind.UNSUPPORTED_MEDIA_TYPE: ProblemExample(
            _MERCHANTS,
            "Without a key, only JSON may be sent.",
            method="POST",
            headers=(("Content-Type", "text/plain"),),
        ),
        ProblemKind.TOO_MANY_REQUESTS: ProblemExample(_MERCHANTS, "The limit is 20 per 1 minute, and it is used up."),
        ProblemKind.INTERNAL_ERROR: ProblemExample(_MERCHANTS, "Something went wrong that should not."),
        ProblemKind.NOT_BUILT_YET: ProblemExample(_MERCHANTS, "Nothing was published yet."),
        ProblemKind.OVERLOADED: ProblemExample(_MERCHANTS, "Too many requests wait for the store."),
        ProblemKind.STORE_UNAVAILABLE: ProblemExample(_MERCHANTS, "The store does not answer at the moment."),
    }
)
"""One request for each kind of problem; some need a server in the state that the problem is about."""
REQUEST_ID: Final = "5f0c7d1e9a3b2468"
"""Of the requests in these examples."""


def problem_body(kind: ProblemKind, example: ProblemExample) -> dict[str, Any]:
    """The body with which `example` is answered."""
    known = kind.value
    body: dict[str, Any] = {
        "type": known.uri,
        "title": known.title,
        "status": known.status,
        "detail": example.detail,
        "hint": known.advice,
        "request_id": REQUEST_ID,
    }
    if example.errors:
        body["errors"] = [{"parameter": parameter, "detail": detail} for parameter, detail in example.errors]
    return body
