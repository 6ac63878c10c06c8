"""Writes a run's row in the ledger (heartbeat, phase, result), and logs it.

With ``COMMAND_LOG=json`` the log is lines of JSON on standard error, for schedulers::

    {"time":"…","level":"info","event":"run-began","run_id":7,"command":"refresh mongodb://db/shop",…}
    {"time":"…","level":"info","event":"run-phase","run_id":7,"phase":"checking"}
    {"time":"…","level":"info","event":"run-ended","run_id":7,"status":"published","seconds":12.4,"read":1000,…}
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextvars import Token
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

from core.errors import Interrupted, RunHeld, RunTakenOver, ServiceError
from core.event_log import Context, bind_context, is_log_json, log_event, reset_context
from core.stores.runs import Run, RunLedger, RunStatus

HEARTBEAT_S: Final = 15.0

P = ParamSpec("P")
T = TypeVar("T")


class RunRecorder:
    """A context manager that begins a run, updates its row, and records its result.

    The row is closed even if a signal raises `Interrupted` at any point.

    :param ledger: must be thread-safe.
    :param draft: the run for `RunLedger.begin`.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, ledger: RunLedger, draft: Run, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._success = RunStatus.PUBLISHED
        self._taken_over: RunTakenOver | None = None
        self._log_context: Token[Context] | None = None
        self.run = draft

    def __enter__(self) -> Self:
        try:
            self.run = self._ledger.begin(self.run)
            self._log_context = bind_context(run_id=self.run.id)
            _log_run("run-began", command=self.run.command, sources=self.run.sources)
            threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
            return self
        except BaseException as error:
            self.abandon(error)
            raise

    def abandon(self, error: BaseException) -> None:
        """Close the row that may have been inserted before `error` interrupted the beginning of the run."""
        if isinstance(error, RunHeld):
            return
        with contextlib.suppress(ServiceError):
            for latest in self._ledger.recent(1):
                if (latest.holder, latest.started_at_ms) == (self.run.holder, self.run.started_at_ms):
                    self.run = latest
                    self.__exit__(type(error), error, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close(error)
        finally:
            if self._log_context is not None:
                _log_ended(self.run)
                reset_context(self._log_context)

    def _close(self, error: BaseException | None) -> None:
        if error is None:
            try:
                self._end(self._success, None)
            except ServiceError as failure:
                # It is published; the next run detects that and closes the row.
                warning = f"the ledger could not be written after the publication: {failure.sentence}"
                self.run = replace(self.run, warnings=(*self.run.warnings, warning))
            return
        sentence = error.sentence if isinstance(error, ServiceError) else f"{type(error).__name__}: {error}"
        status = RunStatus.INTERRUPTED if isinstance(error, Interrupted) else RunStatus.FAILED
        # Report the first error, also if the ledger cannot be written.
        with contextlib.suppress(ServiceError):
            self._end(status, sentence)

    def update(self, **changes: Any) -> None:
        """Change fields of the row, durably.

        :raises RunTakenOver: another run has closed this one.
        :raises StoreUnavailable: the ledger cannot be written.
        """
        with self._lock:
            self.run = replace(self.run, heartbeat_at_ms=self._clock(), **changes)
            self._ledger.update(self.run)
        if "phase" in changes:
            _log_run("run-phase", phase=self.run.phase)

    def while_current(self, call: Callable[P, T]) -> Callable[P, T]:
        """Wrap `call` to raise `RunTakenOver` after a heartbeat has detected that another run closed this one."""

        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            if self._taken_over is not None:
                raise self._taken_over
            return call(*args, **kwargs)

        return called

    def published(self, generation: int) -> None:
        """Set the published generation; written at the end of the run."""
        with self._lock:
            self.run = replace(self.run, generation=generation)

    def unchanged(self, generation: int) -> None:
        """Set that `generation` needs no change; written at the end of the run."""
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
            # A missed heartbeat is harmless: publishing checks that the run is still open.
            with contextlib.suppress(ServiceError), self._lock:
                if self._ended.is_set():  # ended while waiting for the lock
                    return
                self.run = replace(self.run, heartbeat_at_ms=self._clock())
                try:
                    self._ledger.update(self.run)
                except RunTakenOver as error:
                    self._taken_over = error
                    return


def _log_run(event: str, level: str = "info", **fields: object) -> None:
    """Log an event of the current run with ``COMMAND_LOG=json``; otherwise commands print text for people."""
    if is_log_json():
        with contextlib.suppress(OSError, ValueError):  # a closed pipe of the log does not fail the run
            log_event(event, level, **fields)


def _log_ended(run: Run) -> None:
    """Log the result of `run`: level ``error`` if it failed, ``warning`` if it has rejects or warnings."""
    level = "error" if not run.succeeded else "warning" if run.degraded or run.warnings else "info"
    took_ms = (run.ended_at_ms or run.heartbeat_at_ms) - run.started_at_ms
    _log_run(
        "run-ended",
        level,
        status=str(run.status),
        seconds=max(0, took_ms) / 1000,
        **asdict(run.counts),
        rejects_by_reason=run.rejects_by_reason,
        days_changed=run.days_changed,
        generation=run.generation,
        quarantine=run.quarantine,
        rejects_kept=run.rejects_kept,
        rejects_not_kept=run.rejects_not_kept,
        warnings=run.warnings,
        error=run.error,
    )
