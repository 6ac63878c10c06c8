"""Measures the notifications per second that the API stores, and its latency, with the broker up, down and hung."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from bench.api.loads import CONNECTIONS, Load, Loads, wrk
from bench.api.servers import OURS, Server, serving
from bench.notifier.broker import Broker
from bench.notifier.messages import payloads
from bench.notifier.workers import store_variables
from bench.running import BenchFailed, free_port, say
from core.notifications.broker import DELIVERIES
from core.stores import open_stores

PATH: Final = "/api/notifications"
WORKERS: Final = 2
_SCRIPT: Final = Path(__file__).with_name("posting.lua")
_STORE_TIMEOUT_S: Final = 30
_WARM_UP_S: Final = 1
_TIMEOUT_S: Final = 60
_QUIET_S: Final = 0.3
_BROKERS: Final = {
    "up": "up, no worker takes anything",
    "refusing": "down: its port refuses",
    "silent": "hung: its port accepts and says nothing",
}


@dataclass(slots=True)
class Posting(Loads):
    """The results of clients with the broker in one state, one value per round.

    :param broker: the state, a key of `_BROKERS`.
    :param connections: number of connections; each posts when it has the previous response.
    """

    broker: str
    label: str
    connections: int


def measure_posting(broker: Broker, database: int, scratch: Path, rounds: int, seconds: float) -> list[Posting]:
    """Post with the broker in each of its states, each with its own server and store.

    :param database: of Redis, from which on two are used.
    :param scratch: a folder on the disk to measure on.
    :raises BenchFailed: a response was an error, or none arrived.
    """
    with ExitStack() as running, broker.client(database) as client:
        urls = {"up": broker.url(database), "refusing": f"redis://127.0.0.1:{free_port()}/0"}
        urls["silent"] = f"redis://127.0.0.1:{running.enter_context(_silent_port())}/0"
        servers = {state: running.enter_context(posted_to(state, url, scratch)) for state, url in urls.items()}
        found = [Posting(state, _BROKERS[state], connections) for connections in (1, CONNECTIONS) for state in servers]
        for server in servers.values():
            post(server, _WARM_UP_S, scratch)
        _let_queueing_end(client)
        for number in range(1, rounds + 1):
            for posting in found:
                posting.add(post(servers[posting.broker], seconds, scratch, posting.connections))
                _let_queueing_end(client)
                said = f"{posting.connections} posting, the broker {posting.broker}: {posting.per_s[-1]:.0f} a second"
                say(f"round {number} of {rounds}: {said}")
    return found


def post(server: Server, seconds: float, scratch: Path, connections: int = CONNECTIONS) -> Load:
    """Post to `server`; each connection posts when it has the previous response.

    :raises BenchFailed: a response was an error, or none arrived.
    """
    document = scratch / "document.json"
    document.write_text(json.dumps(next(payloads()), ensure_ascii=False), encoding="utf-8")
    return wrk(server.url + PATH, document, seconds, connections, _SCRIPT)


def _let_queueing_end(client: redis.Redis) -> None:
    """Wait until nothing more is queued, and empty the queue, so that the next measurement is not disturbed.

    :raises BenchFailed: it does not end.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    length = -1
    while length != (length := client.llen(DELIVERIES)):
        if time.monotonic() > deadline:
            raise BenchFailed(f"{length} messages are queued, and more are coming after {_TIMEOUT_S} s")
        time.sleep(_QUIET_S)
    client.flushdb()


@contextmanager
def posted_to(name: str, broker_url: str, scratch: Path) -> Iterator[Server]:
    """Serve the API over a new store ``NAME.db`` in `scratch`, with its queue at `broker_url`."""
    store = scratch / f"{name}.db"
    variables = store_variables(store) | {"CELERY_BROKER_URL": broker_url}
    open_stores(variables["STORE_URL"], timeout_s=_STORE_TIMEOUT_S).close()
    with serving(OURS, WORKERS, store, scratch, variables=variables) as server:
        yield server


@contextmanager
def _silent_port() -> Iterator[int]:
    """A port whose connections are made by the kernel, and never read from."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield listening.getsockname()[1]
