"""Hooks that make the values of Schemathesis consistent, beyond what the OpenAPI document describes.

Loaded by `st` from ``SCHEMATHESIS_HOOKS``. Only requests that are meant to be accepted are changed.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import schemathesis

from core.calendar import Mode, calendar_named
from core.tenants import OPERATOR

_CALENDAR = calendar_named("jalali")
_FIRST_DAY = _CALENDAR.parse(Mode.DAILY, "1390/01/01").first_day
_DAYS = 20 * 365
_ADDRESSES = {"sms": "09123456789", "email": "sara@example.com", "telegram": "@sara_shop"}


@schemathesis.hook
def map_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> schemathesis.Case[Any]:
    """Make a request that should be accepted consistent with itself and the server."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    if isinstance(case.query, dict):
        _mend_query(case.query, Mode.DAILY if case.operation.path.startswith("/api/notifications") else Mode.MONTHLY)
    if isinstance(case.body, dict):
        _mend_body(case.body)
    return case


def _mend_query(query: dict[str, Any], default: Mode) -> None:
    """Let ``from`` and ``to`` be keys of the mode, or of `default`, ``tenant`` one that there is, and ``bom`` of CSV.

    Cursors are left out.
    """
    query.pop("cursor", None)
    if query.get("format") != "csv":
        query.pop("bom", None)
    if "tenant" in query:
        query["tenant"] = OPERATOR
    mode = Mode(query.get("mode", default))
    given = [name for name in ("from", "to") if name in query]
    days = sorted(_FIRST_DAY + crc32(str(query[name]).encode()) % _DAYS for name in given)
    for name, day in zip(given, days, strict=True):
        query[name] = _CALENDAR.period_of(mode, day).key


def _mend_body(body: dict[str, Any]) -> None:
    """Let channels be those of the settings, addresses be some, and what expires do so in the future.

    A subscription is to one merchant or to all. Cursors are left out.
    """
    if body.get("channels"):
        only_channels = len(body) == 1  # of a notification that may have no others
        body["channels"] = list(_ADDRESSES)[: 1 if only_channels else len(body["channels"])]
    if "modes" in body:
        body["all_merchants"] = not isinstance(body.get("merchant_id"), str)
    body.pop("cursor", None)
    if "contacts" in body:
        body["contacts"] = dict(list(_ADDRESSES.items())[: len(body["contacts"])])
    if body.get("expires_at"):
        body["expires_at"] = "2990-" + body["expires_at"][5:]
