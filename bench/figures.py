"""Targets, and their measured values."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.sections import short, table

HEAD: Final = ("what", "to reach", "measured", "met", "least to most")


AT_LEAST, AT_MOST, UNDER = "at least", "at most", "under"
_HOLDS: Final[dict[str, Callable[[float, float], bool]]] = {
    AT_LEAST: operator.ge,
    AT_MOST: operator.le,
    UNDER: operator.lt,
}
"""The sides of its limit on which a target is met."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure and its target.

    :param bound: `AT_LEAST`, `AT_MOST` or `UNDER` the limit.
    :param values: one per round, or one in all; their median is the figure. Empty if it was not measured.
    """

    what: str
    bound: str
    limit: float
    unit: str
    values: Sequence[float]

    @property
    def value(self) -> float:
        """The value that is compared with the limit."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        return _HOLDS[self.bound](self.value, self.limit)

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row in a table under `HEAD`."""
        unit = f" {self.unit}".rstrip()
        to_reach = f"{self.bound} {self.limit:,g}{unit}"
        if not self.values:
            return self.what, to_reach, "not measured", "", ""
        spread = f"{short(min(self.values))} to {short(max(self.values))}" if len(self.values) > 1 else ""
        return self.what, to_reach, f"{short(self.value)}{unit}", "yes" if self.met else "**no**", spread

    @property
    def sample(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self) | ({"measured": self.value, "met": self.met} if self.values else {})


def figure_table(figures: Sequence[Figure]) -> str:
    """The `figures` as a table in Markdown, without the last column if it is empty."""
    rows = [figure.cells for figure in figures]
    width = len(HEAD) if any(row[-1] for row in rows) else len(HEAD) - 1
    return table(HEAD[:width], (row[:width] for row in rows))
