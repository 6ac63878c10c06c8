"""The part of the bench that measures the API: ``python -m bench api``."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Final

from bench.api.hostile import measure_hostile
from bench.api.loads import built_paced, missing_tools
from bench.api.memory import measure_memory
from bench.api.publishing import measure_publishing
from bench.api.rates import measure_rates
from bench.api.report import Found, as_section
from bench.api.store import served_store
from bench.data import into_page_cache
from bench.running import BenchFailed, keep_to_cores
from bench.sections import Section

PARTS: Final = ("rates", "publishing", "hostile", "memory")
"""What can be measured alone."""

CORES: Final = 2
MERCHANTS: Final = 10_000
QUICK_MERCHANTS: Final = 200
SECONDS: Final = 5


def measure_api(only: Collection[str], cache: Path, merchants: int, rounds: int, seconds: int) -> Section:
    """Measure the API and its peers.

    :param only: some of `PARTS`.
    :param cache: the folder for stores and programs that are made once.
    :param merchants: how many the store has.
    :param seconds: how long one service is asked in one round.
    :raises BenchFailed: a tool is missing, a service fails, or an answer is not what it must be.
    """
    if missing := missing_tools():
        raise BenchFailed(f"not installed: {', '.join(missing)}")
    keep_to_cores(CORES)
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
    return as_section(found, all_wanted=set(PARTS) <= set(only))
