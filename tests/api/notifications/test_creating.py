"""Creating a notification: validation, storage, response, and idempotency."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from api_client import Api, add_key, problem, wrong
from examples import NOW_MS
from sending import NEW, NOTIFICATIONS, append_events, send

from core.instants import iso_instant
from core.notifications.events import EventKind
from core.stores import open_stores
from core.stores.api_keys import Scope

pytest_plugins = ["notifications_fixtures"]

_NOW = iso_instant(NOW_MS)


def test_a_notification_is_stored_with_a_pending_delivery_per_channel(api: Api) -> None:
    answer = send(api)

    assert answer.status_code == 201
    reported = answer.json
    assert {name: reported[name] for name in NEW} == NEW
    assert (reported["status"], reported["locale"], reported["created_at"], reported["expires_at"]) == (
        "pending",
        "fa",
        _NOW,
        None,
    )
    assert [(log["channel"], log["status"], log["attempts"], log["history"]) for log in reported["logs"]] == [
        ("sms", "pending", 0, []),
        ("email", "pending", 0, []),
    ]


def test_the_location_header_leads_to_the_notification(api: Api) -> None:
    made = send(api)

    assert made.headers["location"] == f"{NOTIFICATIONS}/{made.json['id']}"
    assert api.ask(made.headers["location"]).json == made.json | {"addresses": {}}


def test_a_notification_is_queued_and_due_for_the_sweep_ten_seconds_later(
    api: Api, url: str, queued: list[str]
) -> None:
    made = send(api).json["id"]

    assert queued == [made]
    with open_stores(url, timeout_s=10) as stores:
        assert stores.notifications.due(NOW_MS + 9_999, 10) == []
        assert stores.notifications.due(NOW_MS + 10_000, 10) == [made]


def test_the_id_of_the_api_key_is_stored(api: Api, url: str) -> None:
    token = add_key(url, [Scope.NOTIFICATIONS])

    made = send(api, key=token).json["id"]

    with open_stores(url, timeout_s=10) as stores:
        stored = stores.notifications.get(made)
        assert stored is not None
        assert stored.notification.sender_key_id == token.split("_")[1]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00.000Z"),
        ("2030-01-01T03:30:00.1234567+03:30", "2030-01-01T00:00:00.123Z"),
        ("9999-12-31T23:59:59.999z", "9999-12-31T23:59:59.999Z"),
        (None, None),
    ],
)
def test_an_expiry_is_stored_as_an_instant_in_utc(api: Api, written: str | None, stored: str | None) -> None:
    made = send(api, body=NEW | {"expires_at": written})

    assert (made.status_code, made.json["expires_at"]) == (201, stored)


@pytest.mark.parametrize(
    ("written", "detail"),
    [
        (_NOW, "is in the past: the message would never be sent"),
        ("0001-01-01T00:00:00+23:59", "is in the past: the message would never be sent"),
        ("9999-12-31T23:59:59-00:01", "is after the year 9999"),
        ("2030-01-01T00:00:00", "must be an instant"),
        ("2030-01-01", "must be an instant"),
        ("1900000000", "must be an instant"),
        ("۲۰۳۰-۰۱-۰۱T00:00:00Z", "must be an instant"),
        ("2030-13-01T00:00:00Z", "Input should be a valid datetime"),
        (1_900_000_000, "must be an instant"),
    ],
)
def test_an_invalid_expiry_is_refused(api: Api, written: Any, detail: str) -> None:
    assert wrong(send(api, body=NEW | {"expires_at": written}))["expires_at"].startswith(detail)


def test_windows_line_ends_are_normalized(api: Api) -> None:
    assert send(api, body=NEW | {"body": "one\r\ntwo"}).json["body"] == "one\ntwo"


def test_persian_text_with_joiners_is_stored_unchanged(api: Api) -> None:
    text = "می‌خواهم ۱۲٬۳۴۵ ریال 🎉"

    assert send(api, body=NEW | {"title": text}).json["title"] == text


def test_a_repeated_idempotency_key_returns_the_first_response(api: Api) -> None:
    first, again = send(api, repeatable="order-1"), send(api, repeatable="order-1")

    assert (again.status_code, again.headers["location"]) == (201, first.headers["location"])
    assert again.json == first.json
    assert len(api.ask(NOTIFICATIONS).json["notifications"]) == 1


def test_an_equivalent_body_matches_the_idempotency_key(api: Api) -> None:
    send(api, body=NEW | {"expires_at": "2030-01-01T00:00:00Z"}, repeatable="order-1")

    again = send(api, body={"expires_at": "2030-01-01T03:30:00+03:30", "locale": "fa", **NEW}, repeatable="order-1")

    assert again.status_code == 201


@pytest.mark.parametrize(
    "change",
    [{"user_id": "reza"}, {"title": "x"}, {"body": "x"}, {"channels": ["email", "sms"]}, {"channels": ["sms"]},
     {"locale": "en"}, {"expires_at": "2030-01-01T00:00:00Z"}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_another_request_with_the_same_idempotency_key_is_refused(api: Api, change: dict[str, Any]) -> None:
    first = send(api, repeatable="order-1")

    assert problem(send(api, body=NEW | change, repeatable="order-1")) == (422, "idempotency-conflict")
    assert api.ask(first.headers["location"]).json == first.json | {"addresses": {}}


def test_an_idempotent_retry_works_after_the_message_has_expired(api: Api) -> None:
    body = NEW | {"expires_at": iso_instant(NOW_MS + 1000)}
    first = send(api, body=body, repeatable="order-1")
    api.clock = lambda: NOW_MS + 2000

    again = send(api, body=body, repeatable="order-1")

    assert (again.status_code, again.json["id"]) == (201, first.json["id"])
    assert wrong(send(api, body=body, repeatable="order-2")) == wrong(send(api, body=body))
    for wrong_too in ({"title": "x"}, {"title": " "}, {"channels": ["fax"]}):
        other = body | wrong_too
        assert wrong(send(api, body=other, repeatable="order-1")) == wrong(send(api, body=other))


def test_an_idempotent_retry_returns_the_current_status_and_queues_open_channels(
    api: Api, url: str, queued: list[str]
) -> None:
    made = send(api, body=NEW | {"channels": ["sms"]}, repeatable="order-1").json["id"]
    append_events(url, made, "sms", EventKind.ATTEMPT, EventKind.SUCCESS, at_ms=NOW_MS)

    again = send(api, body=NEW | {"channels": ["sms"]}, repeatable="order-1")

    assert (again.status_code, again.json["status"]) == (201, "sent")
    assert queued == [made]


def test_idempotency_keys_belong_to_the_tenant_and_not_the_api_key(api: Api, url: str) -> None:
    allowed = [Scope.NOTIFICATIONS]
    tenants: tuple[list[str | None], ...] = (
        [None, add_key(url, allowed)],  # of the operator, once without a key
        [add_key(url, allowed, tenant="acme"), add_key(url, allowed, ["m1"], tenant="acme")],
        [add_key(url, allowed, ["m1", "m2"]), add_key(url, allowed, ["m2", "m1"])],
        [add_key(url, allowed, ["m1"])],
    )
    api.moment.advance()

    made: list[tuple[int, str]] = []
    for number, tokens in enumerate(tenants):
        changed = NEW | {"title": f"of tenant {number}"}
        for token in tokens:
            answer = send(api, body=changed, key=token, repeatable="order-1")
            assert answer.status_code == 201
            made.append((number, answer.json["id"]))

    assert len(set(made)) == len({found for _, found in made}) == len(tenants)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é"])
def test_an_invalid_idempotency_key_is_refused(api: Api, key: str) -> None:
    assert "Idempotency-Key" in wrong(send(api, repeatable=key))


def test_concurrent_requests_with_one_idempotency_key_create_one_notification(store_url: str) -> None:
    open_stores(store_url, timeout_s=10).close()
    apis = [Api(store_url), Api(store_url)]  # two processes, as far as the store can tell

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: send(apis[number % 2], repeatable="order-1"), range(24)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(apis[0].ask(NOTIFICATIONS).json["notifications"]) == 1
