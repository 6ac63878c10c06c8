"""Rebuilds inside the test process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.calendar import calendar_named
from core.calendar.days import LocalDays
from core.stores import Stores, wall_clock_ms
from jobs.job import Watcher
from jobs.rebuild import Rebuild, RebuildOutcome, RebuildRequest


class Workshop:
    """Runs rebuilds into one store.

    :param folder: gets the quarantine files.
    :param clock: the clock of the rebuild; the ledger has its own.
    """

    def __init__(
        self,
        stores: Stores,
        folder: Path,
        calendar: str = "jalali",
        zone: str = "Asia/Tehran",
        clock: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.stores = stores
        self.quarantine = folder / "quarantine"
        self._parts = (stores, calendar_named(calendar), LocalDays(zone), self.quarantine, clock)

    def rebuild(self, request: RebuildRequest, watcher: Watcher | None = None) -> RebuildOutcome:
        """Run the rebuild `request`."""
        return Rebuild(*self._parts, request, watcher or Watcher()).run()


class AtPhase(Watcher):
    """Calls a function once, when the run enters the phase `name`."""

    def __init__(self, name: str, act: Callable[[], object]) -> None:
        self._name = name
        self._act = act

    def phase(self, name: str) -> None:
        """See `Watcher.phase`."""
        if name == self._name:
            self._act()
