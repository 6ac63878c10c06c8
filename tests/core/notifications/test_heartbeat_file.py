"""The heartbeat file: when it is touched, and when not."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from celery import Celery
from celery.beat import SchedulingError

from core.notifications.broker import make_celery
from core.notifications.heartbeat_file import HeartbeatScheduler, touch_heartbeat_file
from core.settings import Settings


def _app(file: Path | str, broker: str = "memory://") -> Celery:
    app = make_celery(Settings(notify_pulse_file=str(file)))
    app.conf.broker_url = broker
    return app


def test_a_heartbeat_creates_or_touches_the_file(tmp_path: Path) -> None:
    app = _app(tmp_path / "pulse")
    touch_heartbeat_file(app)
    os.utime(tmp_path / "pulse", (0, 0))
    touch_heartbeat_file(app)
    assert (tmp_path / "pulse").stat().st_mtime > 0


def test_an_unset_or_unwritable_heartbeat_file_is_ignored(tmp_path: Path) -> None:
    touch_heartbeat_file(_app(""))
    touch_heartbeat_file(_app(tmp_path / "missing" / "pulse"))
    assert list(tmp_path.iterdir()) == []


def test_beat_touches_the_heartbeat_file_after_queueing_a_task(tmp_path: Path) -> None:
    scheduler = HeartbeatScheduler(_app(tmp_path / "pulse"))
    scheduler.apply_async(scheduler.schedule["sweep"])
    scheduler.close()
    assert (tmp_path / "pulse").exists()


def test_beat_does_not_touch_the_heartbeat_file_if_queueing_fails(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    app = _app(tmp_path / "pulse", f"redis://127.0.0.1:{nobody}/0")
    app.conf.broker_connection_max_retries = 1
    app.conf.task_publish_retry = False
    scheduler = HeartbeatScheduler(app)
    with pytest.raises(SchedulingError), app.connection_for_write() as connection:
        scheduler.apply_async(scheduler.schedule["sweep"], producer=app.amqp.Producer(connection, auto_declare=False))
    scheduler.close()
    assert not (tmp_path / "pulse").exists()
