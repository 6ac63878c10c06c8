"""The part of the bench that measures the notifier: ``python -m bench notifier``."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.api.servers import THREADS
from bench.figures import AT_LEAST, Figure, figure_table
from bench.notifier.broker import running_broker
from bench.notifier.latency import RATE_PER_S, Waits, measure_latency
from bench.notifier.posting import WORKERS, Posting, measure_posting
from bench.notifier.throughput import Rate, Throughput, measure_throughput
from bench.notifier.workers import PROCESSES
from bench.running import BenchFailed, keep_to_two_cores, missing_tools
from bench.sections import Section, table

PARTS: Final = ("throughput", "latency", "posting")
"""The parts that can be measured separately."""

MESSAGES: Final = 3_000
QUICK_MESSAGES: Final = 300
_LATENCY_TIMES: Final = 4  # with a few messages per second, a round must be longer
_LATENCY_DATABASE: Final = 6  # the comparisons use those before
_POSTING_DATABASE: Final = 8


@dataclass(frozen=True, slots=True)
class Found:
    """The results of one run; None or empty for parts that were left out.

    :param seconds: how long clients posted in one round.
    """

    rounds: int
    seconds: float
    throughput: Throughput | None
    latency: Sequence[Waits]
    posting: Sequence[Posting]


def measure_notifier(only: Collection[str], folder: Path, messages: int, rounds: int, seconds: float) -> Section:
    """Measure the notifier.

    :param folder: a folder on the disk to measure; its new files are removed.
    :param messages: number of messages of a worker in one round.
    :param seconds: how long clients post in one round; four times as long at a few a second.
    :raises BenchFailed: a tool is missing, a process fails, or a message is not sent exactly once.
    """
    if missing := missing_tools("redis-server", "wrk"):
        raise BenchFailed(f"not installed: {', '.join(missing)}")
    keep_to_two_cores()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="notifier-", dir=folder) as name:
        scratch = Path(name).resolve()
        with running_broker(scratch) as broker:
            throughput = measure_throughput(broker, scratch, rounds, messages) if "throughput" in only else None
            long_s = _LATENCY_TIMES * seconds
            latency = measure_latency(broker, _LATENCY_DATABASE, scratch, rounds, long_s) if "latency" in only else []
            posting = measure_posting(broker, _POSTING_DATABASE, scratch, rounds, seconds) if "posting" in only else []
            found = Found(rounds, seconds, throughput, latency, posting)
            return as_section(found, is_whole=set(PARTS) <= set(only), redis=broker.version)


def as_section(found: Found, *, is_whole: bool, redis: str) -> Section:
    """The section with the results `found`.

    :param redis: the version of Redis.
    """
    figures = []
    if found.throughput is not None:
        rates = found.throughput.rates
        ratios = [ours / nothing for ours, nothing in zip(rates["ours"].per_s, rates["nothing"].per_s, strict=True)]
        what = "notifications a second over messages of a Celery task that does nothing"
        figures.append(Figure(what, AT_LEAST, 0.3, "x", ratios))
    samples = {"figures": [figure.sample for figure in figures]} | asdict(found)
    return Section("notifier", "\n".join(_parts(found, figures)), samples, is_whole, {"Redis": redis})


def _parts(found: Found, figures: Sequence[Figure]) -> Iterator[str]:
    yield _INTRODUCTION.format(rounds=found.rounds)
    if found.throughput is not None:
        yield figure_table(figures) + "\n"
        yield _throughput(found.throughput)
    if found.latency:
        yield _latency(found.latency)
    if found.posting:
        yield _posting(found.posting, found.seconds)


def _throughput(throughput: Throughput) -> str:
    rates = throughput.rates
    head = ("message", "messages/s", "least to most", "over nothing", "worker CPU ms", "Redis CPU ms")
    rows = [_rate(rate, rates["nothing"]) for rate in rates.values()]
    return _THROUGHPUT.format(
        processes=PROCESSES,
        messages=throughput.messages,
        rates=table(head, rows),
        syncs=statistics.median(throughput.syncs_per_s),
        least=min(throughput.syncs_per_s),
        most=max(throughput.syncs_per_s),
    )


def _rate(rate: Rate, nothing: Rate) -> tuple[str, ...]:
    ratio = statistics.median(mine / other for mine, other in zip(rate.per_s, nothing.per_s, strict=True))
    return (
        rate.label,
        f"{statistics.median(rate.per_s):,.0f}",
        f"{min(rate.per_s):,.0f} to {max(rate.per_s):,.0f}",
        f"{ratio:.2f} x",
        f"{statistics.median(rate.cpu_ms):.2f}",
        f"{statistics.median(rate.broker_cpu_ms):.2f}",
    )


def _latency(rounds: Sequence[Waits]) -> str:
    waits = {
        "the client has its 201": [waits.answered_ms for waits in rounds],
        "the gateway has the message": [waits.sent_ms for waits in rounds],
    }
    rows = [(until, *_percentiles(times)) for until, times in waits.items()]
    return _LATENCY.format(
        rate=RATE_PER_S,
        messages=sum(len(waits.sent_ms) for waits in rounds),
        workers=WORKERS,
        processes=PROCESSES,
        waits=table(("until", "p50 ms", "p50 of a round", "p99 ms", "worst ms"), rows),
    )


def _percentiles(rounds: Sequence[Sequence[float]]) -> tuple[str, ...]:
    times = sorted(time for times in rounds for time in times)
    medians = [statistics.median(times) for times in rounds]
    p99 = times[round(0.99 * (len(times) - 1))]
    shown = f"{min(medians):.1f} to {max(medians):.1f}"
    return f"{statistics.median(times):.1f}", shown, f"{p99:.1f}", f"{times[-1]:.1f}"


def _posting(posting: Sequence[Posting], seconds: float) -> str:
    rows = (
        (
            str(seen.connections),
            seen.label,
            f"{statistics.median(seen.per_s):,.0f}",
            f"{min(seen.per_s):,.0f} to {max(seen.per_s):,.0f}",
            f"{statistics.median(seen.median_ms):.2f}",
            f"{statistics.median(seen.p99_ms):.1f}",
        )
        for seen in posting
    )
    head = ("connections", "broker", "POST/s", "least to most", "median ms", "p99 ms")
    return _POSTING.format(seconds=seconds, workers=WORKERS, threads=THREADS, posting=table(head, rows))


_INTRODUCTION = """\
One run on one machine, with two cores for everything. The store is SQLite with `synchronous=FULL`; Redis syncs its
append-only file each second; both use the same disk. A notification has one channel, whose gateway accepts each message
immediately and writes nothing. The programs ran alternately; rounds: {rounds}. A ratio is computed in each round; the
table has the median, the smallest and the largest ratio.
"""

_THROUGHPUT = """\
### Messages per second

{messages:,} notifications are in the store and {messages:,} messages in Redis. Then a warm worker, `celery -A core
worker -c {processes}`, consumes them until the queue is empty and all messages are acknowledged. Afterwards, all
notifications must be sent in the store. The task that does nothing runs in a worker with the same settings (late
acknowledgement, prefetch 1, JSON, no results). CPU is the processor time of the worker and its processes per message.

{rates}

A notification needs two durable transactions: the claim before it is sent, and the outcome afterwards. The disk can
sync {syncs:,.0f} small writes per second when nothing else writes ({least:,.0f} to {most:,.0f}). The line "in memory"
shows the rate without waiting for the disk.
"""

_LATENCY = """\
### From request to gateway

{rate} requests per second at fixed times, from one client over one connection, {messages:,} in all; gunicorn with
{workers} workers, and one Celery worker with {processes} processes. Time from the first byte of the request until

{waits}
"""

_POSTING = """\
### Requests while the broker is up and down

`wrk` posts for {seconds:g} s per round; each connection sends a request when it has the previous response. gunicorn,
with {workers} workers of {threads} threads, shares two cores with `wrk` and Redis. Each 201 means that the notification
is durable in the store.

{posting}
"""
