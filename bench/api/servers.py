"""Our API and its peers, each under gunicorn in processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import Message
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psutil

from bench.data import ROOT
from bench.measure import BenchFailed

THREADS: Final = 4
_CONFIGURATION: Final = "api/gunicorn_conf.py"
_START_TIMEOUT_S: Final = 120
_STOP_TIMEOUT_S: Final = 15
_SHOWN_OF_LOG: Final = 2000


@dataclass(frozen=True, slots=True)
class Service:
    """What can be served.

    :param module: has `get_app`.
    :param needs: the package without which it cannot run.
    :param options: of gunicorn, beside those of our own configuration, with which all are served.
    """

    name: str
    module: str
    needs: str | None = None
    options: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether it can run here."""
        return self.needs is None or find_spec(self.needs) is not None


OURS: Final = Service("ours", "api")
HELLO: Final = Service("hello", "bench.api.peers.hello")
HELLO_GUNICORN: Final = replace(HELLO, name="hello-gunicorn", options=("--worker-class", "asgi"))
PLAIN: Final = Service("plain", "bench.api.peers.plain")
FASTAPI: Final = Service("fastapi", "bench.api.peers.fastapi_uvicorn", "fastapi")
DJANGO: Final = Service(
    "django",
    "bench.api.peers.django_rest",
    "rest_framework",
    ("--worker-class", "gthread", "--threads", str(THREADS)),
)


@dataclass(frozen=True, slots=True)
class Server:
    """A gunicorn that is running."""

    url: str
    process_id: int
    log: Path

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Message, bytes]:
        """Status, headers and body of one request, unencoded.

        :raises BenchFailed: there was no answer.
        """
        request = urllib.request.Request(self.url + path, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()
        except OSError as error:
            raise BenchFailed(f"{self.url}{path} was not answered: {error}") from None

    def cpu_s(self) -> float:
        """What its workers have computed since they were started."""
        times = [worker.cpu_times() for worker in self.workers()]
        return float(sum(time.user + time.system for time in times))

    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        return list(psutil.Process(self.process_id).children())


@contextmanager
def serving(
    service: Service,
    workers: int,
    database: Path,
    scratch: Path,
    body_bytes: int = 0,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Serve `service` from the SQLite file `database` until the end of the block.

    :param scratch: folder for its log.
    :param body_bytes: how large the body of a hello is.
    :param variables: of its environment, beside ours.
    :raises BenchFailed: it does not start; shows the end of its log.
    """
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
    environment = os.environ | {
        "STORE_URL": f"sqlite:///{database}",
        "TIME_ZONE": "Asia/Tehran",
        "CALENDAR": "jalali",
        "API_BIND": address,
        "API_ACCESS": "open-loopback",
        "API_WORKERS": str(workers),
        "API_THREADS": str(THREADS),
        "API_RATE_LIMIT": "100000000/minute",
        "BENCH_DATABASE": str(database),
        "BENCH_BODY_BYTES": str(body_bytes),
        **(variables or {}),
    }
    options = ("--config", _CONFIGURATION, *service.options)
    command = [sys.executable, "-m", "gunicorn", *options, f"{service.module}:get_app()"]
    log = scratch / f"{service.name}-{workers}-{address.rpartition(':')[2]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_it_listens(process, address, log, workers)
        yield Server(f"http://{address}", process.pid, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], address: str, log: Path, workers: int) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    server = Server(f"http://{address}", process.pid, log)
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchFailed(f"gunicorn did not start:\n{log.read_text(errors='replace')[-_SHOWN_OF_LOG:]}")
        try:
            server.get("/healthz")  # whatever the answer
            if len(server.workers()) == workers:
                return
        except BenchFailed:
            pass
        time.sleep(0.05)
