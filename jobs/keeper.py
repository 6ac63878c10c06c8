"""Keeps the ledger's row of the run under way: its heartbeat, its phase, its outcome; and logs them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from core.errors import Interrupted, ServiceError
from core.event_log import begin_about, end_about
from core.stores.runs import Run, RunLedger, RunStatus
from jobs.run_log import log_ended, log_run

HEARTBEAT_S: Final = 15.0


class RunKeeper:
    """Writes the row of `run` until it ends; as a context manager, records how.

    :param ledger: where the row is; must be safe to use from a second thread.
    :param run: the row as `RunLedger.begin` gave it.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, ledger: RunLedger, run: Run, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._success = RunStatus.PUBLISHED
        self.run = run

    def __enter__(self) -> Self:
        self._about = begin_about(run_id=self.run.id)
        log_run("run-began", command=self.run.command, sources=self.run.sources)
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close(error)
        finally:
            log_ended(self.run)
            end_about(self._about)

    def _close(self, error: BaseException | None) -> None:
        if error is None:
            try:
                self._end(self._success, None)
            except ServiceError as failure:
                # Published it is all the same, and the next run finds that out and closes the row.
                warning = f"the ledger could not be written after the publication: {failure.sentence}"
                self.run = replace(self.run, warnings=(*self.run.warnings, warning))
            return
        sentence = error.sentence if isinstance(error, ServiceError) else f"{type(error).__name__}: {error}"
        status = RunStatus.INTERRUPTED if isinstance(error, Interrupted) else RunStatus.FAILED
        # The first error is the one to tell about, also where the ledger cannot be written any more.
        with contextlib.suppress(ServiceError):
            self._end(status, sentence)

    def update(self, **changes: Any) -> None:
        """Change fields of the row, durably.

        :raises StoreUnavailable: the ledger cannot be written.
        """
        with self._lock:
            self.run = replace(self.run, heartbeat_at_ms=self._clock(), **changes)
            self._ledger.update(self.run)
        if "phase" in changes:
            log_run("run-phase", phase=self.run.phase)

    def published(self, generation: int) -> None:
        """Note what was published; written down when the run ends."""
        with self._lock:
            self.run = replace(self.run, generation=generation)

    def unchanged(self, generation: int) -> None:
        """Note that `generation` is right as it is; written down when the run ends."""
        self._success = RunStatus.UNCHANGED
        self.published(generation)

    def _end(self, status: RunStatus, error: str | None) -> None:
        self._ended.set()
        with self._lock:
            self.run = self.run.ended(status, self._clock(), error)
            if error is None:
                self.run = replace(self.run, phase="done")
            self._ledger.update(self.run)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            # A missed heartbeat does no harm: the fence of the publication decides.
            with contextlib.suppress(ServiceError), self._lock:
                if not self._ended.is_set():  # it may have ended while the lock was waited for
                    self.run = replace(self.run, heartbeat_at_ms=self._clock())
                    self._ledger.update(self.run)
