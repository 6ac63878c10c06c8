"""No request waits for the broker: a notification is accepted at once even if the broker hangs or refuses."""

from __future__ import annotations

import json
import socket
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import redis
from delivery_broker import RedisProcess
from sending import NEW, NOTIFICATIONS
from serving_server import Server, eventually, request, serving, sqlite_url

from core.notifications.background_queue import QUEUE_LIMIT
from core.notifications.broker import DELIVERIES
from core.stores import open_stores
from core.stores.notifications import NotificationStore

_BODY = json.dumps(NEW).encode()
_POSTS = 15
_FEW_S = 0.5  # generous: the machine may be busy
_NEVER_S = 4  # less than the broker time-out


def _post(server: Server) -> tuple[str, float]:
    """The id of a new notification, and the seconds until it was answered."""
    head = request(
        NOTIFICATIONS,
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(_BODY)}",
        method="POST",
    )
    with server.client() as client:
        begun = time.monotonic()
        answer = client.send(head + _BODY).answer("POST")
        took_s = time.monotonic() - begun
    assert answer.status == 201, answer.body
    return answer.json["id"], took_s


def _require_quick(server: Server, folder: Path) -> None:
    assert server.ask().status == 200  # what the start takes is not the broker's fault
    taken = [_post(server) for _ in range(_POSTS)]

    seconds = [took_s for _, took_s in taken]
    assert statistics.median(seconds) < _FEW_S
    assert max(seconds) < _NEVER_S
    with open_stores(sqlite_url(folder), timeout_s=10) as stores:
        assert set(_due(stores.notifications)) == {notification_id for notification_id, _ in taken}
    assert server.err.count("Traceback") == 0


def _due(store: NotificationStore) -> list[str]:
    """What the sweep will find within the next minute."""
    return store.due(time.time_ns() // 1_000_000 + 60_000, 100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a store is, and where a server has its files."""
    open_stores(sqlite_url(tmp_path), timeout_s=10).close()
    return tmp_path


def test_a_broker_that_hangs_delays_no_request(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with serving(folder, CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url) as server:
            _require_quick(server, folder)


def test_a_broker_that_does_not_exist_delays_no_request(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        url = f"redis://127.0.0.1:{reserved.getsockname()[1]}/0"
    with serving(folder, CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url) as server:
        _require_quick(server, folder)


def test_accepted_notifications_are_queued_after_a_broker_outage(
    folder: Path, missing: Callable[[str], NoReturn]
) -> None:
    broker = RedisProcess(folder, missing)
    urls = {"CELERY_BROKER_URL": broker.url(0), "CELERY_RESULT_BACKEND": broker.url(1)}
    try:
        with serving(folder, **urls) as server:
            before, _ = _post(server)
            broker.start()
            with redis.Redis(port=broker.port, socket_timeout=5) as client:

                def is_queued() -> bool:
                    notification_id, _ = _post(server)
                    time.sleep(0.1)
                    return any(notification_id in _arguments(raw) for raw in client.lrange(DELIVERIES, 0, -1))

                eventually(is_queued)
        with open_stores(sqlite_url(folder), timeout_s=10) as stores:
            assert before in _due(stores.notifications)
    finally:
        broker.kill()


def test_with_a_full_queue_notifications_are_left_to_the_sweep(
    folder: Path, missing: Callable[[str], NoReturn]
) -> None:
    broker = RedisProcess(folder, missing)
    broker.start()
    try:
        with (
            serving(folder, CELERY_BROKER_URL=broker.url(0), CELERY_RESULT_BACKEND=broker.url(1)) as server,
            redis.Redis(port=broker.port, socket_timeout=5) as client,
        ):
            client.rpush(DELIVERIES, *["waiting"] * (QUEUE_LIMIT - 1))
            taken = {_post(server)[0] for _ in range(3)}
            eventually(lambda: client.llen(DELIVERIES) == QUEUE_LIMIT)
            time.sleep(0.3)
            assert client.llen(DELIVERIES) == QUEUE_LIMIT
        with open_stores(sqlite_url(folder), timeout_s=10) as stores:
            assert set(_due(stores.notifications)) == taken
    finally:
        broker.kill()


def _arguments(raw: bytes) -> str:
    message: dict[str, Any] = json.loads(raw)
    return str(message["headers"]["argsrepr"])
