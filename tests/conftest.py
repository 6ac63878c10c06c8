"""Shared fixtures: a real server of the MongoDB protocol, and empty stores on every backend."""

from __future__ import annotations

import fcntl
import gc
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
from effort import THOROUGH
from hypothesis import settings
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from bench.mongo_urls import with_database

_SOURCES = Path(__file__).parent / "ferretdb"
_JOBS = Path(__file__).parent / "jobs"
_BINARY = Path(__file__).parents[1] / ".cache" / "ferretdb" / "ferretdb"
_BUILD_TIMEOUT_S = 600
_READS_THE_CLOCK = re.compile(r"\b(now\((UTC)?\)|today\(\)|time\.time\(|wall_clock_ms|Notifier\()")
_START_TIMEOUT_S = 90
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 2**30


def _is_roomy(folder: Path) -> bool:
    """Whether the folder has space for test files, and programs in it may be run."""
    if not os.access(folder, os.W_OK):
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize > _ROOM_BYTES and not found.f_flag & os.ST_NOEXEC


# It reads whole collections, and collects garbage a third of the time; its threads mostly wait for one another.
_OF_FERRETDB = os.environ | {"GOGC": "1000", "GOMAXPROCS": "1"}

# What is compared with must have the rules of time zones that the program has, which are not the system's.
zoneinfo.reset_tzpath(to=())

# Stores have the disk write each change at once; memory is quicker, where there is enough of it.
if "TMPDIR" not in os.environ and _is_roomy(_MEMORY):
    tempfile.tempdir = str(_MEMORY)

# What tests choose by chance is the same with the same TEST_SEED, which the processes of a run share.
SEED = os.environ.setdefault("TEST_SEED", str(random.SystemRandom().randrange(10**6)))

# A property has five times the examples in a thorough run, so a test may also take five times as long as in any other.
# Hypothesis reports the end of a test at its limit as a FlakyFailure.
if THOROUGH:
    os.environ.setdefault("PYTEST_TIMEOUT", "900")

gc.disable()  # until the tests are there: they are no garbage, and looking for some among them takes a third longer

# A busy machine is no failure, so no example has a deadline.
settings.register_profile("usual", max_examples=100 if THOROUGH else 30, deadline=None)
settings.load_profile("usual")
# Ignored under ``nohup`` and in the background of a script, which every program that tests start would inherit.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Let numbers wrap without a warning where compiled code runs as Python: there they are meant to."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        config.addinivalue_line("filterwarnings", "ignore:overflow encountered:RuntimeWarning")


def pytest_report_header() -> str:
    """Print the seed that repeats a run."""
    return f"TEST_SEED={SEED}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have the test choose what it chose before with the same seed."""
    random.seed(f"{SEED} {item.nodeid}")


def pytest_collection_finish() -> None:
    """Collect garbage from here on, and never look again at the tests themselves, which are half a million objects."""
    gc.freeze()
    gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """For ``-m clock``, do not import the files of which no test has that mark."""
    if config.option.markexpr == "clock" and collection_path.suffix == ".py" and not _reads_the_clock(collection_path):
        return True
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test of a file that reads the clock (``make test-clock``), and leave out what others show."""
    for item in items:
        if _reads_the_clock(item.path):
            item.add_marker(pytest.mark.clock)
    if THOROUGH:
        return
    if left_out := _repeated_on_mongodb(items) | {item for item in items if item.get_closest_marker("thorough")}:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=list(left_out))


def _repeated_on_mongodb(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Tests of the jobs on MongoDB, but one of each file: jobs see of a store what tests/core/stores holds on both."""
    files: set[Path] = set()
    repeated: set[pytest.Item] = set()
    for item in items:
        if item.get_closest_marker("thorough"):
            continue
        if _JOBS in item.path.parents and isinstance(item, pytest.Function) and _is_on_mongodb(item):
            if item.path in files:
                repeated.add(item)
            files.add(item.path)
    return repeated


def _is_on_mongodb(item: pytest.Function) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("store_url") == "mongo"


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of the MongoDB protocol: ``MONGO_URL``, or else a FerretDB of this session."""
    if url := os.environ.get("MONGO_URL"):
        yield url
    else:
        with _running_ferretdb(_built_ferretdb(), tmp_path_factory.mktemp("ferretdb")) as (url, _):
            yield url


@pytest.fixture
def mortal_server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The URL and the process of a FerretDB of this test alone, which may kill it."""
    with _running_ferretdb(_built_ferretdb(), tmp_path) as server:
        yield server


@pytest.fixture
def mongo_database_url(mongo_url: str) -> Iterator[str]:
    """The URL of a database of this test alone, dropped after it."""
    name = f"test_{uuid.uuid4().hex}"
    yield with_database(mongo_url, name)
    client: MongoClient[dict[str, Any]]
    with MongoClient(mongo_url) as client:
        client.drop_database(name)


@pytest.fixture(params=["sqlite", "mongo"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that is not there yet; a test that asks for it runs on every backend."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'summaries.db'}"
    return str(request.getfixturevalue("mongo_database_url"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB of this test alone, empty."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """Called with what the machine lacks, skips the test, or under ``CI=true`` fails it."""
    return _missing


def _built_ferretdb() -> Path:
    """The FerretDB binary, built when it is missing or older than its sources."""
    _BINARY.parent.mkdir(parents=True, exist_ok=True)
    with (_BINARY.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one test worker builds, the others wait
        changed_at = max((_SOURCES / name).stat().st_mtime for name in ("main.go", "go.mod", "go.sum"))
        if not _BINARY.exists() or _BINARY.stat().st_mtime < changed_at:
            if shutil.which("go") is None:
                _missing("Go is not installed: it builds FerretDB, which the tests of the MongoDB backend need")
            command = ["go", "build", "-o", str(_BINARY), "."]
            build = subprocess.run(
                command, cwd=_SOURCES, timeout=_BUILD_TIMEOUT_S, capture_output=True, text=True, check=False
            )
            if build.returncode != 0:
                pytest.fail(f"FerretDB was not built:\n{build.stderr}")
            _BINARY.touch()  # go leaves a binary alone that is up to date
    return _BINARY


@contextmanager
def _running_ferretdb(binary: Path, folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    data = folder / "data"
    data.mkdir()
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binary, f"127.0.0.1:{port}", data], env=_OF_FERRETDB, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        url = f"mongodb://127.0.0.1:{port}/"
        _wait_until_it_answers(url, process, log)
        yield url, process
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    client: MongoClient[dict[str, Any]]
    with MongoClient(url, serverSelectionTimeoutMS=500) as client:
        while True:
            try:
                client.admin.command("ping")
                return
            except PyMongoError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"FerretDB did not start:\n{log.read_text()[-2000:]}")


@cache
def _reads_the_clock(path: Path) -> bool:
    return _READS_THE_CLOCK.search(path.read_text()) is not None


def _missing(what: str) -> NoReturn:
    """Skip, or under ``CI=true`` fail, because the machine lacks something."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
