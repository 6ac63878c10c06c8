"""Our API and its peers, each served by its own gunicorn."""

from __future__ import annotations

import sys
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

from bench.running import BenchFailed, cpu_s, free_port, running, wait_until

THREADS: Final = 4
_CONFIGURATION: Final = "api/gunicorn_conf.py"
_START_TIMEOUT_S: Final = 120
_STOP_TIMEOUT_S: Final = 15


@dataclass(frozen=True, slots=True)
class Service:
    """A service.

    :param app: the factory of the application: ``module:function()``.
    :param needs: the package that it requires.
    :param options: of gunicorn, in addition to our configuration, which all services use.
    """

    name: str
    app: str
    needs: str | None = None
    options: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether that package is installed."""
        return self.needs is None or find_spec(self.needs) is not None


OURS: Final = Service("ours", "api:get_app()")
HELLO: Final = Service("hello", "bench.api.peers.falcon_asgi:hello()")
HELLO_GUNICORN: Final = replace(HELLO, name="hello-gunicorn", options=("--worker-class", "asgi"))
PLAIN: Final = Service("plain", "bench.api.peers.falcon_asgi:plain()")
FASTAPI: Final = Service("fastapi", "bench.api.peers.fastapi_uvicorn:get_app()", "fastapi")
DJANGO: Final = Service(
    "django",
    "bench.api.peers.django_rest:get_app()",
    "rest_framework",
    ("--worker-class", "gthread", "--threads", str(THREADS)),
)


@dataclass(frozen=True, slots=True)
class Server:
    """A running gunicorn."""

    url: str
    process_id: int
    log: Path

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Message, bytes]:
        """Status, headers and body of one request, unencoded.

        :raises BenchFailed: there was no response.
        """
        request = urllib.request.Request(self.url + path, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()
        except OSError as error:
            raise BenchFailed(f"{self.url}{path} was not answered: {error}") from None

    def body(self, path: str) -> bytes:
        """The body of a response.

        :raises BenchFailed: it was not 200, or there was none.
        """
        status, _, body = self.get(path)
        if status != 200:
            raise BenchFailed(f"{self.url}{path} was answered with {status}: {body[:300]!r}")
        return body

    def cpu_s(self) -> float:
        """The processor time of its workers since their start, in seconds."""
        return cpu_s(self.workers())

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
    :param body_bytes: size of a constant body.
    :param variables: additional environment variables.
    :raises BenchFailed: it does not start; shows the end of its log.
    """
    address = f"127.0.0.1:{free_port()}"
    environment = {
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
    command = [sys.executable, "-m", "gunicorn", *options, service.app]
    log = scratch / f"{service.name}-{workers}-{address.rpartition(':')[2]}.log"
    with running(command, log, _STOP_TIMEOUT_S, environment) as process:
        server = Server(f"http://{address}", process.pid, log)
        wait_until(lambda: _listens(server, workers), process, log, _START_TIMEOUT_S)
        yield server


def _listens(server: Server, workers: int) -> bool:
    try:
        server.get("/healthz")  # whatever the answer
    except BenchFailed:
        return False
    return len(server.workers()) == workers
