"""A lost Redis connection with unacknowledged messages."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from celery.concurrency.solo import TaskPool
from celery.utils.timer2 import Timer
from celery.worker import state
from delivery_broker import RedisProcess
from kombu import entity

from core.notifications.broker import make_celery
from core.notifications.resilience import ResilientConsumer
from core.settings import Settings

ENTITY: Any = entity  # which is not typed


def test_a_lost_redis_connection_is_closed_despite_an_unacked_message(
    tmp_path: Path, missing: Callable[[str], NoReturn], caplog: pytest.LogCaptureFixture
) -> None:
    redis = RedisProcess(tmp_path, missing)
    redis.start()
    app = make_celery(Settings(celery_broker_url=redis.url(0), celery_result_backend=redis.url(1)))
    parts: dict[str, Any] = {"timer": Timer(), "pool": TaskPool(app=app)}
    consumer = ResilientConsumer(print, app=app, controller=SimpleNamespace(use_eventloop=False, state=state), **parts)
    consumer.update_strategies()
    consumer.qos_global = False
    connection: Any = app.connection_for_read()
    connection.connect()
    consumer.connection = connection
    channel = connection.default_channel
    open_messages: list[Any] = []
    queue = ENTITY.Queue("messages")
    channel.Producer().publish({}, routing_key="messages", declare=[queue])
    channel.Consumer([queue], callbacks=[lambda _, message: open_messages.append(message)]).consume()
    connection.drain_events(timeout=5)
    # As a worker has one, for commands: its queue is removed when the channel is closed, which fails without Redis.
    commands = ENTITY.Queue("commands", ENTITY.Exchange("commands", type="fanout"), auto_delete=True)
    connection.channel().Consumer([commands], callbacks=[print]).consume()
    channel._brpop_start()
    redis.kill()
    consumer.on_connection_error_after_connected(ConnectionError("the connection was lost"))
    assert len(open_messages) == 1
    assert consumer.connection is None
    # A child may be done with the message only now. The strategies tell requests which errors of that are only logged.
    logged = inspect.getclosurevars(consumer.strategies["celery.backend_cleanup"]).nonlocals["connection_errors"]
    open_messages[0].ack_log_error(logging.getLogger(__name__), logged)
    assert "Couldn't ack" in caplog.text
    assert consumer.connection_errors == ()  # such an error of anything else is a defect
