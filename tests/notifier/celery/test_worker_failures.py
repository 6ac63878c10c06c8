"""A real worker and beat during failures: no message is lost, none is sent twice."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest
from notifier_services import MAX_ATTEMPTS, NotifierServices, notifier_services, wait_until
from prometheus_client.parser import text_string_to_metric_families

from core.notifications.background_queue import BackgroundQueue
from core.notifications.broker import queue_delivery
from core.notifications.events import LogStatus

KINDS = ("plain", "lookup", "idempotent")


_METRICS_HOST = "127.0.0.2"  # of loopback too, and not the default


@pytest.fixture(scope="module")
def metrics_port() -> int:
    with socket.create_server((_METRICS_HOST, 0)) as reserved:
        return int(reserved.getsockname()[1])


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn], metrics_port: int
) -> Iterator[NotifierServices]:
    with notifier_services(tmp_path_factory.mktemp("notifier"), missing) as made:
        made.run_worker(
            NOTIFY_METRICS_HOST=_METRICS_HOST,
            NOTIFY_METRICS_PORT=str(metrics_port),
            PROMETHEUS_MULTIPROC_DIR=str(made.folder),
        )
        made.run("beat")
        made.wait_for_workers()
        yield made


def _by_kind(running: NotifierServices, added: dict[str, str]) -> dict[str, tuple[str, int, int]]:
    """By the kind of sender, when all have ended: status, attempts, and how many times it was taken."""
    return {
        kind: (log.state.status.value, log.state.attempts, running.gateway.taken(f"{one}:{kind}"))
        for kind, one in added.items()
        for log in running.ended(one)
    }


def test_a_queued_notification_is_delivered_over_each_channel(running: NotifierServices) -> None:
    one = running.add(*KINDS)
    assert [log.state.status for log in running.ended(one)] == [LogStatus.SUCCESS] * 3
    assert [running.gateway.taken(f"{one}:{kind}") for kind in KINDS] == [1, 1, 1]


def test_the_sweep_finds_a_notification_that_was_never_queued(running: NotifierServices) -> None:
    one = running.add("plain", queued=0)
    assert running.ended(one)[0].state.status is LogStatus.SUCCESS


def test_a_message_of_a_killed_child_process_is_recovered(running: NotifierServices) -> None:
    added = {kind: running.add(kind, body="slow 1.5") for kind in KINDS}
    for kind, one in added.items():
        os.kill(running.sender_of(f"{one}:{kind}"), signal.SIGKILL)
    # A message that the gateway has is not sent again: status lookup, idempotency, or unknown.
    assert _by_kind(running, added) == {
        "plain": ("unknown", 1, 1),
        "lookup": ("success", 1, 1),
        "idempotent": ("success", 2, 1),
    }


def test_a_poison_message_that_kills_every_process_ends_as_dead_or_unknown(running: NotifierServices) -> None:
    added = {kind: running.add(kind, body="exit") for kind in KINDS}
    assert _by_kind(running, added) == {
        "plain": ("unknown", 1, 0),
        "lookup": ("dead", MAX_ATTEMPTS, 0),
        "idempotent": ("unknown", MAX_ATTEMPTS, 0),
    }
    begun = len(running.gateway.lines("begun"))
    time.sleep(1)
    assert len(running.gateway.lines("begun")) == begun
    assert running.ended(running.add("plain"))[0].state.status is LogStatus.SUCCESS


def test_hanging_senders_are_stopped_by_the_time_limits(running: NotifierServices) -> None:
    added = {"plain": running.add("plain", body="late 60"), "lookup": running.add("lookup", body="stuck")}
    assert _by_kind(running, added) == {"plain": ("unknown", 1, 0), "lookup": ("success", 1, 1)}
    error = running.ended(added["plain"])[0].state.error_message
    assert (error or "").startswith("the sender failed with SoftTimeLimitExceeded")


def test_a_redis_restart_during_delivery_loses_nothing(running: NotifierServices) -> None:
    before = {kind: running.add(kind, body="slow 1") for kind in KINDS}
    running.sender_of(f"{before['plain']}:plain")
    running.redis.kill()
    queue = BackgroundQueue(lambda one: queue_delivery(running.app, one))
    meanwhile = {kind: running.add(kind, queued=0) for kind in KINDS}
    began = time.monotonic()
    for one in meanwhile.values():
        queue.offer(one)
    assert time.monotonic() - began < 30  # it does not wait for Redis
    time.sleep(0.5)
    running.redis.start()
    once = dict.fromkeys(KINDS, ("success", 1, 1))
    assert _by_kind(running, before) == once
    assert _by_kind(running, meanwhile) == once
    assert running.ended(running.add("plain"))[0].state.status is LogStatus.SUCCESS


def test_metrics_of_all_processes_of_a_worker_are_exposed(running: NotifierServices, metrics_port: int) -> None:
    def reported() -> dict[tuple[str, ...], float]:
        with urllib.request.urlopen(f"http://{_METRICS_HOST}:{metrics_port}/metrics", timeout=60) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        prefix = "transaction_summary_notifier_"
        return {
            (one.name.removeprefix(prefix), *one.labels.values()): one.value
            for family in families
            for one in family.samples
        }

    before = reported()
    running.ended(*[running.add("plain") for _ in range(8)], running.add("plain", body="never"))
    counts = {
        ("messages", found.channel, found.status.value): found.count for found in running.stores.notifications.counts()
    }
    wait_until(lambda: counts.items() <= reported().items(), 60, lambda: f"{counts} is not in {reported()}")
    after = reported()
    for kind, more in (("attempt", 9), ("success", 8), ("dead", 1)):
        assert after["events_total", "plain", kind] - before.get(("events_total", "plain", kind), 0) == more
    assert after["delivery_duration_seconds_count", "plain"] == after["events_total", "plain", "success"]
    assert (after["queue_length",], after["oldest_due_age_seconds",]) == (0, 0)
