"""Bulk retry, ``POST /api/notifications/retry``: filters, pagination, scopes and tenants."""

from __future__ import annotations

from typing import Any

import pytest
from api_client import Api, add_key, problem, wrong
from examples import NOW_MS
from sending import NOTIFICATIONS, append_events, made, send

from core.instants import iso_instant
from core.notifications.events import EventKind
from core.notifications.model import Notification, derived_id
from core.stores import open_stores
from core.stores.api_keys import Scope

pytest_plugins = ["notifications_fixtures"]

RETRY = f"{NOTIFICATIONS}/retry"
_ATTEMPT, _DEAD, _UNKNOWN, _PRINTED = EventKind.ATTEMPT, EventKind.DEAD, EventKind.UNKNOWN, EventKind.PRINTED
_SECOND_MS = 1000


@pytest.fixture
def ids(api: Api, url: str, queued: list[str]) -> list[str]:
    """Five notifications, created a second apart, whose SMS are dead and e-mails unknown."""
    found = []
    for number in range(5):
        api.clock = lambda number=number: NOW_MS + number * _SECOND_MS  # type: ignore[misc]
        found.append(made(api))
        for channel, end in (("sms", _DEAD), ("email", _UNKNOWN)):
            append_events(url, found[-1], channel, _ATTEMPT, end, at_ms=NOW_MS)
    queued.clear()
    return found


def _retry(api: Api, query: str = "", *, key: str | None = None, **body: Any) -> Any:
    answer = send(api, RETRY, body, query, key=key)
    assert answer.status_code == 200, answer.text
    return answer.json


def _statuses(api: Api, notification_id: str) -> list[str]:
    return [log["status"] for log in api.ask(f"{NOTIFICATIONS}/{notification_id}").json["logs"]]


def test_a_bulk_retry_queues_and_counts_messages_of_one_status(api: Api, ids: list[str], queued: list[str]) -> None:
    assert _retry(api, statuses=["printed"]) == {"notifications": 0, "messages": 0, "expired": 0, "next_cursor": None}
    assert _retry(api, statuses=["dead"]) == {"notifications": 5, "messages": 5, "expired": 0, "next_cursor": None}
    assert queued == ids[::-1]
    assert {tuple(_statuses(api, one)) for one in ids} == {("pending", "unknown")}
    assert _retry(api, statuses=["dead", "unknown"])["messages"] == 5
    assert _retry(api, statuses=["dead", "unknown"])["messages"] == 0


def test_a_bulk_retry_can_be_limited_by_channel_and_interval(api: Api, ids: list[str]) -> None:
    interval = {
        "created_from": iso_instant(NOW_MS + _SECOND_MS),
        "created_before": "2024-06-24T15:30:03+03:30",  # three seconds after the first
    }
    assert _retry(api, statuses=["dead", "unknown"], channels=["email"], **interval)["messages"] == 2
    assert [_statuses(api, one) for one in ids] == [
        ["dead", "unknown"],
        ["dead", "pending"],
        ["dead", "pending"],
        ["dead", "unknown"],
        ["dead", "unknown"],
    ]
    assert _retry(api, statuses=["dead"], channels=["fax"])["notifications"] == 0


def test_a_bulk_retry_can_be_limited_to_a_user_bound_to_the_cursor(api: Api, ids: list[str], url: str) -> None:
    other = made(api, user_id="رضا")
    append_events(url, other, "sms", _ATTEMPT, _DEAD, at_ms=NOW_MS)
    assert _retry(api, statuses=["dead"], user_id="nobody")["messages"] == 0
    assert _retry(api, statuses=["dead"], user_id="رضا")["messages"] == 1
    reported = _retry(api, statuses=["dead"], user_id="sara", limit=2)
    assert (reported["messages"], _statuses(api, other)[0]) == (2, "pending")
    body = {"statuses": ["dead"], "limit": 2, "cursor": reported["next_cursor"]}
    assert set(wrong(send(api, RETRY, body))) == {"cursor"}
    assert _retry(api, **body, user_id="sara")["messages"] == 2


def test_a_page_of_a_bulk_retry_is_bounded_and_skips_expired_messages(api: Api, ids: list[str], url: str) -> None:
    api.clock = lambda: NOW_MS + 10 * _SECOND_MS
    expiring = made(api, expires_at=iso_instant(NOW_MS + 20 * _SECOND_MS))
    append_events(url, expiring, "sms", _ATTEMPT, _DEAD, at_ms=NOW_MS)
    api.clock = lambda: NOW_MS + 30 * _SECOND_MS
    requested: dict[str, Any] = {"statuses": ["dead"], "limit": 2}
    reported = []
    while True:
        reported.append(_retry(api, **requested))
        if (cursor := reported[-1]["next_cursor"]) is None:
            break
        requested["cursor"] = cursor
    assert [(page["notifications"], page["expired"]) for page in reported] == [(1, 1), (2, 0), (2, 0), (0, 0)]
    assert _statuses(api, expiring)[0] == "dead"
    assert set(wrong(send(api, RETRY, {"statuses": ["unknown"], "limit": 2, "cursor": requested["cursor"]}))) == {
        "cursor"
    }


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, "statuses"),
        ({"statuses": []}, "statuses"),
        ({"statuses": ["dead", "dead"]}, "statuses"),
        ({"statuses": ["success", 1]}, "statuses.0 statuses.1"),
        ({"statuses": ["dead"], "channels": []}, "channels"),
        ({"statuses": ["dead"], "channels": ["sms", "x" * 65]}, "channels"),
        ({"statuses": ["dead"], "channels": ["x" * 10_000]}, "channels"),
        ({"statuses": ["dead"], "channels": ["sms\0"]}, "channels"),
        ({"statuses": ["dead"], "channels": ["sms\n"]}, "channels"),
        ({"statuses": ["dead"], "channels": ["(a|b)*"]}, "channels"),
        ({"statuses": ["dead"], "created_from": "2024-06-24", "created_before": 1}, "created_from created_before"),
        ({"statuses": ["dead"], "limit": 0, "cursor": "", "x": 1}, "limit cursor x"),
        ({"statuses": ["dead"], "limit": 1001, "user_id": ""}, "limit user_id"),
        ({"statuses": ["dead"], "limit": "5"}, "limit"),
        ({"statuses": ["dead"], "cursor": "x"}, "cursor"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_filter_is_refused_and_nothing_is_retried(
    api: Api, ids: list[str], queued: list[str], body: dict[str, Any], names: str
) -> None:
    assert set(wrong(send(api, RETRY, body))) == set(names.split())
    assert queued == []


def test_a_bulk_retry_needs_a_body_and_the_scope(api: Api, url: str) -> None:
    assert problem(api.ask(RETRY, method="POST", key=add_key(url, [Scope.NOTIFICATIONS]))) == (
        415,
        "unsupported-media-type",
    )
    refused = send(api, RETRY, {"statuses": ["dead"]}, key=add_key(url, [Scope.SUMMARIES]))
    assert problem(refused) == (403, "out-of-scope")


def test_a_bulk_retry_excludes_other_tenants_and_merchants(api: Api, url: str) -> None:
    token = add_key(url, [Scope.NOTIFICATIONS], ["tea-house"], tenant="acme")
    add_key(url, [Scope.NOTIFICATIONS], tenant="other")
    with open_stores(url, timeout_s=10) as stores:
        for number, (tenant, merchant_id) in enumerate(
            (("acme", None), ("acme", "tea-house"), ("acme", "book-market"), ("other", None), ("operator", None))
        ):
            one = Notification(
                derived_id(str(number)), "sara", "title", "body", ("sms",), "en", NOW_MS,
                announces=merchant_id is not None, merchant_id=merchant_id, tenant=tenant,
            )  # fmt: skip
            stores.notifications.add(one, NOW_MS)
    for number in range(5):
        append_events(url, derived_id(str(number)), "sms", _ATTEMPT, _PRINTED, at_ms=NOW_MS)

    assert problem(send(api, RETRY, {"statuses": ["printed"]}, "tenant=other", key=token)) == (403, "out-of-scope")
    assert _retry(api, key=token, statuses=["printed"])["notifications"] == 2
    assert _retry(api, "tenant=other", statuses=["printed"])["notifications"] == 1
    assert set(wrong(send(api, RETRY, {"statuses": ["printed"]}, "tenant=x"))) == {"tenant"}
    assert _retry(api, statuses=["printed"])["notifications"] == 2
