"""The API killed (SIGKILL) while it accepts a message: the message is sent exactly once."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
from effort import THOROUGH
from gateway_channels import Gateways, gateways, short_messages
from gateway_http import silent_port
from notifier_services import NotifierServices, notifier_services
from sending import NOTIFICATIONS
from serving_server import Answer, Server, eventually, request, serving

from core.notifications.broker import queue_length
from core.notifications.model import NotificationStatus

_KILLS = 30 if THOROUGH else 3
_REQUEST_S = 0.02  # about what one takes
_TIMEOUT_S = 60


@pytest.fixture
def there() -> Iterator[Gateways]:
    with gateways() as running:
        yield running


@pytest.fixture
def running(tmp_path: Path, missing: Callable[[str], NoReturn], there: Gateways) -> Iterator[NotifierServices]:
    """A store with an address, and Redis; nothing that delivers yet."""
    folder = tmp_path / "notifier"
    folder.mkdir()
    with notifier_services(folder, missing) as made:
        made.stores.contacts.replace("sara", there.addresses)
        yield made


def _settings(running: NotifierServices, broker_url: str | None = None) -> dict[str, str]:
    url = broker_url or running.redis.url(0)
    return {
        "STORE_URL": running.environment["STORE_URL"],
        "CELERY_BROKER_URL": url,
        "CELERY_RESULT_BACKEND": url,
        "NOTIFY_SENDERS": "sms=kavenegar",
    }


def _post(server: Server, body: str, repeatable: str) -> Answer:
    """:raises AssertionError, OSError: no answer came."""
    content = json.dumps({"user_id": "sara", "title": "سلام", "body": body, "channels": ["sms"]}).encode()
    head = request(
        NOTIFICATIONS,
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        f"Idempotency-Key: {repeatable}",
        method="POST",
    )
    with server.client() as client:
        return client.send(head + content).answer("POST")


def _has_another(server: Server, pid: int) -> bool:
    """Whether another worker process has replaced `pid`."""
    return server.workers() not in ([], [pid])


def _delivered(running: NotifierServices, there: Gateways, *notification_ids: str) -> Counter[str]:
    """What the gateway received after a worker and beat have delivered every open message."""
    running.run_worker(**there.variables, NOTIFY_LEASE_S="20", NOTIFY_SEND_TIMEOUT_S="5")
    running.run("beat")
    running.ended(*notification_ids, timeout_s=_TIMEOUT_S)
    assert {running.stored(one).status for one in notification_ids} == {NotificationStatus.SENT}
    return Counter(one.form["message"].removeprefix("سلام\n") for one in short_messages(there.kavenegar))


def test_an_accepted_message_lost_before_queueing_is_sent_once(
    running: NotifierServices, there: Gateways, tmp_path: Path
) -> None:
    with silent_port() as port, serving(tmp_path, **_settings(running, f"redis://127.0.0.1:{port}/0")) as server:
        taken = _post(server, "first", "order-1")
        assert taken.status == 201
        os.killpg(server.process.pid, signal.SIGKILL)
        server.wait()
    assert queue_length(running.app) == 0

    assert _delivered(running, there, taken.json["id"]) == {"first": 1}

    with serving(tmp_path, **_settings(running)) as server:
        again = _post(server, "first", "order-1").json
    assert (again["id"], again["status"]) == (taken.json["id"], "sent")
    assert len(there.kavenegar.requests) == 1


@pytest.mark.thorough
def test_retrying_an_interrupted_request_creates_one_message(
    running: NotifierServices, there: Gateways, tmp_path: Path
) -> None:
    """The serving process is killed at a random moment, and the client sends the same request to the next one."""
    made: dict[str, str] = {}
    with serving(tmp_path, **_settings(running)) as server:
        for name in (f"order-{number}" for number in range(_KILLS)):
            eventually(server.workers)
            (pid,) = server.workers()
            killing = threading.Timer(random.uniform(0, _REQUEST_S), os.kill, (pid, signal.SIGKILL))
            killing.start()
            first = None
            with suppress(AssertionError, OSError):  # no answer, or half of one
                first = _post(server, name, name).json["id"]
            killing.join()
            eventually(lambda pid=pid: _has_another(server, pid))  # type: ignore[misc]
            again = _post(server, name, name)
            assert again.status == 201
            made[name] = again.json["id"]
            assert first in (None, made[name])

    assert _delivered(running, there, *made.values()) == dict.fromkeys(made, 1)
    assert len(running.stores.notifications.listed(limit=_KILLS + 1)) == _KILLS
