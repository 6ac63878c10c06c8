"""What a person sees while a rebuild runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from jobs.counting import Progress as Done
from jobs.rebuild import Watcher


class Silent(Watcher):
    """Shows nothing; as a context manager like `Bar`.

    :param on_published: called as soon as the publication is made.
    """

    def __init__(self, on_published: Callable[[], None]) -> None:
        self._on_published = on_published

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to take down."""

    def phase(self, name: str) -> None:
        """See `Watcher.phase`."""
        if name == "published":
            self._on_published()


@contextmanager
def counter(task: str, unit: str, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """What is called with how many are done, which a person sees on standard error if `shown`."""
    if not shown:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f} " + unit))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        number = progress.add_task(task)
        yield lambda done: progress.update(number, completed=done)


class Bar(Silent):
    """A progress bar on standard error: bytes, documents a second, time left."""

    def __init__(self, on_published: Callable[[], None]) -> None:
        super().__init__(on_published)
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None, rate="")
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def reading(self, progress: Done) -> None:
        """See `Watcher.reading`."""
        elapsed = max(time.monotonic() - self._began, 0.001)
        rate = f"{progress.documents:,} documents, {progress.documents / elapsed:,.0f}/s"
        self._progress.update(
            self._task,
            description=f"reading {progress.name}" + (f" ({progress.cluster})" if progress.cluster else ""),
            completed=progress.done_bytes,
            total=progress.total_bytes,
            rate=rate,
        )

    def phase(self, name: str) -> None:
        """See `Watcher.phase`."""
        super().phase(name)
        self._progress.update(self._task, description=name)
