"""The part of the bench that measures the API: ``python -m bench api``."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.api.hostile import TIMEOUT_S, Hostile, measure_hostile
from bench.api.loads import CONNECTIONS, Paced, built_paced
from bench.api.memory import Memory, measure_memory
from bench.api.publishing import REBUILT_MERCHANTS, STATES, Publishing, measure_publishing
from bench.api.rates import Rates, measure_rates
from bench.api.servers import THREADS
from bench.api.store import ServedStore, served_store
from bench.data import into_page_cache
from bench.figures import AT_LEAST, AT_MOST, UNDER, Figure, figure_table
from bench.running import BenchFailed, keep_to_two_cores, missing_tools
from bench.sections import Section, table

PARTS: Final = ("rates", "publishing", "hostile", "memory")
"""The parts that can be measured separately."""

MERCHANTS: Final = 10_000
QUICK_MERCHANTS: Final = 200
SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Found:
    """The results of one run; None or empty for parts that were left out.

    :param seconds: of a round of one service.
    """

    store: ServedStore
    rounds: int
    seconds: float
    rates: Rates | None
    publishing: Sequence[Publishing]
    hostile: Sequence[Hostile]
    memory: Memory | None


def measure_api(only: Collection[str], cache: Path, merchants: int, rounds: int, seconds: int) -> Section:
    """Measure the API and its peers.

    :param cache: the folder for stores and programs that are built once.
    :param seconds: duration of one service in one round.
    :raises BenchFailed: a tool is missing, a service fails, or a response is wrong.
    """
    if missing := missing_tools("wrk", "go"):
        raise BenchFailed(f"not installed: {', '.join(missing)}")
    keep_to_two_cores()
    client = built_paced(cache)
    store = served_store(cache, merchants)
    into_page_cache(store.path)
    with tempfile.TemporaryDirectory(prefix="bench-api-") as name:
        scratch = Path(name)
        found = Found(
            store=store,
            rounds=rounds,
            seconds=seconds,
            rates=measure_rates(store, scratch, rounds, seconds) if "rates" in only else None,
            publishing=measure_publishing(client, scratch, rounds, 2 * seconds) if "publishing" in only else [],
            hostile=measure_hostile(store, client, scratch, rounds, seconds) if "hostile" in only else [],
            memory=measure_memory(store, client, scratch) if "memory" in only else None,
        )
    return _section(found, all_wanted=set(PARTS) <= set(only))


def _section(found: Found, *, all_wanted: bool) -> Section:
    figures, samples = _figures(found), asdict(found)
    samples["store"]["folder"] = None
    page = "\n".join(_parts(found, figures))
    is_whole = all_wanted and found.rates is not None and not found.rates.missing
    return Section("api", page, {"figures": [figure.sample for figure in figures]} | samples, is_whole)


def _parts(found: Found, figures: Sequence[Figure]) -> Iterator[str]:
    yield _INTRODUCTION.format(
        merchants=found.store.merchants,
        rows=found.store.rows,
        rounds=found.rounds,
        figures=figure_table(figures),
    )
    if found.rates is not None:
        yield _rates(found.rates)
    if found.publishing:
        yield _publishing(found.publishing)
    if found.hostile:
        yield _hostile(found.hostile)
    if found.memory is not None:
        yield _memory(found.memory)


def _figures(found: Found) -> list[Figure]:
    figures = [] if found.rates is None else [*_of_rates(found.rates)]
    for seen in found.publishing:
        workers = _workers(seen.workers)
        what = f"p99 while a rebuild publishes, over p99 without, {workers}"
        figures.append(Figure(what, AT_MOST, 3, "x", _slower(seen.quiet, seen.busy)))
        figures.append(Figure(f"errors and mixed bodies meanwhile, {workers}", AT_MOST, 0, "", [seen.wrong]))
    for crowd in found.hostile:
        what = f"p99 of a good client under {crowd.what}, over p99 without"
        figures.append(Figure(what, AT_MOST, 3, "x", _slower(crowd.quiet, crowd.busy)))
        figures.append(Figure("errors meanwhile", AT_MOST, 0, "", [sum(busy.wrong for busy in crowd.busy)]))
    if found.memory is not None:
        what = "most memory of a worker, every series in every encoding, beyond that at its start, in `API_CACHE_MB`"
        figures.append(Figure(what, AT_MOST, 2, "x", [found.memory.most_beyond_start]))
    return figures


_RATIOS: Final = (
    ("warm over bare Falcon ASGI", 0.5, "ours-warm", "hello"),
    ("warm over Django REST", 50, "ours-warm", "django"),
    ("304 over bare Falcon ASGI", 0.6, "ours-304", "hello"),
    ("cold over Falcon ASGI + sqlite3 + orjson", 0.8, "ours-cold", "plain"),
    ("warm over FastAPI", 5, "ours-warm", "fastapi"),
)
"""The comparisons with peers, with one worker."""


def _of_rates(rates: Rates) -> Iterator[Figure]:
    per_s = {(rate.name, rate.workers): rate.per_s for rate in rates.rates}
    for what, limit, ours, peer in _RATIOS:
        if (ours, 1) in per_s and (peer, 1) in per_s:
            pairs = zip(per_s[ours, 1], per_s[peer, 1], strict=True)
            yield Figure(f"{what}, {_workers(1)}", AT_LEAST, limit, "x", [mine / other for mine, other in pairs])
    for time in rates.server_times:
        if time.connections == 1:
            yield Figure("server time of a warm answer, p99", UNDER, 1, "ms", [time.p99_ms])


def _slower(quiet: Sequence[Paced], busy: Sequence[Paced]) -> list[float]:
    return [one.p99_ms / other.p99_ms for one, other in zip(busy, quiet, strict=True)]


def _workers(count: int) -> str:
    return f"{count} worker" if count == 1 else f"{count} workers"


def _rates(rates: Rates) -> str:
    rows = (
        (
            rate.label,
            str(rate.workers),
            f"{statistics.median(rate.per_s):,.0f}",
            f"{min(rate.per_s):,.0f} to {max(rate.per_s):,.0f}",
            f"{statistics.median(rate.cpu_ms):.3f}",
            f"{statistics.median(rate.median_ms):.2f}",
            f"{statistics.median(rate.p99_ms):.1f}",
        )
        for rate in rates.rates
    )
    times = (
        (str(time.connections), f"{time.requests:,}", f"{time.median_ms:.3f}", f"{time.p99_ms:.3f}")
        for time in rates.server_times
    )
    return _RATES.format(
        connections=CONNECTIONS,
        body_bytes=rates.body_bytes,
        threads=THREADS,
        seconds=rates.seconds,
        rates=table(("service", "workers", "requests/s", "least to most", "CPU ms", "median ms", "p99 ms"), rows),
        times=table(("connections", "requests", "median ms", "p99 ms"), times),
        missing=f"\nNot installed, so not measured: {', '.join(rates.missing)}.\n" if rates.missing else "",
    )


def _publishing(publishing: Sequence[Publishing]) -> str:
    rows = [
        row
        for seen in publishing
        for row in (_waits(seen, "no", seen.quiet), _waits(seen, f"{seen.publications} times", seen.busy))
    ]
    head = ("workers", "capacity/s", "asked/s", "published", "p50 ms", "p99 ms", "p99.9 ms", "worst ms", "sent late ms")
    return _PUBLISHING.format(
        merchants=REBUILT_MERCHANTS,
        states=STATES,
        requests=sum(seen.requests for seen in publishing),
        wrong=sum(seen.wrong for seen in publishing),
        waits=table(head, rows),
    )


def _waits(seen: Publishing, published: str, answers: Sequence[Paced]) -> tuple[str, ...]:
    def median(quantity: str) -> str:
        return f"{statistics.median(getattr(one, quantity) for one in answers):.1f}"

    return (
        str(seen.workers),
        f"{seen.capacity_per_s:,.0f}",
        f"{seen.rate_per_s:,.0f}",
        published,
        *map(median, ("median_ms", "p99_ms", "p999_ms", "worst_ms", "late_p99_ms")),
    )


def _hostile(hostile: Sequence[Hostile]) -> str:
    rows = [
        (
            crowd.what,
            f"{crowd.rate_per_s:,.0f}",
            f"{statistics.median(one.p99_ms for one in crowd.quiet):.1f}",
            f"{statistics.median(one.p99_ms for one in crowd.busy):.1f}",
            f"{max(one.worst_ms for one in crowd.busy):.1f}",
        )
        for crowd in hostile
    ]
    head = ("hostile clients", "requests/s", "p99 ms without", "p99 ms with", "worst ms with")
    return _HOSTILE.format(timeout_s=TIMEOUT_S, crowds=table(head, rows))


def _memory(memory: Memory) -> str:
    rows = (
        (
            stage.after,
            f"{stage.requests:,}",
            f"{stage.bodies_mb:,.0f}",
            f"{stage.pss_mb:.0f}",
            f"{stage.peak_pss_mb:.0f}",
            f"{stage.rss_mb:.0f}",
        )
        for stage in memory.stages
    )
    head = ("after", "requests", "bodies sent, MB", "PSS MB", "most PSS MB", "RSS MB")
    return _MEMORY.format(series=memory.series, cache_mb=memory.cache_mb, stages=table(head, rows))


_INTRODUCTION = """\
One run on one machine, with two cores for servers and clients, and an SQLite store of {merchants:,} merchants and one
year: {rows:,} daily, weekly and monthly rows. The services ran alternately for {rounds} rounds. A ratio is computed in
each round; the table has the median, the smallest and the largest ratio.

{figures}
"""

_RATES = """\
### Requests per second

`wrk` with 1 thread and {connections} connections requests daily series of {body_bytes:,} bytes, without compression, as
fast as it gets responses, for {seconds} s per round. All servers run under gunicorn with `api/gunicorn_conf.py`; the
second line has another worker class, and Django (WSGI) runs under `gthread` with {threads} threads. Our API does all
that it does in production: keys, rate limit (not reached), metrics, and a log line per request. The others do none of
this; Django has no middleware, authentication or pages. FastAPI queries SQLite and writes JSON for each request. With
one worker, the server has a core of its own; two workers share their cores with `wrk`. CPU is the processor time of
the workers per request.

{rates}
{missing}
Duration of a warm response inside the server, from the request log (`duration_ms`), with one worker:

{times}
"""

_PUBLISHING = """\
### While runs publish

`bench/api/paced` requests daily series of {merchants} merchants at half of the capacity measured just before, at fixed
times, without waiting for responses. Latency is measured from the time at which a request is due, so a server that
stalls is not favoured. At the same time, `rebuild --truncate --threads 1` with `POLARS_MAX_THREADS=1`, at normal
priority on the same two cores, publishes {states} sources in turn, which differ in every value. The SHA-256 of each
body is compared with those of the complete publications: {wrong} of {requests:,} requests failed or had another body.

{waits}

Medians of the rounds. "Sent late" is the p99 delay of the client itself, which is part of the latency.
"""

_HOSTILE = """\
### Hostile clients

One worker, `API_REQUEST_TIMEOUT_S={timeout_s:g}`. A normal client requests warm series at a fixed rate, with and
without many hostile clients: slowloris clients send a byte of a request now and then, non-readers request many large
responses and read none, and idle clients connect and send nothing. A disconnected client connects again. All clients
run on the same two cores.

{crowds}
"""

_MEMORY = """\
### Memory of a worker

One worker, after requests for each of {series:,} series in each encoding, in random order, with `API_CACHE_MB` at its
default of {cache_mb}. PSS divides shared pages by the number of processes, and includes mapped pages of the store.

{stages}
"""
