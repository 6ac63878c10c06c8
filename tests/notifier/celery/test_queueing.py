"""Background queueing: no request waits, whether the broker is up, down or silent."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from celery import Celery
from delivery_broker import RedisProcess
from kombu.exceptions import OperationalError
from kombu.message import Message
from notifier_services import wait_until

from core.notifications.background_queue import BackgroundQueue
from core.notifications.broker import SEND, SWEEP, make_celery, query_redis, queue_delivery, queue_length
from core.settings import Settings

_TIMEOUT_S = 60


@pytest.fixture
def broker(tmp_path: Path, missing: Callable[[str], NoReturn]) -> Iterator[RedisProcess]:
    made = RedisProcess(tmp_path, missing)
    yield made
    made.kill()


def _app(broker: RedisProcess) -> Celery:
    app = make_celery(Settings(celery_broker_url=broker.url(0), celery_result_backend=broker.url(1)))
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "socket_timeout": 0.5}
    return app


def _offer(queue: BackgroundQueue, count: int) -> float:
    """Queue so many; returns the seconds of the slowest call."""
    slowest = 0.0
    for number in range(count):
        began = time.perf_counter()
        queue.offer(str(number))
        slowest = max(slowest, time.perf_counter() - began)
    return slowest


def _arrives_again(queue: BackgroundQueue, app: Celery) -> None:
    """Require that tasks reach the broker after its outage."""

    def offered_and_there() -> bool:
        queue.offer("again")
        return queue_length(app) > 0

    wait_until(offered_and_there, _TIMEOUT_S, lambda: "nothing arrived")


def test_a_queued_task_reaches_the_broker_once(broker: RedisProcess) -> None:
    broker.start()
    app = _app(broker)
    queue = BackgroundQueue(lambda one: queue_delivery(app, one))
    _offer(queue, 50)
    wait_until(lambda: queue_length(app) == 50, _TIMEOUT_S, lambda: f"{queue_length(app)} arrived")


def test_a_forked_process_queues_too() -> None:
    """As under ``gunicorn --preload``; what was offered before stays with the process to which it was offered."""
    reading, writing = os.pipe()
    parent, forked = os.getpid(), threading.Event()

    def send(one: str) -> None:
        forked.wait()
        os.write(writing, (one if os.getpid() == parent else one.upper()).encode())

    queue = BackgroundQueue(send)
    queue.offer("p")
    queue.offer("q")
    child = os.fork()
    forked.set()
    if child == 0:
        queue.offer("c")
        time.sleep(_TIMEOUT_S)
        os._exit(0)
    try:
        reported = b""
        while len(reported) < 3 and select.select([reading], [], [], _TIMEOUT_S)[0]:
            reported += os.read(reading, 10)
        assert sorted(reported.decode()) == ["C", "p", "q"]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_refusing_broker_delays_no_caller_and_is_retried(broker: RedisProcess) -> None:
    app = _app(broker)
    queue = BackgroundQueue(lambda one: queue_delivery(app, one))
    assert _offer(queue, 1000) < 0.5
    broker.start()
    _arrives_again(queue, app)


def test_a_silent_broker_delays_no_caller(broker: RedisProcess) -> None:
    app = _app(broker)
    queue = BackgroundQueue(lambda one: queue_delivery(app, one))
    with ExitStack() as silent:
        silent.enter_context(socket.create_server(("127.0.0.1", broker.port)))
        # More than it holds, too: the rest is dropped, and found by the sweep.
        assert _offer(queue, 20_000) < 0.5
    broker.start()
    _arrives_again(queue, app)


def test_queueing_does_not_use_the_result_backend(broker: RedisProcess) -> None:
    broker.start()
    app = make_celery(Settings(celery_broker_url=broker.url(0), celery_result_backend="redis://127.0.0.1:9/1"))
    queue_delivery(app, "a")
    assert queue_length(app) == 1


def test_the_sweep_has_priority_over_waiting_deliveries(broker: RedisProcess) -> None:
    broker.start()
    app = _app(broker)
    taken: list[str] = []

    def take(message: Message) -> None:
        taken.append(message.headers["task"])
        message.ack()  # type: ignore[no-untyped-call]

    with app.connection_for_read() as connection:
        consumer = app.amqp.TaskConsumer(connection, on_message=take)
        consumer.qos(prefetch_count=1)
        for _ in range(3):
            queue_delivery(app, "a")
        for _ in range(4):
            app.send_task(SWEEP, ignore_result=True)
        with consumer:
            while len(taken) < 5:
                connection.drain_events(timeout=_TIMEOUT_S)
            app.send_task(SWEEP, ignore_result=True)
            while len(taken) < 8:
                connection.drain_events(timeout=_TIMEOUT_S)
    assert taken == [SWEEP] * 4 + [SEND, SWEEP] + [SEND] * 2


@pytest.mark.parametrize("sweep_s", [0.5, 5.0, 600.0])
def test_a_slightly_fast_clock_does_not_stop_the_sweep(sweep_s: float) -> None:
    for entry in make_celery(Settings(notify_sweep_s=sweep_s)).conf.beat_schedule.values():
        assert entry["options"]["expires"] >= max(60, 12 * entry["schedule"])


def test_the_queue_length_is_limited(broker: RedisProcess) -> None:
    broker.start()
    app = _app(broker)
    requested: list[int] = []

    def room() -> int:
        requested.append(10 - queue_length(app))
        return requested[-1]

    queue = BackgroundQueue(lambda one: queue_delivery(app, one), room)
    _offer(queue, 50)
    wait_until(lambda: queue_length(app) == 10, _TIMEOUT_S, lambda: f"{queue_length(app)} arrived")
    time.sleep(0.3)
    assert (queue_length(app), requested) == (10, [10])
    app.control.purge()
    _arrives_again(queue, app)


@pytest.mark.parametrize("accepts", [True, False])
def test_every_broker_failure_is_one_error_type(broker: RedisProcess, accepts: bool) -> None:
    app = _app(broker)
    with ExitStack() as silent:
        if accepts:
            silent.enter_context(socket.create_server(("127.0.0.1", broker.port)))
        with pytest.raises(OperationalError):
            queue_length(app)


def test_an_error_response_of_the_broker_is_that_error_type(broker: RedisProcess) -> None:
    broker.start()
    app = _app(broker)
    with pytest.raises(OperationalError, match="WRONGTYPE"):
        query_redis(app, lambda client: client.set("text", "x") and client.llen("text"))
