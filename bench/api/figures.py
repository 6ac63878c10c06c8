"""The figures that the API shall reach, and what was measured of them, a value a round."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.api.hostile import Hostile
from bench.api.memory import Memory
from bench.api.publishing import Publishing
from bench.api.rates import Rates
from bench.figures import AT_LEAST, AT_MOST, UNDER, Bound
from bench.sections import short

HEAD: Final = ("what", "to reach", "measured", "met", "least to most")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with what it shall be.

    :param values: one a round; their median is the figure.
    """

    what: str
    bound: Bound
    limit: float
    unit: str
    values: Sequence[float]

    @property
    def value(self) -> float:
        """What decides."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether it lies where it shall."""
        return self.bound.holds(self.value, self.limit)

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row in a table under `HEAD`."""
        unit = f" {self.unit}".rstrip()
        spread = f"{short(min(self.values))} to {short(max(self.values))}" if len(self.values) > 1 else ""
        met = "yes" if self.met else "**no**"
        return self.what, f"{self.bound} {self.limit:g}{unit}", f"{short(self.value)}{unit}", met, spread


def figures(
    rates: Rates | None, publishing: Sequence[Publishing], hostile: Sequence[Hostile], memory: Memory | None
) -> list[Figure]:
    """The figures of what was measured."""
    found: list[Figure] = []
    if rates is not None:
        found += _of_rates(rates)
    for seen in publishing:
        found += _of_publishing(seen)
    for crowd in hostile:
        what = f"p99 of a good client under {crowd.what}, over p99 without"
        quotients = [busy.p99_ms / quiet.p99_ms for quiet, busy in zip(crowd.quiet, crowd.busy, strict=True)]
        found.append(Figure(what, AT_MOST, 3, "x", quotients))
        found.append(Figure("errors meanwhile", AT_MOST, 0, "", [sum(busy.wrong for busy in crowd.busy)]))
    if memory is not None:
        what = "most memory of a worker, every series in every encoding, beyond that at its start, in `API_CACHE_MB`"
        found.append(Figure(what, AT_MOST, 2, "x", [memory.most_beyond_start]))
    return found


_RATIOS: Final = (
    ("warm over bare Falcon ASGI", 0.5, "ours-warm", "hello"),
    ("warm over Django REST", 50, "ours-warm", "django"),
    ("304 over bare Falcon ASGI", 0.6, "ours-304", "hello"),
    ("cold over Falcon ASGI + sqlite3 + orjson", 0.8, "ours-cold", "plain"),
    ("warm over FastAPI", 5, "ours-warm", "fastapi"),
)
"""What of ours is measured over which peer, with one worker."""


def _of_rates(rates: Rates) -> Iterator[Figure]:
    per_s = {(rate.name, rate.workers): rate.per_s for rate in rates.rates}
    for what, limit, ours, peer in _RATIOS:
        if (ours, 1) in per_s and (peer, 1) in per_s:
            pairs = zip(per_s[ours, 1], per_s[peer, 1], strict=True)
            yield Figure(f"{what}, {_workers(1)}", AT_LEAST, limit, "x", [mine / other for mine, other in pairs])
    for time in rates.server_times:
        if time.connections == 1:
            yield Figure("server time of a warm answer, p99", UNDER, 1, "ms", [time.p99_ms])


def _of_publishing(seen: Publishing) -> Iterator[Figure]:
    workers = _workers(seen.workers)
    quotients = [busy.p99_ms / quiet.p99_ms for quiet, busy in zip(seen.quiet, seen.busy, strict=True)]
    yield Figure(f"p99 while a rebuild publishes, over p99 without, {workers}", AT_MOST, 3, "x", quotients)
    yield Figure(f"errors and mixed bodies meanwhile, {workers}", AT_MOST, 0, "", [seen.wrong])


def _workers(count: int) -> str:
    return f"{count} worker" if count == 1 else f"{count} workers"
