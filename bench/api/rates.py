"""Measures the requests per second of our API and its peers, alternately in each round."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.api.loads import CONNECTIONS, Load, Loads, wrk
from bench.api.questions import entity_tags, never_asked, series_path, write_lines
from bench.api.servers import DJANGO, FASTAPI, HELLO, HELLO_GUNICORN, OURS, PLAIN, Server, Service, serving
from bench.api.store import ServedStore, merchant_ids
from bench.running import BenchFailed, say

WORKERS: Final = (1, 2)
WARM: Final = 100
_COLD_A_SECOND: Final = 6000
_WARM_UP_S: Final = 1


@dataclass(frozen=True, slots=True)
class Contest:
    """One kind of request to one service."""

    name: str
    label: str
    service: Service


CONTESTS: Final = (
    Contest("hello", "bare Falcon ASGI, a constant body", HELLO),
    Contest("hello-gunicorn", "… under gunicorn's own `asgi` worker", HELLO_GUNICORN),
    Contest("ours-warm", "ours, warm", OURS),
    Contest("ours-cold", "ours, cold: each series for the first time", OURS),
    Contest("ours-304", "ours, `If-None-Match`, answered 304", OURS),
    Contest("plain", "Falcon ASGI + sqlite3 + orjson", PLAIN),
    Contest("fastapi", "FastAPI + sqlite3", FASTAPI),
    Contest("django", "Django REST framework", DJANGO),
)


@dataclass(slots=True)
class Rate(Loads):
    """The results of one comparison with one number of workers, one value per round.

    :param cpu_ms: processor time of the workers per request.
    """

    name: str
    label: str
    workers: int
    cpu_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ServerTime:
    """Duration of warm responses inside the server, from the request log."""

    connections: int
    requests: int
    median_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Rates:
    """The results of this part, and the bodies.

    :param body_bytes: of the first of the warm series.
    """

    body_bytes: int
    seconds: float
    rates: list[Rate]
    server_times: list[ServerTime]
    missing: list[str]


def measure_rates(
    store: ServedStore,
    scratch: Path,
    rounds: int,
    seconds: float,
    *,
    contests: Sequence[Contest] = CONTESTS,
    worker_counts: Sequence[int] = WORKERS,
) -> Rates:
    """Measure those of `contests` that are installed, with each number of workers.

    :raises BenchFailed: the peers do not return the same, or a response is an error.
    """
    merchants = merchant_ids(store.merchants)
    warm = [series_path(merchant) for merchant in merchants[:WARM]]
    fresh = never_asked(merchants)
    file = write_lines(scratch / "warm", warm)
    with serving(OURS, 1, store.path, scratch) as server:
        body_bytes = len(server.body(warm[0]))
        wrk(server.url, file, _WARM_UP_S)
        times = [_server_time(server, file, seconds, connections) for connections in (1, CONNECTIONS)]
    installed = [contest for contest in contests if contest.service.installed]
    with ExitStack() as running:
        turns: list[_Turn] = []
        for workers in worker_counts:
            servers = {
                service: running.enter_context(serving(service, workers, store.path, scratch, body_bytes))
                for service in dict.fromkeys(contest.service for contest in installed)
            }
            _require_equal_answers(list(servers.items()), warm)
            for contest in installed:
                server = servers[contest.service]
                ask = _asking(contest, server, warm, fresh, scratch, seconds)
                turns.append(_Turn(Rate(contest.name, contest.label, workers), server, ask))
        for number in range(1, rounds + 1):
            for turn in turns:
                turn.take(f"round {number} of {rounds}")
    missing = [contest.name for contest in contests if not contest.service.installed]
    return Rates(body_bytes, seconds, [turn.rate for turn in turns], times, missing)


@dataclass(frozen=True, slots=True)
class _Turn:
    rate: Rate
    server: Server
    ask: Callable[[], Load]

    def take(self, when: str) -> None:
        before_s = self.server.cpu_s()
        load = self.ask()
        self.rate.cpu_ms.append((self.server.cpu_s() - before_s) / load.requests * 1e3)
        self.rate.add(load)
        say(f"{when}: {self.rate.name}, workers: {self.rate.workers}: {load.per_s:.0f} a second")


def _asking(
    contest: Contest, server: Server, warm: Sequence[str], fresh: Iterator[str], scratch: Path, seconds: float
) -> Callable[[], Load]:
    """A function that measures the contest once; caches are warm when this returns."""
    file = scratch / f"{contest.name}-{server.process_id}"
    if contest.name == "ours-cold":

        def ask_cold() -> Load:
            asked = list(itertools.islice(fresh, int(_COLD_A_SECOND * seconds)))
            load = wrk(server.url, write_lines(file, asked), seconds)
            if load.requests > len(asked):
                raise BenchFailed(f"there are only {len(asked)} series that were not asked for yet")
            return load

        return ask_cold
    if contest.service.app == HELLO.app:
        write_lines(file, ["/hello"])
    else:
        write_lines(file, entity_tags(server, warm) if contest.name == "ours-304" else warm)
    wrk(server.url, file, _WARM_UP_S)
    return lambda: wrk(server.url, file, seconds)


def _require_equal_answers(servers: Sequence[tuple[Service, Server]], paths: Sequence[str]) -> None:
    """Raise unless all services return the same series."""
    serving_series = [(service, server) for service, server in servers if service.app != HELLO.app]
    for path in paths[:3]:
        answers = [(service.name, json.loads(server.body(path))) for service, server in serving_series]
        for name, answer in answers:
            if answer != answers[0][1]:
                raise BenchFailed(f"{name} answers {path} differently from {answers[0][0]}")


def _server_time(server: Server, lines: Path, seconds: float, connections: int) -> ServerTime:
    read = server.log.stat().st_size
    wrk(server.url, lines, seconds, connections)
    with server.log.open("rb") as log:
        log.seek(read)
        entries = [json.loads(line) for line in log if line.startswith(b"{") and line.endswith(b"}\n")]
    times = sorted(entry["duration_ms"] for entry in entries if entry.get("cache") == "hit")
    if not times:
        raise BenchFailed(f"the log of {server.url} tells of no warm answer")
    return ServerTime(connections, len(times), statistics.median(times), times[round(0.99 * (len(times) - 1))])
