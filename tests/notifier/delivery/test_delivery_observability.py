"""Logs and metrics of deliveries."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from delivery_parts import NOW_MS, DeliveryHarness, ScriptedSender, delivery_harness, raising
from kombu.exceptions import OperationalError
from prometheus_client import CollectorRegistry

from core.event_log import take_over_logging
from core.notifications.events import EventKind
from notifier import tasks
from notifier.delivery import Delivery
from notifier.gateway_pauses import Pause
from notifier.observability import WorkerObserver
from notifier.senders.base import Ambiguous, Gateway, Receipt, TemporaryFailure
from notifier.senders.printing import PrintSender

_PREFIX = "transaction_summary_notifier_"
PAUSED = [
    Pause(Gateway("sms"), 30.0, "454", False, 700.0),
    Pause(Gateway("email"), 0.0, "over", False, 60.0),
    Pause(Gateway("email", receiver="ab"), 30.0, "429", False, 900.0),
    Pause(Gateway("webhook", "one.example"), 0.0, "429", True, 80.0),
    Pause(Gateway("webhook", "two.example"), 30.0, "429", False, 90.0),
]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[DeliveryHarness]:
    with delivery_harness(f"sqlite:///{tmp_path / 's.db'}", {"sms": ScriptedSender()}) as made:
        yield made


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def _deliver(harness: DeliveryHarness, observer: WorkerObserver, one: str) -> None:
    harness.recorder = observer  # type: ignore[assignment]
    delivery: Delivery = harness.delivery()
    delivery.deliver(one)


def test_each_event_is_logged_as_one_line(
    harness: DeliveryHarness, registry: CollectorRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.senders["sms"] = ScriptedSender(raising(TemporaryFailure("busy")))
    one = harness.add()
    _deliver(harness, WorkerObserver(["sms"], harness.clock, registry), one)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line["level"], line["status"], line["error"]) for line in lines] == [
        ("attempt", "info", "sending", None),
        ("failed", "warning", "retrying", "busy"),
    ]
    assert {line["notification_id"] for line in lines} == {one}
    assert lines[1]["again_at_ms"] == NOW_MS + 10_000


def test_a_closed_log_pipe_does_not_prevent_sending(
    harness: DeliveryHarness, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Broken())
    one = harness.add()
    _deliver(harness, WorkerObserver(["sms"], harness.clock, registry), one)
    assert harness.log(one).state.status == "success"


def test_metrics_count_events_and_durations_by_channel(harness: DeliveryHarness, registry: CollectorRegistry) -> None:
    harness.senders["sms"] = ScriptedSender(raising(TemporaryFailure("busy")), lambda _: harness.clock.advance_s(2))
    observer = WorkerObserver(["sms"], harness.clock, registry)
    one = harness.add()
    _deliver(harness, observer, one)
    harness.clock.advance_s(10)
    _deliver(harness, observer, one)
    for kind, count in (("attempt", 2), ("failed", 1), ("success", 1)):
        assert registry.get_sample_value(f"{_PREFIX}events_total", {"channel": "sms", "kind": kind}) == count
    assert registry.get_sample_value(f"{_PREFIX}attempt_duration_seconds_sum", {"channel": "sms"}) == 2
    assert registry.get_sample_value(f"{_PREFIX}delivery_duration_seconds_sum", {"channel": "sms"}) == 12


def test_printed_messages_are_never_counted_as_delivered(harness: DeliveryHarness, registry: CollectorRegistry) -> None:
    harness.senders["sms"] = PrintSender()
    observer = WorkerObserver(["sms"], harness.clock, registry)
    one = harness.add()
    _deliver(harness, observer, one)
    observer.read_backlog(harness.stores.notifications, lambda: 0, list)
    for kind, count in (("printed", 1), ("success", 0)):
        assert registry.get_sample_value(f"{_PREFIX}events_total", {"channel": "sms", "kind": kind}) == count
        assert registry.get_sample_value(f"{_PREFIX}messages", {"channel": "sms", "status": kind}) == count
    assert registry.get_sample_value(f"{_PREFIX}delivery_duration_seconds_count", {"channel": "sms"}) == 0
    assert [event.sender for event in harness.log(one).events] == ["sms-gateway", None]


def test_billed_sms_parts_are_counted_and_logged(
    harness: DeliveryHarness, registry: CollectorRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.senders["sms"] = ScriptedSender(
        lambda _: Receipt("r1", parts=3),
        raising(TemporaryFailure("busy")),
        lambda _: Receipt("r2", parts=2),
        lambda _: Receipt("r3"),
        raising(Ambiguous("no answer")),
        answers=[lambda _: Receipt("r4", parts=1)],
    )
    observer = WorkerObserver(["sms"], harness.clock, registry)
    assert registry.get_sample_value(f"{_PREFIX}sms_parts_total", {"channel": "sms"}) == 0
    for _ in range(5):
        _deliver(harness, observer, harness.add())
    assert registry.get_sample_value(f"{_PREFIX}sms_parts_total", {"channel": "sms"}) == 6
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = {line["reference"]: line.get("parts") for line in lines if line["event"] == EventKind.SUCCESS}
    assert told == {"r1": 3, "r2": 2, "r3": None, "r4": 1}


def test_ending_between_attempts_adds_no_attempt_duration(
    harness: DeliveryHarness, registry: CollectorRegistry
) -> None:
    harness.senders["sms"] = ScriptedSender(raising(TemporaryFailure("busy")))
    observer = WorkerObserver(["sms"], harness.clock, registry)
    one = harness.add(expires_at_ms=NOW_MS + 5_000)
    _deliver(harness, observer, one)
    harness.clock.advance_s(3600)
    _deliver(harness, observer, one)
    assert registry.get_sample_value(f"{_PREFIX}events_total", {"channel": "sms", "kind": "dead"}) == 1
    assert registry.get_sample_value(f"{_PREFIX}attempt_duration_seconds_count", {"channel": "sms"}) == 1


def test_the_backlog_is_a_metric(harness: DeliveryHarness, registry: CollectorRegistry) -> None:
    harness.add()
    harness.add()
    harness.clock.advance_s(7)
    WorkerObserver(["sms", "email"], harness.clock, registry).read_backlog(
        harness.stores.notifications, lambda: 4, lambda: PAUSED
    )
    found = {
        (channel, status): registry.get_sample_value(f"{_PREFIX}messages", {"channel": channel, "status": status})
        for channel, status in (("sms", "pending"), ("sms", "success"), ("email", "pending"))
    }
    assert found == {("sms", "pending"): 2, ("sms", "success"): 0, ("email", "pending"): 0}
    assert registry.get_sample_value(f"{_PREFIX}due_notifications") == 2
    assert registry.get_sample_value(f"{_PREFIX}oldest_due_age_seconds") == 7
    assert registry.get_sample_value(f"{_PREFIX}queue_length") == 4
    channels = ("sms", "email", "webhook")
    paused = [registry.get_sample_value(f"{_PREFIX}paused_gateways", {"channel": name}) for name in channels]
    assert paused == [1, 0, 2]
    refused_s = [
        registry.get_sample_value(f"{_PREFIX}gateway_refused_seconds", {"channel": name, "scope": scope})
        for scope in ("channel", "host")
        for name in channels
    ]
    assert refused_s == [700, 60, 0, 0, 0, 90]


def test_library_logs_are_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        take_over_logging("INFO")
        logging.getLogger("some.library").debug("hidden")
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("some.library").exception("it %s", "failed")
    finally:
        root.handlers = handlers
        root.setLevel(level)
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["level"], line["logger"], line["message"]) == ("error", "some.library", "it failed")
    assert line["traceback"].endswith("ValueError: broken\n")


def test_an_unreachable_broker_is_reported_without_its_url(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "_made", [object()])

    def sweep() -> None:
        raise OperationalError("Error 111 connecting to redis://:secret-word@broker:6379/0")

    with tasks._services("a task"):
        sweep()
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["event"], line["error"]) == ("task-failed", "the broker does not answer (OperationalError)")
