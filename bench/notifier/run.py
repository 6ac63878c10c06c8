"""The part of the bench that measures the notifier: ``python -m bench notifier``."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Final

from bench.notifier.broker import missing_tools, running_broker
from bench.notifier.latency import measure_latency
from bench.notifier.posting import measure_posting
from bench.notifier.report import Found, as_section
from bench.notifier.throughput import measure_throughput
from bench.running import BenchFailed, keep_to_cores
from bench.sections import Section

PARTS: Final = ("throughput", "latency", "posting")
"""What can be measured alone."""

CORES: Final = 2
MESSAGES: Final = 3_000
QUICK_MESSAGES: Final = 300
_LATENCY_TIMES: Final = 4  # at a few messages a second, a round must be longer than those of the others
_LATENCY_DATABASE: Final = 6  # those before are the contests'
_POSTING_DATABASE: Final = 8


def measure_notifier(only: Collection[str], folder: Path, messages: int, rounds: int, seconds: float) -> Section:
    """Measure the notifier.

    :param only: some of `PARTS`.
    :param folder: on the disk to measure on; what is made in it is removed again.
    :param messages: how many go through a worker in one round.
    :param seconds: how long clients post in one round; four times as long at a few a second.
    :raises BenchFailed: a tool is missing, a process fails, or a message is not sent exactly once.
    """
    if missing := missing_tools():
        raise BenchFailed(f"not installed: {', '.join(missing)}")
    keep_to_cores(CORES)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="notifier-", dir=folder) as name:
        scratch = Path(name).resolve()
        with running_broker(scratch) as broker:
            found = Found(
                rounds=rounds,
                seconds=seconds,
                throughput=measure_throughput(broker, scratch, rounds, messages) if "throughput" in only else None,
                latency=measure_latency(broker, _LATENCY_DATABASE, scratch, rounds, _LATENCY_TIMES * seconds)
                if "latency" in only
                else [],
                posting=measure_posting(broker, _POSTING_DATABASE, scratch, rounds, seconds)
                if "posting" in only
                else [],
            )
            return as_section(found, is_whole=set(PARTS) <= set(only), redis=broker.version)
