"""``python -m notifier status`` and ``retry``."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from announcing_cli import Notifier, key_of
from delivery_broker import RedisProcess
from delivery_parts import RecordingObserver
from gateway_http import closed_port, silent_port
from notification_examples import NOW_MS, happen, notification
from notifier_services import wait_until

from core.notifications.events import EventKind
from core.stores import wall_clock_ms
from notifier.circuit_breaker import CircuitBreaker
from notifier.gateway_pauses import RedisBreakerStates
from notifier.senders.base import Gateway, Refused

SEND, DEAD, UNKNOWN, SUCCESS = EventKind.ATTEMPT, EventKind.DEAD, EventKind.UNKNOWN, EventKind.SUCCESS
ROOT = Path(__file__).parents[3]


@pytest.fixture
def notifier(tmp_path: Path) -> Notifier:
    return Notifier(tmp_path, CELERY_BROKER_URL=f"redis://:secret-word@127.0.0.1:{closed_port()}/0")


def test_help_and_version_import_nothing_heavy() -> None:
    script = (
        "import sys, notifier.__main__ as m\n"
        "try: m.app(['status', '--help'])\n"
        "finally: print(*[n for n in ('celery', 'numpy', 'polars', 'pymongo') if n in sys.modules], file=sys.stderr)"
    )
    shown = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (shown.returncode, shown.stderr.split()) == (0, [])
    version = subprocess.run(
        [sys.executable, "-m", "notifier", "--version"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (version.returncode, version.stdout, version.stderr) == (0, "0.1.0\n", "")


def test_messages_are_counted_by_channel_and_status_and_the_oldest_due_is_shown(notifier: Notifier) -> None:
    with notifier.stores() as stores:
        for number, ends in enumerate([(), (), (SEND, SUCCESS), (SEND, DEAD)]):
            stored = replace(notification(number, "sms", "email"), created_at_ms=NOW_MS + number)
            stores.notifications.add(stored, NOW_MS)
            happen(stores.notifications, stored, *ends, channel="sms")
    output = notifier("status", "--json", NOTIFY_SENDERS="sms=print,webhook=print")
    assert output.code == 0
    channels = {channel["channel"]: channel for channel in output.json["channels"]}
    assert list(channels) == ["sms", "webhook", "email"]
    sms = {"sender": "print", "pending": 2, "success": 1, "dead": 1, "unknown": 0}
    assert channels["sms"].items() >= sms.items()
    assert channels["email"].items() >= {"sender": None, "pending": 4}.items()
    assert channels["webhook"].items() >= {"sender": "print", "pending": 0}.items()
    assert output.json["due"] == 4
    assert output.json["oldest_due_at"] == "2024-06-24T12:00:00.000Z"
    assert output.json["oldest_due_age_s"] == pytest.approx((wall_clock_ms() - NOW_MS) / 1000, abs=30)


@pytest.mark.parametrize("hangs", [False, True])
def test_an_unreachable_queue_is_reported_without_its_password(notifier: Notifier, hangs: bool) -> None:
    notifier.stores().close()
    with silent_port() as port:
        began = time.monotonic()
        port = port if hangs else closed_port()
        output = notifier("status", "--json", CELERY_BROKER_URL=f"redis://:secret-word@127.0.0.1:{port}/0")
    assert output.code == 0
    assert output.json["queue"]["length"] is None
    assert "does not answer" in output.json["queue"]["error"]
    assert "secret-word" not in output.out + output.err
    assert time.monotonic() - began < 45


def test_paused_gateways_are_listed_with_the_reason(
    notifier: Notifier, tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]
) -> None:
    notifier.stores().close()
    redis = RedisProcess(tmp_path_factory.mktemp("redis"), missing)
    redis.start()
    try:
        states = RedisBreakerStates(redis.url(1))
        breaker = CircuitBreaker(10.0, RecordingObserver(), chance=lambda: 1.0, shared=states)
        for gateway, refusal in (
            (Gateway("sms"), Refused("Kavenegar 418: no credit", 1.0)),
            (Gateway("email"), Refused("SMTP: AUTH answered 535", 600.0)),
            (Gateway("telegram", receiver="ab12"), Refused("Telegram 429", 30.0, receiver_only=True)),
            (Gateway("webhook", "shop.example"), Refused("webhook: answer 429")),
        ):
            breaker.failed(gateway, refusal)
        wait_until(lambda: any(pause.is_over for pause in states.paused()), 60, lambda: str(states.paused()))
        output = notifier("status", CELERY_RESULT_BACKEND=redis.url(1)).out
        listed = notifier("status", "--json", CELERY_RESULT_BACKEND=redis.url(1)).json["paused"]
    finally:
        redis.kill()
    assert re.search(r"(?m)^Paused email for (600|59\d) s: SMTP: AUTH answered 535$", output)
    assert re.search(r"(?m)^Paused telegram to one receiver for (30|2\d) s: Telegram 429$", output)
    assert "Ended  pause of sms, the next message is a probe: Kavenegar 418: no credit" in output
    assert [(one["channel"], one["host"], one["receiver_only"], one["is_over"]) for one in listed] == [
        ("email", None, False, False),
        ("sms", None, False, True),
        ("telegram", None, True, False),
        ("webhook", "shop.example", False, False),
    ]
    assert listed[1]["refused_s"] == pytest.approx(1, abs=0.1)
    assert notifier("status", "--json", CELERY_RESULT_BACKEND=redis.url(1)).json["paused"] is None
    assert "Paused gateways are unknown" in notifier("status", CELERY_RESULT_BACKEND=redis.url(1)).out


def test_the_latest_failures_are_listed_with_their_reasons(notifier: Notifier) -> None:
    with notifier.stores() as stores:
        for number in range(3):
            stored = replace(notification(number), created_at_ms=NOW_MS + number)
            stores.notifications.add(stored, NOW_MS)
            happen(stores.notifications, stored, SEND, DEAD)
        partly_cancelled = replace(notification(3, "sms", "email"), created_at_ms=NOW_MS + 3)
        stores.notifications.add(partly_cancelled, NOW_MS)
        happen(stores.notifications, partly_cancelled, SEND, SUCCESS)
        happen(stores.notifications, partly_cancelled, EventKind.CANCEL, channel="email")
    output = notifier("status", "--limit", "2")
    assert (
        "no worker has answered, so it is unknown whether workers have the same settings as this command" in output.out
    )
    assert (output.code, output.err) == (0, "")
    assert notification(2).id in output.out
    assert notification(1).id in output.out
    assert notification(0).id not in output.out
    assert partly_cancelled.id not in output.out  # there is nothing to send again
    assert "sms is dead: no reason is known" in output.out


def test_status_of_one_notification_shows_its_events(notifier: Notifier) -> None:
    with notifier.stores() as stores:
        stores.notifications.add(notification(), NOW_MS)
        happen(stores.notifications, notification(), SEND, UNKNOWN)
    output = notifier("status", notification().id)
    assert "sms is unknown after 1 attempt(s)" in output.out
    (log,) = notifier("status", notification().id, "--json").json["logs"]
    assert [event["kind"] for event in log["history"]] == ["attempt", "unknown"]
    assert notifier("status", "nosuch").failure(1) == "Error: there is no notification nosuch."


@pytest.mark.parametrize(
    "verb",
    [
        ("status",),
        ("retry", "x"),
        ("announce",),
        ("sweep",),
        ("prune", "--older-than", "30"),
        ("subscriptions", "list"),
        ("subscriptions", "end", "x"),
    ],
)
def test_reading_commands_do_not_create_a_store(notifier: Notifier, verb: tuple[str, ...]) -> None:
    assert "there is no store" in notifier(*verb).failure(1)
    as_json = notifier(*verb, "--json")
    assert as_json.json["error"]["exit_code"] == as_json.code == 1
    assert list(notifier.folder.iterdir()) == []


def test_an_invalid_setting_is_reported_in_one_sentence(notifier: Notifier) -> None:
    assert "NOTIFY_SENDERS" in notifier("status", NOTIFY_SENDERS="sms").failure(2)


def test_dead_and_unknown_messages_are_retried_by_id(notifier: Notifier) -> None:
    with notifier.stores() as stores:
        stored = notification(1, "sms", "email", "webhook")
        stores.notifications.add(stored, NOW_MS)
        for channel, end in (("sms", DEAD), ("email", UNKNOWN), ("webhook", SUCCESS)):
            happen(stores.notifications, stored, SEND, end, channel=channel)
        assert notifier("retry", stored.id, "--channel", "email", "--json").json == {
            "retried": [{"id": stored.id, "channels": ["email"]}],
            "notifications": 1,
            "messages": 1,
            "expired": 0,
            "complete": True,
        }
        output = notifier("retry", stored.id)
        assert output.out == f"{stored.id} is sent again over sms.\n"
        found = stores.notifications.get(stored.id)
        assert found is not None
        assert [log.state.status.value for log in found.logs] == ["pending", "pending", "success"]
        assert stores.notifications.due(wall_clock_ms(), 10) == [stored.id]
        sentence = notifier("retry", stored.id).failure(1)
        assert sentence.endswith("sms is pending, email is pending, webhook is success.")


def test_if_one_of_several_cannot_be_retried_none_is(notifier: Notifier) -> None:
    with notifier.stores() as stores:
        dead, expired = notification(1), replace(notification(2), expires_at_ms=NOW_MS + 1)
        for stored in (dead, expired):
            stores.notifications.add(stored, NOW_MS)
            happen(stores.notifications, stored, SEND, DEAD)
        assert "has expired" in notifier("retry", dead.id, expired.id).failure(1)
        assert "there is no notification" in notifier("retry", dead.id, "nosuch").failure(1)
        assert "is not sent over fax" in notifier("retry", dead.id, "--channel", "fax").failure(2)
        found = stores.notifications.get(dead.id)
        assert found is not None
        assert found.log("sms").state.status == "dead"


def test_retry_all_covers_dead_messages_of_the_last_hours(notifier: Notifier) -> None:
    now_ms = wall_clock_ms()
    with notifier.stores() as stores:
        ages_h = {1: 1, 2: 23, 3: 25}
        for number, hours in ages_h.items():
            stored = replace(notification(number, "sms", "email"), created_at_ms=now_ms - hours * 3_600_000)
            stores.notifications.add(stored, now_ms)
            happen(stores.notifications, stored, SEND, DEAD, channel="sms", at_ms=now_ms)
            happen(stores.notifications, stored, SEND, UNKNOWN, channel="email", at_ms=now_ms)
        over_sms = [{"id": notification(number).id, "channels": ["sms"]} for number in (1, 2)]
        assert notifier("retry", "--all", "--channel", "email").out == "There is nothing to send again.\n"
        for name in ("x" * 65, "sms\n", "(a|b)*"):
            assert "cannot be the name of a channel" in notifier("retry", "--all", "--channel", name).failure(2)
        assert notifier("retry", "--all", "--json").json["retried"] == over_sms
        assert notifier("retry", "--all", "--json").json["retried"] == []
        assert len(notifier("retry", "--all", "--hours", "48", "--json").json["retried"]) == 1


def test_retry_all_includes_notifications_with_open_channels(notifier: Notifier) -> None:
    now_ms = wall_clock_ms()
    with notifier.stores() as stores:
        stored = replace(notification(1, "sms", "email"), created_at_ms=now_ms)
        stores.notifications.add(stored, now_ms)
        happen(stores.notifications, stored, SEND, DEAD, channel="sms", at_ms=now_ms)
        happen(stores.notifications, stored, SEND, EventKind.FAILED, channel="email", at_ms=now_ms)
        old = replace(notification(2, "sms", "email"), created_at_ms=now_ms - 48 * 3_600_000)
        stores.notifications.add(old, now_ms)
        happen(stores.notifications, old, SEND, DEAD, channel="sms", at_ms=now_ms)
        assert notifier("retry", "--all", "--json").json["retried"] == [{"id": stored.id, "channels": ["sms"]}]
        found = stores.notifications.get(stored.id)
        assert found is not None
        assert [log.state.status.value for log in found.logs] == ["pending", "retrying"]


def test_retry_all_can_be_limited_by_status_interval_and_tenant(notifier: Notifier) -> None:
    day_ms = 86_400_000  # NOW_MS is noon of 2024-06-24
    with notifier.stores() as stores:
        stores.keys.add(key_of("acme"))
        made = [
            replace(
                notification(number, "sms", "email", created_at_ms=NOW_MS + number * day_ms // 2),
                tenant="acme" if number % 2 else "operator",
                expires_at_ms=NOW_MS + 3 * day_ms if number == 2 else None,
            )
            for number in range(5)
        ]
        for stored in made:
            stores.notifications.add(stored, NOW_MS)
            for channel in stored.channels:
                happen(stores.notifications, stored, SEND, UNKNOWN, channel=channel)
        requested = ("retry", "--all", "--from", "2024-06-25", "--status", "unknown", "--json")
        assert notifier(*requested[:4], "--json").json["notifications"] == 0  # none is dead
        assert "there is no tenant 'x'" in notifier(*requested, "--tenant", "x").failure(2)
        of_acme = notifier(*requested, "--to", "2024-06-26T00:01Z", "--tenant", "acme", "--channel", "sms").json
        assert of_acme == {
            "retried": [{"id": made[3].id, "channels": ["sms"]}, {"id": made[1].id, "channels": ["sms"]}],
            "notifications": 2,
            "messages": 2,
            "expired": 0,
            "complete": True,
        }
        first = notifier(*requested, "--limit", "3").json
        assert [one["id"] for one in first["retried"]] == [made[4].id, made[3].id]
        assert (first["messages"], first["expired"], first["complete"]) == (3, 1, False)
        again = notifier(*requested[:-1], "--limit", "2")
        assert again.out == f"{made[1].id} is sent again over email.\n"
        assert "Left out, because they have expired: 1." in again.err
        assert "There may be more" in again.err
        left = stores.notifications.get(made[0].id)
        assert left is not None
        assert {log.state.status.value for log in left.logs} == {"unknown"}


@pytest.mark.parametrize("arguments", [("--status", "dead"), ("x", "--from", "2024-06-24"), ("x", "--tenant", "acme")])
def test_filters_need_retry_all(notifier: Notifier, arguments: tuple[str, ...]) -> None:
    assert "can be used only with --all" in notifier("retry", *arguments).failure(2)


@pytest.mark.parametrize("arguments", [("--from", "soon"), ("--to", "2024-13-01"), ("--status", "success")])
def test_an_invalid_filter_is_refused(notifier: Notifier, arguments: tuple[str, ...]) -> None:
    notifier.stores().close()
    ended = notifier("retry", "--all", *arguments)
    assert ended.code == 2
    assert arguments[0] in ended.err


@pytest.mark.parametrize("arguments", [(), ("x", "--all")])
def test_retry_needs_either_ids_or_all(notifier: Notifier, arguments: tuple[str, ...]) -> None:
    assert "give either ids of notifications or --all" in notifier("retry", *arguments).failure(2)
