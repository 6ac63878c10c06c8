"""An application loaded before the fork (``gunicorn --preload``) queues notifications of its workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from delivery_broker import RedisProcess
from sending import NEW, NOTIFICATIONS
from serving_server import eventually, request, serving, sqlite_url

from core.notifications.broker import make_celery, queue_length
from core.settings import Settings
from core.stores import open_stores

_TIMEOUT_S = 60


@pytest.fixture
def broker(tmp_path: Path, missing: Callable[[str], NoReturn]) -> Iterator[RedisProcess]:
    made = RedisProcess(tmp_path, missing)
    made.start()
    yield made
    made.kill()


def test_a_forked_worker_queues_notifications(tmp_path: Path, broker: RedisProcess) -> None:
    app = make_celery(Settings(celery_broker_url=broker.url(0), celery_result_backend=broker.url(1)))
    open_stores(sqlite_url(tmp_path), timeout_s=10).close()
    content = json.dumps(NEW).encode()
    head = request(NOTIFICATIONS, "Content-Type: application/json", f"Content-Length: {len(content)}", method="POST")
    with (
        serving(tmp_path, "--preload", CELERY_BROKER_URL=broker.url(0), CELERY_RESULT_BACKEND=broker.url(1)) as server,
        server.client() as client,
    ):
        assert client.send(head + content).answer("POST").status == 201
        eventually(lambda: queue_length(app) == 1, _TIMEOUT_S)
