"""Every command line of ours in `docker-compose.yml` and the `Dockerfile`, run as it stands there."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import redis
from compose_config import ROOT, SECRETS, build, services
from containers import Container, Host, host, wait_until

from core.notifications.events import LogStatus
from core.notifications.model import Notification, new_id
from core.stores import Stores, open_stores, wall_clock_ms


@pytest.fixture
def docker(tmp_path: Path, missing: Callable[[str], NoReturn], mongo_database_url: str) -> Iterator[Host]:
    build(missing)
    for program in ("redis-server", "redis-cli"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed, which the container of Redis runs")
    api, broker, metrics = _free_port(), _free_port(), _free_port()
    settings = tmp_path / "redis.conf"
    (tmp_path / "data").mkdir()
    text = (ROOT / "docker" / "redis.conf").read_text().replace("dir /data", f"dir {tmp_path / 'data'}")
    settings.write_text(f"{text}bind 127.0.0.1\nport {broker}\n")
    store = f"mongodb://summaries:{SECRETS['MONGO_PASSWORD']}@mongodb:27017/summaries"
    replaced = {
        store: mongo_database_url,  # FerretDB knows no passwords
        "redis:6379": f"127.0.0.1:{broker}",
        "/etc/redis.conf": str(settings),
        "redis-cli ping": f"redis-cli -p {broker} ping",
        "0.0.0.0:8000": f"127.0.0.1:{api}",
        "127.0.0.1:8000": f"127.0.0.1:{api}",
        "0.0.0.0": "127.0.0.1",
        "8001": str(metrics),
        "/quarantine": str(tmp_path / "quarantine"),
        "/exports": str(ROOT / "tests" / "data" / "shop"),
    }
    with host(tmp_path, services(), replaced) as made:
        yield made


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
    return port


def _ask(docker: Host, path: str, content: object = None, method: str = "GET") -> Any:
    address = docker.environment("web")["API_BIND"]
    request = urllib.request.Request(
        f"http://{address}{path}",
        None if content is None else json.dumps(content).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def _pulse_again(container: Container) -> None:
    """Make its pulse old, as it would be by now if nobody had touched it for long."""
    long_ago = time.time() - 1000
    os.utime(container.environment["NOTIFY_PULSE_FILE"], (long_ago, long_ago))


def test_web_is_healthy_until_it_stops_and_writes_to_no_folder_of_the_program(docker: Host) -> None:
    docker.run("redis")
    web = docker.run("web")
    assert _ask(docker, "/healthz") == {"status": "ok"}
    assert web.stop() == 0
    assert not web.is_healthy()


def test_celery_and_beat_deliver_what_nobody_queued_and_are_healthy_for_as_long(
    docker: Host, mongo_database_url: str
) -> None:
    docker.run("redis")
    celery, beat = docker.run("celery"), docker.run("beat")
    message = Notification(new_id(), "sara", "title", "body", ("sms",), "en", wall_clock_ms())
    with open_stores(mongo_database_url, timeout_s=20) as stores:
        stores.contacts.replace("sara", {"sms": "+989121234567"})
        stores.notifications.add(message, wall_clock_ms())
        wait_until(lambda: _status(stores, message.id) == LogStatus.PRINTED)
    metrics = ":".join(docker.environment("celery")[f"NOTIFY_METRICS_{part}"] for part in ("HOST", "PORT"))
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=60) as answer:
        assert b"transaction_summary_notifier_events_total" in answer.read()
    for container in (celery, beat):
        _pulse_again(container)
        assert not container.is_healthy()
        wait_until(container.is_healthy)
    for container in (beat, celery):
        assert container.stop() == 0
        _pulse_again(container)
        assert not container.is_healthy()


def _status(stores: Stores, notification_id: str) -> LogStatus:
    kept = stores.notifications.get(notification_id)
    assert kept is not None
    return kept.logs[0].state.status


def test_redis_is_healthy_until_it_stops_and_keeps_behind_a_password_what_it_took(docker: Host) -> None:
    first = docker.run("redis")
    url = docker.environment("celery")["CELERY_BROKER_URL"]
    with redis.Redis.from_url(url) as client:
        client.set("kept", "yes")
    with (
        redis.Redis.from_url(url.replace(SECRETS["REDIS_PASSWORD"], "wrong")) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.get("kept")
    assert first.stop() == 0
    assert not first.is_healthy()
    docker.run("redis")
    with redis.Redis.from_url(url) as client:
        assert client.get("kept") == b"yes"


def test_jobs_rebuild_from_the_folder_of_exports_and_show_the_status(docker: Host) -> None:
    """Where the sources are, as only there the kernels are compiled already."""
    environment = docker.environment("jobs")
    del environment["NUMBA_CACHE_DIR"], environment["NUMBA_CPU_NAME"]
    command = docker.command("jobs")
    assert command[-1] == "status"
    rebuild = ["rebuild", f"{docker.replaced['/exports']}/transaction.bson", "--truncate", "--max-reject-ratio", "1"]
    for words in ([*command[:-1], *rebuild], command):
        ended = subprocess.run(
            words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 0, ended.stderr
    assert "generation 1" in ended.stdout
