"""The progress bar of a rebuild."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from jobs.job import Watcher
from jobs.partitions import counting
from jobs.runs.signals import ignore_signals

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_BAR_WIDTH: Final = 8


class Silent(Watcher):
    """Shows nothing; ignores signals once the run has published, as the rest is short."""

    def phase(self, name: str) -> None:
        if name == "published":
            ignore_signals()


@contextmanager
def counter(task: str, unit: str, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A callback for a number of finished items, which it prints to standard error if `shown`."""
    if not shown:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f} " + unit))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        number = progress.add_task(task)
        yield lambda done: progress.update(number, completed=done)


@contextmanager
def bar() -> Iterator[Watcher]:
    """A progress bar on standard error, of one line of 80 columns: bytes, documents a second, time left."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, Task, TextColumn, TimeRemainingColumn
    from rich.table import Column
    from rich.text import Text

    class DoneColumn(DownloadColumn):
        """The (done, total) amounts: bytes while sources are read, then summaries."""

        def render(self, task: Task) -> Text:
            if not task.fields["summaries"]:
                return super().render(task)
            return Text(f"{task.completed:,.0f}/{task.total or 0:,.0f} summaries")

    columns = (
        # The name gets the rest of the line, and is truncated.
        TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        BarColumn(_BAR_WIDTH),
        DoneColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[rate]}", table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as progress:
        yield _Bar(progress)


class _Bar(Silent):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = self._add_task("starting")
        self._began = time.monotonic()

    def reading(self, progress: counting.Progress) -> None:
        from rich.markup import escape

        elapsed = max(time.monotonic() - self._began, 0.001)
        rate = f"{progress.documents:,} documents, {_short(progress.documents / elapsed)}/s"
        name = escape(progress.name.rpartition("/")[2])
        self._progress.update(
            self._task,
            description=f"reading {name}" + (f" ({escape(progress.cluster)})" if progress.cluster else ""),
            completed=progress.done_bytes,
            total=progress.total_bytes,
            rate=rate,
        )

    def publishing(self, written: int, total: int) -> None:
        self._progress.update(self._task, completed=written, total=total, summaries=True, refresh=True)

    def phase(self, name: str) -> None:
        super().phase(name)
        self._progress.refresh()  # else the end of a quick phase is never shown
        self._progress.remove_task(self._task)
        self._task = self._add_task(name)

    def _add_task(self, name: str) -> TaskID:
        return self._progress.add_task(name, total=None, rate="", summaries=False)


def _short(number: float) -> str:
    """A number of at most five characters."""
    for divisor, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= divisor:
            return f"{number / divisor:.3g}{unit}" if number < 1000 * divisor else f"{number / divisor:,.0f}{unit}"
    return f"{number:.0f}"
