"""The programs of the service, with their commands and variables."""

from __future__ import annotations

import http.client
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack.redis_server import configuration, find_redis_server
from stack.supervisor import Program

HOST: Final = "127.0.0.1"
NAMES: Final = ["redis", "web", "worker", "beat"]
_ANSWER_S: Final = 1.0
_PROCFILE: Final = Path(__file__).parents[1] / "Procfile"


@dataclass(frozen=True, slots=True)
class Places:
    """The ports of the programs, and the places of their data.

    :param data: folder of the store, the queue and the quarantine files.
    :param api: port of the API; all ports are on loopback.
    :param metrics: port on which the worker serves its metrics.
    :param broker: port of Redis.
    """

    data: Path
    store_url: str
    api: int
    metrics: int
    broker: int

    @property
    def heartbeat_file(self) -> Path:
        """The file that the worker touches while it takes messages."""
        return self.data / "worker.pulse"

    def variables(self, environment: Mapping[str, str], password: str) -> dict[str, str]:
        """The variables with which a command uses the same store, queue and quarantine files.

        :param environment: the variables of this process.
        :param password: of Redis.
        """
        broker = f"redis://:{password}@{HOST}:{self.broker}"
        return {
            "STORE_URL": self.store_url,
            "QUARANTINE_DIR": environment.get("QUARANTINE_DIR") or str(self.data / "quarantine"),
            "CELERY_BROKER_URL": f"{broker}/0",
            "CELERY_RESULT_BACKEND": f"{broker}/1",
            "API_BIND": f"{HOST}:{self.api}",
        }


def programs(places: Places, environment: Mapping[str, str], password: str) -> Sequence[Sequence[Program]]:
    """The programs, in stages: those of one are started when those of the stage before are ready.

    :param environment: the variables of this process; settings in it apply where they are not of `places`.
    :param password: of Redis, letters and digits.
    :raises ServiceError: there is no Redis server.
    """
    queue = places.data / "redis"
    queue.mkdir(exist_ok=True)
    places.heartbeat_file.unlink(missing_ok=True)
    ours = {
        **environment,
        **places.variables(environment, password),
        "PYTHONUNBUFFERED": "1",
        "NOTIFY_METRICS_HOST": HOST,
        "NOTIFY_METRICS_PORT": str(places.metrics),
        "NOTIFY_PULSE_FILE": "",
        "NOTIFY_PRINT_WARNING": "false",  # messages are only logged by default
    }
    server = Program(
        "redis",
        (find_redis_server(), "-"),
        environment,
        lambda: _answers(places.broker, password),
        configuration(queue, places.broker, password),
    )
    others = (
        Program("web", _for_terminal("web"), ours, lambda: _is_healthy(places.api)),
        Program(
            "worker",
            _for_terminal("worker"),
            {**ours, "NOTIFY_PULSE_FILE": str(places.heartbeat_file)},
            places.heartbeat_file.exists,
        ),
        Program("beat", _for_terminal("beat"), ours),
    )
    return (server,), others


def commands() -> dict[str, list[str]]:
    """The command of each program of the `Procfile`, split into words, by the program's name."""
    lines = (line.partition(": ") for line in _PROCFILE.read_text("utf-8").splitlines() if not line.startswith("#"))
    return {name: shlex.split(command) for name, _, command in lines}


def _for_terminal(name: str) -> list[str]:
    """The command of a program with this Python, for a person who watches: Celery without its banner and progress."""
    program, *words = commands()[name]
    if program == "celery":
        return [sys.executable, "-m", program, "--quiet", *words, "-l", "warning"]
    return [sys.executable, "-m", program, *words]


def _answers(port: int, password: str) -> bool:
    with redis.Redis(HOST, port, password=password, socket_timeout=_ANSWER_S, retry=Retry(NoBackoff(), 0)) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:  # also while it loads its file
            return False


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=_ANSWER_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
