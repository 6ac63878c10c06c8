"""Signs of life: who touches the file, and when not."""

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


def test_a_pulse_makes_the_file_or_makes_it_young(tmp_path: Path) -> None:
    app = _app(tmp_path / "pulse")
    touch_heartbeat_file(app)
    os.utime(tmp_path / "pulse", (0, 0))
    touch_heartbeat_file(app)
    assert (tmp_path / "pulse").stat().st_mtime > 0


def test_without_a_file_nothing_is_touched_and_one_that_cannot_be_stops_nothing(tmp_path: Path) -> None:
    touch_heartbeat_file(_app(""))
    touch_heartbeat_file(_app(tmp_path / "missing" / "pulse"))
    assert list(tmp_path.iterdir()) == []


def test_beat_pulses_when_the_broker_has_taken_a_task(tmp_path: Path) -> None:
    scheduler = HeartbeatScheduler(_app(tmp_path / "pulse"))
    scheduler.apply_async(scheduler.schedule["sweep"])
    scheduler.close()
    assert (tmp_path / "pulse").exists()


def test_beat_does_not_pulse_for_a_task_that_the_broker_did_not_take(tmp_path: Path) -> None:
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
