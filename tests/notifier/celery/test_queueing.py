"""Queueing outside of a request: with a broker that is up, down, or accepts and is silent, nobody waits."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from celery import Celery
from delivery_broker import RedisProcess
from delivery_plant import wait_until

from core.notifications.broker import make_celery, queue_delivery, queue_length
from core.notifications.queueing import BackgroundQueue
from core.settings import Settings

_TIMEOUT_S = 15


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
    """Offer so many; the seconds that the slowest took."""
    slowest = 0.0
    for number in range(count):
        began = time.perf_counter()
        queue.offer(str(number))
        slowest = max(slowest, time.perf_counter() - began)
    return slowest


def _arrives_again(queue: BackgroundQueue, app: Celery) -> None:
    """What is offered once the broker is back reaches it, sooner or later."""

    def offered_and_there() -> bool:
        queue.offer("again")
        return queue_length(app) > 0

    wait_until(offered_and_there, _TIMEOUT_S, lambda: "nothing arrived")


def test_what_is_offered_reaches_the_broker_once(broker: RedisProcess) -> None:
    broker.start()
    app = _app(broker)
    queue = BackgroundQueue(lambda one: queue_delivery(app, one))
    _offer(queue, 50)
    wait_until(lambda: queue_length(app) == 50, _TIMEOUT_S, lambda: f"{queue_length(app)} arrived")


def test_a_broker_that_refuses_holds_nobody_up_and_is_used_when_it_is_back(broker: RedisProcess) -> None:
    app = _app(broker)
    queue = BackgroundQueue(lambda one: queue_delivery(app, one))
    assert _offer(queue, 1000) < 0.5
    broker.start()
    _arrives_again(queue, app)


def test_a_broker_that_accepts_and_is_silent_holds_nobody_up(broker: RedisProcess) -> None:
    app = _app(broker)
    queue = BackgroundQueue(lambda one: queue_delivery(app, one))
    with ExitStack() as silent:
        silent.enter_context(socket.create_server(("127.0.0.1", broker.port)))
        # More than it holds, too: the rest is dropped, and found by the sweep.
        assert _offer(queue, 20_000) < 0.5
    broker.start()
    _arrives_again(queue, app)


def test_queueing_asks_nothing_of_the_database_of_results(broker: RedisProcess) -> None:
    broker.start()
    app = make_celery(Settings(celery_broker_url=broker.url(0), celery_result_backend="redis://127.0.0.1:9/1"))
    queue_delivery(app, "a")
    assert queue_length(app) == 1
