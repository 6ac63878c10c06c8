"""The status and delivery events of a notification, and its retry and cancel actions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from api_client import Api, document, problem, wrong
from examples import NOW_MS
from sending import NEW, NOTIFICATIONS, append_events, made, send

from core.instants import iso_instant
from core.notifications.events import EventKind
from core.stores import open_stores

pytest_plugins = ["notifications_fixtures"]

_ATTEMPT, _FAILED, _DEAD = EventKind.ATTEMPT, EventKind.FAILED, EventKind.DEAD
_UNKNOWN, _SUCCESS, _PRINTED = EventKind.UNKNOWN, EventKind.SUCCESS, EventKind.PRINTED


def _one(api: Api, notification_id: str) -> dict[str, Any]:
    answer = api.ask(f"{NOTIFICATIONS}/{notification_id}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json
    return found


def _statuses(reported: dict[str, Any]) -> dict[str, str]:
    return {log["channel"]: log["status"] for log in reported["logs"]}


def _ids(api: Api, query: str = "") -> list[str]:
    return [reported["id"] for reported in api.ask(NOTIFICATIONS, query).json["notifications"]]


def test_the_delivery_events_of_a_channel_are_returned(api: Api, url: str) -> None:
    notification_id = made(api)
    append_events(url, notification_id, "sms", _ATTEMPT, _FAILED, at_ms=NOW_MS + 1)

    log = _one(api, notification_id)["logs"][0]

    at, until = iso_instant(NOW_MS + 1), iso_instant(NOW_MS + 120_001)
    assert log == {
        "id": f"{notification_id}:sms",
        "channel": "sms",
        "status": "retrying",
        "attempts": 1,
        "last_attempt_at": at,
        "error_message": "the gateway says no",
        "reference": None,
        "due_at": until,
        "cancelling": False,
        "finished_at": None,
        "history": [
            {
                "number": 1,
                "kind": "attempt",
                "at": at,
                "until": until,
                "error": None,
                "reference": None,
                "sender": "kavenegar",
            },
            {
                "number": 2,
                "kind": "failed",
                "at": at,
                "until": until,
                "error": "the gateway says no",
                "reference": None,
                "sender": None,
            },
        ],
    }


@pytest.mark.parametrize(
    ("of_sms", "of_email", "status"),
    [
        ((_ATTEMPT, _SUCCESS), (), "pending"),
        ((_ATTEMPT, _SUCCESS), (_ATTEMPT, _SUCCESS), "sent"),
        ((_ATTEMPT, _SUCCESS), (_ATTEMPT, _PRINTED), "printed"),
        ((_ATTEMPT, _SUCCESS), (_ATTEMPT, _DEAD), "failed"),
        ((_ATTEMPT, _UNKNOWN), (_ATTEMPT, _SUCCESS), "failed"),
        ((EventKind.CANCEL,), (EventKind.CANCEL,), "cancelled"),
    ],
)
def test_the_status_follows_from_the_deliveries_in_lists_too(
    api: Api, url: str, of_sms: tuple[EventKind, ...], of_email: tuple[EventKind, ...], status: str
) -> None:
    notification_id = made(api)
    append_events(url, notification_id, "sms", *of_sms, at_ms=NOW_MS)
    append_events(url, notification_id, "email", *of_email, at_ms=NOW_MS)

    assert _one(api, notification_id)["status"] == status
    assert _ids(api, f"status={status}") == [notification_id]


@pytest.mark.parametrize("notification_id", ["a" * 26, "x", "%00", "é", "a" * 2000, "..", "sms:1"])
def test_an_unknown_notification_id_is_not_found(api: Api, notification_id: str) -> None:
    assert problem(api.ask(f"{NOTIFICATIONS}/{notification_id}")) == (404, "unknown-notification")
    for action in ("retry", "cancel"):
        answer = send(api, f"{NOTIFICATIONS}/{notification_id}/{action}", {})
        assert problem(answer) == (404, "unknown-notification")


@pytest.mark.parametrize("outcome", [_DEAD, _UNKNOWN, _PRINTED])
def test_a_retry_queues_dead_unknown_and_printed_channels(
    api: Api, url: str, queued: list[str], outcome: EventKind
) -> None:
    notification_id = made(api)
    append_events(url, notification_id, "sms", _ATTEMPT, outcome, at_ms=NOW_MS)
    queued.clear()

    reported = send(api, f"{NOTIFICATIONS}/{notification_id}/retry", b"").json

    assert _statuses(reported) == {"sms": "pending", "email": "pending"}
    assert [event["kind"] for event in reported["logs"][0]["history"]] == ["attempt", outcome, "retry"]
    assert queued == [notification_id]
    with open_stores(url, timeout_s=10) as stores:
        assert stores.notifications.due(NOW_MS, 10) == [notification_id]


def test_a_retry_can_be_limited_to_some_channels(api: Api, url: str) -> None:
    notification_id = made(api)
    for channel in ("sms", "email"):
        append_events(url, notification_id, channel, _ATTEMPT, _DEAD, at_ms=NOW_MS)

    reported = send(api, f"{NOTIFICATIONS}/{notification_id}/retry", {"channels": ["email"]}).json

    assert _statuses(reported) == {"sms": "dead", "email": "pending"}


@pytest.mark.parametrize("kinds", [(), (_ATTEMPT,), (_ATTEMPT, _FAILED), (_ATTEMPT, _SUCCESS), (EventKind.CANCEL,)])
def test_open_sent_and_cancelled_channels_cannot_be_retried(
    api: Api, url: str, queued: list[str], kinds: tuple[EventKind, ...]
) -> None:
    notification_id = made(api, channels=["sms"])
    append_events(url, notification_id, "sms", *kinds, at_ms=NOW_MS)
    queued.clear()

    answer = send(api, f"{NOTIFICATIONS}/{notification_id}/retry", {})

    assert problem(answer) == (409, "not-possible")
    assert document(answer)["detail"].startswith("Nothing to retry: sms is ")
    assert len(_one(api, notification_id)["logs"][0]["history"]) == len(kinds)
    assert queued == []


def test_an_expired_notification_is_not_retried(api: Api, url: str) -> None:
    notification_id = made(api, expires_at=iso_instant(NOW_MS + 1000))
    append_events(url, notification_id, "sms", _ATTEMPT, _DEAD, at_ms=NOW_MS)
    api.clock = lambda: NOW_MS + 1000

    assert problem(send(api, f"{NOTIFICATIONS}/{notification_id}/retry", {})) == (409, "not-possible")


def test_a_retry_of_unknown_channels_is_refused(api: Api) -> None:
    path = f"{NOTIFICATIONS}/{made(api, channels=['sms'])}/retry"

    assert wrong(send(api, path, {"channels": ["sms", "email"]})) == {"channels": "'email' is not one of sms"}
    assert set(wrong(send(api, path, {"channels": [], "x": 1}))) == {"channels", "x"}


def test_a_retried_notification_can_be_retried_again(api: Api, url: str) -> None:
    notification_id = made(api, channels=["sms"])
    for _ in range(2):
        append_events(url, notification_id, "sms", _ATTEMPT, _DEAD, at_ms=NOW_MS)
        assert send(api, f"{NOTIFICATIONS}/{notification_id}/retry", {}).status_code == 200

    assert _one(api, notification_id)["logs"][0]["attempts"] == 2


def test_cancelling_ends_every_open_channel(api: Api, url: str, queued: list[str]) -> None:
    notification_id = made(api)
    append_events(url, notification_id, "sms", _ATTEMPT, _SUCCESS, at_ms=NOW_MS)
    queued.clear()

    reported = send(api, f"{NOTIFICATIONS}/{notification_id}/cancel", {}).json

    assert _statuses(reported) == {"sms": "success", "email": "cancelled"}
    assert queued == []


def test_an_attempt_in_progress_is_completed(api: Api, url: str) -> None:
    notification_id = made(api, channels=["sms"])
    append_events(url, notification_id, "sms", _ATTEMPT, at_ms=NOW_MS)

    reported = send(api, f"{NOTIFICATIONS}/{notification_id}/cancel", {}).json
    assert (reported["logs"][0]["status"], reported["logs"][0]["cancelling"]) == ("sending", True)

    append_events(url, notification_id, "sms", _FAILED, at_ms=NOW_MS)
    assert _one(api, notification_id)["status"] == "cancelled"


def test_cancelling_again_changes_nothing(api: Api, url: str) -> None:
    notification_id = made(api)
    append_events(url, notification_id, "sms", _ATTEMPT, at_ms=NOW_MS)
    path = f"{NOTIFICATIONS}/{notification_id}/cancel"

    first, again = send(api, path, {}), send(api, path, {})

    assert (again.status_code, again.json) == (200, first.json)


@pytest.mark.parametrize("outcome", [_SUCCESS, _DEAD, _UNKNOWN])
def test_a_finished_channel_is_not_cancelled(api: Api, url: str, outcome: EventKind) -> None:
    notification_id = made(api, channels=["sms"])
    append_events(url, notification_id, "sms", _ATTEMPT, outcome, at_ms=NOW_MS)

    assert problem(send(api, f"{NOTIFICATIONS}/{notification_id}/cancel", {})) == (409, "not-possible")


def test_cancelling_after_an_ambiguous_attempt_gives_unknown(api: Api, url: str) -> None:
    notification_id = made(api, channels=["webhook"], user_id="sara")
    append_events(url, notification_id, "webhook", _ATTEMPT, EventKind.MAYBE, at_ms=NOW_MS)

    answer = send(api, f"{NOTIFICATIONS}/{notification_id}/cancel", {})

    [log] = answer.json["logs"]
    assert (answer.status_code, log["status"]) == (200, "unknown")
    assert [event["kind"] for event in log["history"]] == ["attempt", "maybe", "cancel"]


def test_a_cancellation_takes_no_body(api: Api) -> None:
    path = f"{NOTIFICATIONS}/{made(api)}/cancel"

    assert set(wrong(send(api, path, {"channels": ["sms"]}))) == {"channels"}


def test_responses_are_never_cached(api: Api) -> None:
    notification_id = made(api)

    for answer in (send(api), api.ask(NOTIFICATIONS), api.ask(f"{NOTIFICATIONS}/{notification_id}")):
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers


def test_neither_texts_nor_addresses_are_logged(api: Api) -> None:
    send(api, body=NEW | {"title": "a secret word", "body": "another secret"})
    send(api, body=NEW | {"title": "a secret word\n"})
    send(api, "/api/users/sara/contacts", {"contacts": {"email": "sara@secret.example", "sms": "secret"}}, method="PUT")

    assert b"secret" not in b"".join(api.lines)
    assert orjson.loads(api.lines[0])["route"] == NOTIFICATIONS
