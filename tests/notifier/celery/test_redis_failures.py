"""Redis failures, clock skew and killed child processes: the worker continues."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import psutil
import pytest
from notifier_services import NotifierServices, notifier_services, wait_until
from redis import Redis
from redis.exceptions import ResponseError

from core.notifications.events import LogStatus

_TIMEOUT_S = 40
_SKEWED = Path(__file__).parents[1] / "helpers" / "skewed"


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A folder on a file system of four megabytes, or None if none can be mounted."""
    folder = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        yield None
        return
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn], small_disk: Path | None
) -> Iterator[NotifierServices]:
    folder = tmp_path_factory.mktemp("notifier")
    with notifier_services(folder, missing, redis_folder=small_disk) as made:
        path = f"{_SKEWED}:{made.environment['PYTHONPATH']}"
        made.run_cold(*made.worker(), PYTHONPATH=path, TEST_CLOCK_FILE=str(folder / "ahead"))
        made.run("beat")
        made.wait_for_workers()
        yield made


@pytest.fixture
def redis(running: NotifierServices) -> Iterator[Redis]:
    with Redis(port=running.redis.port, socket_timeout=10) as client:
        yield client


def _said(running: NotifierServices, words: str) -> Callable[[], int]:
    """Counts how often the worker has logged `words`."""
    return lambda: running.running[0].log.read_text().count(words)


def _waits_and_goes_on(
    running: NotifierServices, words: str, refuse: Callable[[], object], allow: Callable[[], object]
) -> None:
    output = _said(running, words)
    before = output()
    refuse()
    try:
        wait_until(lambda: output() > before, _TIMEOUT_S, running.logs)
        queued_meanwhile = running.add("plain", queued=0)
    finally:
        allow()
    assert running.ended(queued_meanwhile, timeout_s=_TIMEOUT_S)[0].state.status is LogStatus.SUCCESS
    assert running.gateway.taken(f"{queued_meanwhile}:plain") == 1
    assert [one.process.poll() for one in running.running] == [None, None]


@pytest.mark.thorough
def test_the_worker_waits_while_redis_is_a_replica(running: NotifierServices, redis: Redis) -> None:
    _waits_and_goes_on(
        running,
        "You can't write against a read only replica",
        lambda: redis.replicaof("127.0.0.1", 1),
        lambda: redis.replicaof("NO", "ONE"),
    )


def test_the_worker_waits_while_redis_loads_its_file(running: NotifierServices, redis: Redis) -> None:
    # It answers after each thousand commands that it has loaded: these take ten seconds and more, unless it is hurried.
    redis.eval("for _ = 1, 100000 do redis.call('incr', 'x') end", 0)

    def restart() -> None:
        running.redis.kill()
        running.redis.start("--key-load-delay", "100", wait=False)

    _waits_and_goes_on(
        running, "Redis is loading the dataset in memory", restart, lambda: redis.config_set("key-load-delay", 0)
    )


def test_the_worker_waits_while_redis_is_out_of_memory(running: NotifierServices, redis: Redis) -> None:
    _waits_and_goes_on(
        running,
        '"event":"worker-waits","error":"command not allowed when used memory > \'maxmemory\'',
        lambda: redis.config_set("maxmemory", 1),
        lambda: redis.config_set("maxmemory", 0),
    )


def test_the_worker_waits_while_the_disk_of_redis_is_full(
    running: NotifierServices, redis: Redis, small_disk: Path | None, missing: Callable[[str], NoReturn]
) -> None:
    if small_disk is None:
        missing("a small file system cannot be mounted: it needs root")
    filler = small_disk / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

        def refuses() -> bool:
            try:
                redis.set("more", bytes(65_536))
            except ResponseError as error:
                return "MISCONF" in str(error)
            return False

        wait_until(refuses, _TIMEOUT_S, running.logs)

    redis.config_set("appendfsync", "everysec")  # with `always` the server itself ends
    _waits_and_goes_on(running, "MISCONF", fill, filler.unlink)


def test_a_changed_redis_password_is_retried_and_reported(running: NotifierServices) -> None:
    with Redis(port=running.redis.port, single_connection_client=True, socket_timeout=10) as inside:

        def change() -> None:
            inside.config_set("requirepass", "another")
            inside.execute_command("AUTH", "another")
            inside.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        _waits_and_goes_on(running, "Authentication required", change, lambda: inside.config_set("requirepass", ""))


def test_a_worker_with_clock_skew_sends_nothing(running: NotifierServices) -> None:
    ahead = running.folder / "ahead"
    output = _said(running, "the clock of this host is 3,600 s ahead of that of Redis")
    ahead.write_text("3600")
    wait_until(lambda: output() > 1, _TIMEOUT_S, running.logs)
    begun = len(running.gateway.lines("begun"))
    waiting = running.add("plain", queued=0)
    heard = output()
    wait_until(lambda: output() > heard, _TIMEOUT_S, running.logs)
    assert len(running.gateway.lines("begun")) == begun
    ahead.write_text("0")
    log = running.ended(waiting, timeout_s=_TIMEOUT_S)[0]
    assert (log.state.status, log.state.attempts) == (LogStatus.SUCCESS, 1)


def test_a_wrong_password_or_clock_skew_at_start_up_is_reported(
    tmp_path: Path, missing: Callable[[str], NoReturn]
) -> None:
    (tmp_path / "ahead").write_text("-3600")
    with (
        notifier_services(tmp_path, missing) as idle,
        Redis(port=idle.redis.port, single_connection_client=True) as inside,
    ):
        inside.config_set("requirepass", "right")
        right, wrong = (
            {
                name: f"redis://:{password}@127.0.0.1:{idle.redis.port}/{database}"
                for database, name in enumerate(("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"))
            }
            for password in ("right", "s3cret")
        )
        path = f"{_SKEWED}:{idle.environment['PYTHONPATH']}"
        refused = "Redis refuses the user or password of"
        behind = "the clock of this host is 3,600 s behind that of Redis, and NOTIFY_CLOCK_LIMIT_S allows 0.75 s."
        starts = [
            (idle.run("worker", **wrong), f"{refused} CELERY_BROKER_URL."),
            (idle.run("beat", **(wrong | {"CELERY_BROKER_URL": right["CELERY_BROKER_URL"]})), f"{refused} CELERY_RESU"),
            (idle.run_cold("worker", **right, PYTHONPATH=path, TEST_CLOCK_FILE=str(tmp_path / "ahead")), behind),
        ]
        for started, sentence in starts:
            assert started.process.wait(timeout=_TIMEOUT_S) == 1
            output = started.log.read_text()
            assert sentence in output
            assert "Traceback" not in output
            assert "s3cret" not in output


def test_a_worker_survives_child_processes_killed_at_start_up(running: NotifierServices) -> None:
    worker = running.run_worker()
    born: list[psutil.Process] = []

    def are_born() -> bool:
        born[:] = psutil.Process(worker.process.pid).children()
        return bool(born)

    wait_until(are_born, _TIMEOUT_S, running.logs)
    for child in born:
        os.kill(child.pid, signal.SIGKILL)
    running.wait_for_workers()
    wait_until(lambda: are_born() and len(born) == 2, _TIMEOUT_S, lambda: f"{born}\n{running.logs()}")
    assert worker.stop() == 0
