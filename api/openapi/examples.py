"""Requests with the answers they get. The tests ask the server each of them, over a store of a few summaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from api.reading.merchants import PATH as _MERCHANTS
from api.reading.series import PATH as _SUMMARY


@dataclass(frozen=True, slots=True)
class Example:
    """A request, and the body of its answer.

    :param summary: what it shows, a few words.
    :param target: path and query.
    :param body: text, or a JSON document.
    :param sent: the body of the request, or None.
    :param headers: of the request, beside the key and the type of the body.
    """

    summary: str
    target: str
    body: Any
    media_type: str = "application/json"
    method: str = "GET"
    sent: dict[str, Any] | None = None
    headers: tuple[tuple[str, str], ...] = ()


SUMMARY: Final = (
    Example(
        "The days of one merchant",
        f"{_SUMMARY}?mode=daily&type=amount&merchant_id=corner-shop&from=1403/04/04&to=1403/04/06",
        [{"key": "1403/04/04", "value": 120000}, {"key": "1403/04/06", "value": 80000}],
    ),
    Example(
        "Every day, with labels",
        f"{_SUMMARY}?mode=daily&type=amount&merchant_id=corner-shop&from=1403/04/04&fill=zero&locale=fa",
        [
            {"key": "1403/04/04", "value": 120000, "label": "۴ تیر ۱۴۰۳"},
            {"key": "1403/04/05", "value": 0, "label": "۵ تیر ۱۴۰۳"},
            {"key": "1403/04/06", "value": 80000, "label": "۶ تیر ۱۴۰۳"},
        ],
    ),
    Example(
        "The months of all merchants together, as CSV",
        f"{_SUMMARY}?mode=monthly&type=count&locale=en&format=csv",
        "key,value,label\r\n1403/03,5,Khordad 1403\r\n1403/04,11,Tir 1403\r\n",
        "text/csv",
    ),
)

MERCHANTS: Final = (
    Example(
        "The largest two",
        f"{_MERCHANTS}?limit=2",
        {
            "merchants": [
                {"merchant_id": "book-market", "amount": 2500000, "count": 4},
                {"merchant_id": "corner-shop", "amount": 1100000, "count": 6},
            ],
            "total": 3,
        },
    ),
    Example(
        "One month of those with a word in their name",
        f"{_MERCHANTS}?search=tea&from=1403/04&to=1403/04",
        {"merchants": [{"merchant_id": "tea-house", "amount": 60000, "count": 1}], "total": 1},
    ),
)

ME: Final = (
    Example(
        "A program on the server's host, where `API_ACCESS` lets it do without a key",
        "/api/me",
        {
            "open": True,
            "signed_in": False,
            "key": None,
            "scopes": ["notifications", "operate", "summaries"],
            "merchants": [],
            "calendar": "jalali",
            "time_zone": "Asia/Tehran",
            "currency": "IRR",
            "published": {
                "version": "1-1905c922500",
                "published_at": "2024-06-28T02:00:00.000Z",
                "first_day_key": "1403/03/31",
                "last_day_key": "1403/04/06",
                "first_day_date": "2024-06-20",
                "last_day_date": "2024-06-26",
            },
        },
    ),
)

LINK_TOKEN: Final = "tss_abcdefghij_" + 43 * "s"
"""Of a sign-in link that has not been used."""

SIGN_IN: Final = (
    Example(
        "The page of a sign-in link",
        "/api/session",
        {"signed_in": True, "expires_at": "2024-06-28T15:00:00.000Z"},
        method="POST",
        sent={"token": LINK_TOKEN},
        headers=(("Sec-Fetch-Site", "same-origin"),),
    ),
)
SIGN_OUT: Final = (
    Example("A browser without a session", "/api/session", {"signed_in": False, "expires_at": None}, method="DELETE"),
)

STATUS: Final = (
    Example(
        "One document was rejected, and a later run failed",
        "/api/status",
        {
            "state": "degraded",
            "degraded_by": ["rejects"],
            "published": {
                "version": "1-1905c922500",
                "generation": 1,
                "run_id": 1,
                "published_at": "2024-06-28T02:00:00.000Z",
                "as_of": "2024-06-28T01:59:55.000Z",
                "age_s": 3605.0,
                "first_day_key": "1403/03/31",
                "last_day_key": "1403/04/06",
                "summaries": 24,
                "total_amount": 4110000,
                "total_count": 16,
                "calendar": "jalali",
                "time_zone": "Asia/Tehran",
                "zone_rules": None,
                "zone_rules_source": None,
                "zone_rules_agree": None,
                "filters": [],
            },
            "rejects": {"count": 1, "by_reason": {"amount: fraction": 1}},
            "conservation": {
                "read": 17,
                "counted": 16,
                "rejected": 1,
                "filtered": 0,
                "out_of_range": 0,
                "holds": True,
            },
            "warnings": [],
            "last_failure": {
                "run_id": 2,
                "status": "failed",
                "ended_at": "2024-06-28T02:01:01.000Z",
                "error": "cut.archive.gz ends in the middle of a document",
            },
            "running": None,
        },
    ),
)

HEALTH: Final = (Example("The process answers", "/healthz", {"status": "ok"}),)

READY: Final = (Example("With the scope operate", "/readyz", {"status": "ready", "version": "1-1905c922500"}),)
