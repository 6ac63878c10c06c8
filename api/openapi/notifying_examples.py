"""Requests about notifications with the answers they get: see `api.openapi.examples`."""

from __future__ import annotations

from typing import Any, Final

from api.notifying.listing import PATH as _NOTIFICATIONS
from api.notifying.subscription_list import PATH as _SUBSCRIPTIONS
from api.openapi.examples import Example

FAILED_ID: Final = "bl3242i67mrn3pykcbnxtwocpq"
"""In the store of the examples: one that went out over SMS, and not by e-mail."""
KNOWN_KEY: Final = "order-63"
PENDING_ID: Final = "wltizeoegbkwyb4kr634u5cuq4"
"""Likewise one that is not sent yet, and came with the Idempotency-Key `KNOWN_KEY`."""
SUBSCRIPTION_ID: Final = "o6u24tp4vhtzjgmcowk6ts5ol4"
"""Likewise a subscription."""
CONTACTS_PATH: Final = "/api/users/sara/contacts"

_CONTACTS: Final = {"sms": "+989121234567", "email": "sara@example.com"}
_BOUNCED: Final = "550 5.1.1 there is no such mailbox"
_FAILED: Final[dict[str, Any]] = {
    "id": FAILED_ID,
    "user_id": "sara",
    "title": "Order 64",
    "body": "It is on its way.",
    "channels": ["sms", "email"],
    "locale": "en",
    "status": "failed",
    "created_at": "2024-06-28T02:50:00.000Z",
    "expires_at": None,
}


def _event(number: int, kind: str, at: str, **rest: str) -> dict[str, Any]:
    return {
        "number": number,
        "kind": kind,
        "at": at,
        "until": None,
        "error": None,
        "reference": None,
        "sender": None,
        **rest,
    }


def _attempt(sender: str) -> dict[str, Any]:
    return _event(1, "attempt", "2024-06-28T02:50:01.000Z", until="2024-06-28T02:52:01.000Z", sender=sender)


_SENT_LOG: Final[dict[str, Any]] = {
    "id": f"{FAILED_ID}:sms",
    "channel": "sms",
    "status": "success",
    "attempts": 1,
    "last_attempt_at": "2024-06-28T02:50:01.000Z",
    "error_message": None,
    "reference": "8792343",
    "due_at": None,
    "cancelling": False,
    "finished_at": "2024-06-28T02:50:02.000Z",
    "history": [
        _attempt("kavenegar"),
        _event(2, "success", "2024-06-28T02:50:02.000Z", reference="8792343"),
    ],
}
_DEAD_LOG: Final[dict[str, Any]] = _SENT_LOG | {
    "id": f"{FAILED_ID}:email",
    "channel": "email",
    "status": "dead",
    "error_message": _BOUNCED,
    "reference": None,
    "history": [
        _attempt("smtp"),
        _event(2, "dead", "2024-06-28T02:50:02.000Z", error=_BOUNCED),
    ],
}
_RETRIED_LOG: Final[dict[str, Any]] = _DEAD_LOG | {
    "status": "pending",
    "error_message": None,
    "due_at": "2024-06-28T03:00:00.000Z",
    "finished_at": None,
    "history": [
        *_DEAD_LOG["history"],
        _event(3, "retry", "2024-06-28T03:00:00.000Z"),
    ],
}
_PENDING_LOG: Final[dict[str, Any]] = {
    "channel": "sms",
    "status": "pending",
    "attempts": 0,
    "last_attempt_at": None,
    "error_message": None,
    "reference": None,
    "due_at": "2024-06-28T03:00:00.000Z",
    "cancelling": False,
    "finished_at": None,
    "history": [],
}
_NEW: Final[dict[str, Any]] = {
    "user_id": "sara",
    "title": "سفارش ۶۶",
    "body": "سفارش شما فرستاده شد.",
    "channels": ["sms"],
    "expires_at": "2024-06-28T18:00:00+03:30",
}
_NEW_ID: Final = "sf22qjn2rv72lksueflwqwr7sq"
_NEW_SUBSCRIPTION: Final[dict[str, Any]] = {
    "user_id": "sara",
    "merchant_id": "corner-shop",
    "modes": ["daily", "monthly"],
    "channels": ["sms"],
}
_SUBSCRIPTION: Final[dict[str, Any]] = {
    "id": SUBSCRIPTION_ID,
    "user_id": "sara",
    "merchant_id": "tea-house",
    "modes": ["weekly"],
    "channels": ["email"],
    "locale": "fa",
    "created_at": "2024-06-28T02:50:00.000Z",
    "ended_at": None,
}

NEW: Final = (
    Example(
        "An SMS that is of no use after some hours",
        _NOTIFICATIONS,
        {
            "id": _NEW_ID,
            **_NEW,
            "locale": "fa",
            "status": "pending",
            "created_at": "2024-06-28T03:00:00.000Z",
            "expires_at": "2024-06-28T14:30:00.000Z",
            "logs": [{"id": f"{_NEW_ID}:sms", **_PENDING_LOG}],
        },
        method="POST",
        sent=_NEW,
        headers=(("Idempotency-Key", "order-66"),),
    ),
)
LIST: Final = (
    Example("What did not reach a user", f"{_NOTIFICATIONS}?user_id=sara&status=failed", {"notifications": [_FAILED]}),
)
ONE: Final = (
    Example(
        "The SMS was sent, the e-mail was not",
        f"{_NOTIFICATIONS}/{FAILED_ID}",
        {**_FAILED, "logs": [_SENT_LOG, _DEAD_LOG]},
    ),
)
RETRY: Final = (
    Example(
        "Only the e-mail is sent again",
        f"{_NOTIFICATIONS}/{FAILED_ID}/retry",
        {**_FAILED, "status": "pending", "logs": [_SENT_LOG, _RETRIED_LOG]},
        method="POST",
        sent={"channels": ["email"]},
    ),
)
CANCEL: Final = (
    Example(
        "It was not sent yet",
        f"{_NOTIFICATIONS}/{PENDING_ID}/cancel",
        {
            "id": PENDING_ID,
            "user_id": "reza",
            "title": "Order 63",
            "body": "It is on its way.",
            "channels": ["sms"],
            "locale": "en",
            "status": "cancelled",
            "created_at": "2024-06-28T02:50:00.000Z",
            "expires_at": None,
            "logs": [
                {
                    "id": f"{PENDING_ID}:sms",
                    **_PENDING_LOG,
                    "status": "cancelled",
                    "due_at": None,
                    "finished_at": "2024-06-28T03:00:00.000Z",
                    "history": [_event(1, "cancel", "2024-06-28T03:00:00.000Z")],
                }
            ],
        },
        method="POST",
        sent={},
    ),
)
CONTACTS: Final = (Example("Where a user is reached", CONTACTS_PATH, {"user_id": "sara", "contacts": _CONTACTS}),)
NEW_CONTACTS: Final = (
    Example(
        "A phone number as people write it",
        CONTACTS_PATH,
        {"user_id": "sara", "contacts": {"sms": "+989127654321"}},
        method="PUT",
        sent={"contacts": {"sms": "۰۹۱۲ ۷۶۵ ۴۳۲۱"}},
    ),
)
NEW_SUBSCRIPTION: Final = (
    Example(
        "The days and months of one merchant",
        _SUBSCRIPTIONS,
        {
            "id": "3qkf2ac42rfjrwknxsmw5tohqq",
            **_NEW_SUBSCRIPTION,
            "locale": "fa",
            "created_at": "2024-06-28T03:00:00.000Z",
            "ended_at": None,
        },
        method="POST",
        sent=_NEW_SUBSCRIPTION,
        headers=(("Idempotency-Key", "sara-daily"),),
    ),
)
SUBSCRIPTIONS: Final = (
    Example("What a user is told of", f"{_SUBSCRIPTIONS}?user_id=sara", {"subscriptions": [_SUBSCRIPTION]}),
)
SUBSCRIPTION: Final = (Example("One of them", f"{_SUBSCRIPTIONS}/{SUBSCRIPTION_ID}", _SUBSCRIPTION),)
END: Final = (
    Example(
        "Its end",
        f"{_SUBSCRIPTIONS}/{SUBSCRIPTION_ID}",
        _SUBSCRIPTION | {"ended_at": "2024-06-28T03:00:00.000Z"},
        method="DELETE",
        sent={},
    ),
)
