"""The redelivery guard: a poison message that crashes every process has a limit of redeliveries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from celery import Celery
from delivery_broker import RedisProcess
from delivery_parts import (
    LEASE_S,
    RETRY_POLICY,
    DeliveryHarness,
    ManualClock,
    ScriptedSender,
    delivery_harness,
    raising,
)

from core.errors import StoreUnavailable
from core.notifications.broker import make_celery, query_redis
from core.notifications.events import EventKind, LogStatus
from core.settings import Settings
from notifier.redelivery_guard import RedisRedeliveryCounter, guarded
from notifier.senders.base import Message

DAY_S = 86_400


class ProcessKilled(BaseException):
    """The process ends here."""


class InMemoryRedeliveryCounter:
    """`notifier.redelivery_guard.RedeliveryCounter` in memory."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def begun(self, what: str) -> int:
        self.counts[what] += 1
        return self.counts[what]

    def ended(self, what: str) -> None:
        del self.counts[what]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[DeliveryHarness]:
    with delivery_harness(
        f"sqlite:///{tmp_path / 's.db'}", {"sms": ScriptedSender(), "email": ScriptedSender()}
    ) as made:
        yield made


class CrashingSender:
    """A sender that ends the process before an attempt, in `needs_address`."""

    @property
    def needs_address(self) -> bool:
        raise ProcessKilled


def test_a_poison_message_is_dead_after_the_redelivery_limit(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = CrashingSender()  # type: ignore[assignment]
    one, redeliveries = harness.add("sms", "email"), InMemoryRedeliveryCounter()
    for _ in range(RETRY_POLICY.max_attempts):
        with pytest.raises(ProcessKilled):
            harness.delivery().deliver(one, redeliveries)
        assert harness.log(one).state.status is LogStatus.PENDING
    harness.delivery().deliver(one, redeliveries)
    assert [log.state.status for log in harness.stored(one).logs] == [LogStatus.DEAD, LogStatus.SUCCESS]
    assert redeliveries.counts == {}


def test_a_poison_message_in_a_status_lookup_is_unknown(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = ScriptedSender(answers=[raising(ProcessKilled())])
    one, redeliveries = harness.add("sms"), InMemoryRedeliveryCounter()
    harness.append(one, EventKind.ATTEMPT, harness.clock() + 1)
    harness.clock.advance_s(LEASE_S)
    for _ in range(RETRY_POLICY.max_attempts):
        with pytest.raises(ProcessKilled):
            harness.delivery().deliver(one, redeliveries)
    harness.delivery().deliver(one, redeliveries)
    state = harness.log(one).state
    assert (state.status, state.error_message) == (
        LogStatus.UNKNOWN,
        "given up: each attempt to deliver it crashed or failed unexpectedly",
    )


def test_an_unreadable_poison_message_is_postponed_for_a_day(harness: DeliveryHarness) -> None:
    class Unreadable:
        postpone = harness.stores.notifications.postpone

        def get(self, notification_id: str) -> Any:
            raise ProcessKilled

    one, redeliveries = harness.add("sms"), InMemoryRedeliveryCounter()
    for _ in range(RETRY_POLICY.max_attempts):
        with pytest.raises(ProcessKilled):
            harness.delivery(store=Unreadable()).deliver(one, redeliveries)
    harness.delivery(store=Unreadable()).deliver(one, redeliveries)
    harness.clock.advance_s(DAY_S - 1)
    assert harness.due() == []
    harness.clock.advance_s(1)
    assert harness.due() == [one]


def _swept(
    harness: DeliveryHarness,
    store: Any,
    redeliveries: InMemoryRedeliveryCounter,
    error: type[BaseException],
    hours: int,
) -> int:
    """Number of deliveries that end with `error` within so many hours of sweeps."""
    ended = 0
    for _ in range(hours * 36):
        queued: list[str] = []
        harness.sweep(queued.append).run()
        for one in queued:
            try:
                harness.delivery(store=store).deliver(one, redeliveries)
            except error:
                ended += 1
        harness.clock.advance_s(LEASE_S)
    return ended


def test_a_postponed_poison_message_is_retried_after_a_day(harness: DeliveryHarness) -> None:
    class Unreadable:
        postpone = harness.stores.notifications.postpone

        def get(self, notification_id: str) -> Any:
            raise ProcessKilled

    one, redeliveries = harness.add("sms"), InMemoryRedeliveryCounter()
    assert _swept(harness, Unreadable(), redeliveries, ProcessKilled, hours=23) == RETRY_POLICY.max_attempts
    assert _swept(harness, Unreadable(), redeliveries, ProcessKilled, hours=3) == RETRY_POLICY.max_attempts
    harness.clock.advance_s(DAY_S)
    assert _swept(harness, None, redeliveries, ProcessKilled, hours=1) == 0
    assert harness.log(one).state.status is LogStatus.SUCCESS


def test_an_internal_error_before_an_attempt_counts_towards_the_redelivery_limit(harness: DeliveryHarness) -> None:
    class Defective:
        @property
        def needs_address(self) -> bool:
            raise RuntimeError("a defect")

    harness.senders["sms"] = Defective()  # type: ignore[assignment]
    one, redeliveries = harness.add("sms", "email"), InMemoryRedeliveryCounter()
    assert _swept(harness, None, redeliveries, RuntimeError, hours=2) == RETRY_POLICY.max_attempts
    assert [log.state.status for log in harness.stored(one).logs] == [LogStatus.DEAD, LogStatus.SUCCESS]
    assert redeliveries.counts == {}


def test_a_notification_that_fails_to_load_is_postponed(harness: DeliveryHarness) -> None:
    class Unreadable:
        postpone = harness.stores.notifications.postpone

        def get(self, notification_id: str) -> Any:
            raise ValueError("a row that somebody wrote by hand")

    harness.add("sms")
    assert _swept(harness, Unreadable(), InMemoryRedeliveryCounter(), ValueError, hours=23) == RETRY_POLICY.max_attempts


def test_a_store_outage_does_not_count_as_redelivery(harness: DeliveryHarness) -> None:
    class Down:
        def __init__(self, *methods: str) -> None:
            self.methods = methods

        def __getattr__(self, name: str) -> Any:
            if name in self.methods:
                raise StoreUnavailable("the store does not answer")
            return getattr(harness.stores.notifications, name)

    one, redeliveries = harness.add("sms"), InMemoryRedeliveryCounter()
    for method in ("get", "append"):
        assert _swept(harness, Down(method), redeliveries, StoreUnavailable, hours=1) > RETRY_POLICY.max_attempts
        assert redeliveries.counts == {}
    harness.delivery().deliver(one, redeliveries)
    assert harness.log(one).state.status is LogStatus.SUCCESS


def test_with_one_attempt_allowed_three_deliveries_are_allowed(harness: DeliveryHarness) -> None:
    harness.senders["sms"] = CrashingSender()  # type: ignore[assignment]
    one, redeliveries = harness.add("sms"), InMemoryRedeliveryCounter()
    delivery = harness.delivery(retry_policy=replace(RETRY_POLICY, max_attempts=1))
    for _ in range(3):
        with pytest.raises(ProcessKilled):
            delivery.deliver(one, redeliveries)
    delivery.deliver(one, redeliveries)
    assert harness.log(one).state.status is LogStatus.DEAD


def test_completed_deliveries_are_not_counted(harness: DeliveryHarness) -> None:
    def refuse(_: Message) -> NoReturn:
        raise RuntimeError("a defect, and not the end of the process")

    harness.senders["sms"] = ScriptedSender(refuse)
    one, redeliveries = harness.add("sms", "email"), InMemoryRedeliveryCounter()
    harness.delivery().deliver(one, redeliveries)
    assert redeliveries.counts == {}


@pytest.fixture
def broker(tmp_path: Path, missing: Callable[[str], NoReturn]) -> Iterator[RedisProcess]:
    made = RedisProcess(tmp_path, missing)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def app(broker: RedisProcess) -> Celery:
    return make_celery(Settings(celery_broker_url=broker.url(0), celery_result_backend=broker.url(1)))


def test_redelivery_counts_are_shared_and_last_a_day(
    broker: RedisProcess, app: Celery, capsys: pytest.CaptureFixture[str]
) -> None:
    one, again = RedisRedeliveryCounter(app, "m1"), RedisRedeliveryCounter(app, "m1")
    assert [one.begun("a"), again.begun("a"), one.begun("b")] == [1, 2, 1]
    assert '"event":"look-broken-off","what":"a","times":1' in capsys.readouterr().out
    assert 0 < query_redis(app, lambda client: int(client.ttl("notifier:looks:a"))) <= DAY_S
    again.ended("a")
    assert [one.begun("a"), one.begun("b")] == [1, 2]
    broker.kill()
    assert one.begun("a") == 0  # without a count the message is delivered
    one.ended("a")


def test_another_task_counts_as_redelivery_after_the_task_time_limit(app: Celery) -> None:
    clock = ManualClock()
    assert [RedisRedeliveryCounter(app, message_id, clock).begun("a") for message_id in ("m1", "m2", "m3")] == [1, 1, 1]
    clock.advance_s(app.conf.task_time_limit)
    assert RedisRedeliveryCounter(app, "m4", clock).begun("a") == 1
    clock.advance_s(0.001)
    assert RedisRedeliveryCounter(app, "m5", clock).begun("a") == 4


def test_a_first_delivery_is_not_counted() -> None:
    for _ in range(2):
        with guarded(None, "a") as times:
            assert times == 0


def test_duplicate_tasks_do_not_count_each_other_as_redelivery(harness: DeliveryHarness, app: Celery) -> None:
    rules = replace(RETRY_POLICY, max_attempts=1)
    one = harness.add("sms")
    store = harness.stores.notifications

    class Overtaken:
        """A store that another task uses just before this one claims."""

        happened = False

        def __getattr__(self, name: str) -> Any:
            if name == "append" and not self.happened:
                self.happened = True
                harness.delivery(worker="else:2", retry_policy=rules).deliver(one, RedisRedeliveryCounter(app, "m2"))
            return getattr(store, name)

    harness.delivery(store=Overtaken(), retry_policy=rules).deliver(one, RedisRedeliveryCounter(app, "m1"))
    assert [event.kind for event in harness.log(one).events] == [EventKind.ATTEMPT, EventKind.SUCCESS]
