"""Counts partitions on threads of this process."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Final, TypeVar

from jobs.partitions.checkpoint import Checkpoint
from jobs.partitions.count_partition import CountingState, CountPlan, PartitionCount, PartitionResult
from jobs.partitions.merging import Merger, Task
from jobs.sources.chunks import Buffer

_TICK_S: Final = 0.1
_STOP_S: Final = 1.0
_AHEAD: Final = 8
"""Partitions per thread that may be started beyond the first unmerged one."""
_AHEAD_ROWS: Final = 2_097_152
"""No partition is started while unmerged results have this many rows, which bounds memory."""

T = TypeVar("T")


def in_thread(call: Callable[[], T]) -> T:
    """Run `call` on another thread; returns or raises its result.

    The main thread thus handles signals at once even while `call` waits for an idle pipe.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=work, name="opening", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_TICK_S)
    return outcome.result()


def run_locally(
    merger: Merger,
    plan: CountPlan,
    threads: int,
    state: CountingState,
    tick: Callable[[], None],
    checkpoint: Checkpoint | None = None,
) -> None:
    """Count all partitions of `merger`.

    :param threads: partitions counted at a time; threads without a partition help with those in progress.
    :param tick: called several times a second on the calling thread; its exceptions end the counting.
    :param checkpoint: stores results and provides stored ones.
    :raises ServiceError: the first error of a source.
    """
    if merger.is_complete:
        return
    _LocalRun(merger, plan, threads, state, checkpoint).run(tick)


class _LocalRun:
    def __init__(
        self, merger: Merger, plan: CountPlan, threads: int, state: CountingState, checkpoint: Checkpoint | None
    ) -> None:
        self._checkpoint = checkpoint
        self._merger = merger
        self._plan = plan
        self._state = state
        self._waiting = deque(merger.tasks)
        self._begun: dict[int, tuple[Task, PartitionCount]] = {}
        self._ahead = _AHEAD * threads
        self._next = 0
        self._waiting_rows: dict[int, int] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._results: queue.SimpleQueue[tuple[Task, PartitionResult] | BaseException] = queue.SimpleQueue()
        # Daemon threads, so that a thread that waits for an idle pipe does not block the exit.
        self._threads = [threading.Thread(target=self._work, name=f"count-{i}", daemon=True) for i in range(threads)]

    def run(self, tick: Callable[[], None]) -> None:
        for thread in self._threads:
            thread.start()
        ticked = time.monotonic()
        try:
            while not self._merger.is_complete:
                if time.monotonic() >= ticked + _TICK_S:
                    tick()
                    ticked = time.monotonic()
                with contextlib.suppress(queue.Empty):
                    found = self._results.get(timeout=_TICK_S)
                    if isinstance(found, BaseException):
                        raise found
                    self._merge(*found)
            tick()
        except BaseException:
            self._state.stop.set()
            raise
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            for thread in self._threads:
                thread.join(_STOP_S / len(self._threads))

    def _merge(self, task: Task, result: PartitionResult) -> None:
        again = self._merger.add(task, result)
        with self._changed:
            self._next = self._merger.next
            for number in [number for number in self._waiting_rows if number < self._next]:
                del self._waiting_rows[number]
            if again is not None:
                self._waiting.appendleft(again)
            self._changed.notify_all()

    def _work(self) -> None:
        buffer = Buffer(0)
        try:
            while (found := self._find_work()) is not None:
                task, count = found
                if count is None:
                    count = self._begin(task)
                if count is not None and count.work(buffer):
                    self._finish(task, count)
        except BaseException as error:
            self._results.put(error)

    def _begin(self, task: Task) -> PartitionCount | None:
        """Start counting a partition; None if the checkpoint has its result."""
        plan = self._plan_of(task)
        result = None if self._checkpoint is None else self._checkpoint.load(task.partition, plan)
        if result is not None:
            self._state.read(task.partition.size or 0, result.counts.read)
            self._hand_on(task, result)
            return None
        with self._changed:
            count = PartitionCount(task.partition, plan, self._state)
            self._begun[task.number] = task, count
            return count

    def _finish(self, task: Task, count: PartitionCount) -> None:
        with self._changed:
            del self._begun[task.number]
        result = count.result()
        if self._checkpoint is not None and not self._state.stop.is_set():
            takes_rejects = self._state.takes_rejects
            self._checkpoint.store(task.partition, self._plan_of(task), result, takes_rejects=takes_rejects)
        self._hand_on(task, result)

    def _hand_on(self, task: Task, result: PartitionResult) -> None:
        with self._changed:
            self._waiting_rows[task.number] = len(result.daily) + len(result.kinds)
        self._results.put((task, result))

    def _plan_of(self, task: Task) -> CountPlan:
        return self._plan if task.number == 0 else replace(self._plan, early_stop_after=None)

    def _find_work(self) -> tuple[Task, PartitionCount | None] | None:
        """A new task, or a task in progress with its counting; None if all are done."""
        with self._changed:
            while not self._ended:
                if self._waiting and self._may_begin(self._waiting[0].number):
                    return self._waiting.popleft(), None
                for task, count in self._begun.values():
                    if not count.ended:
                        return task, count
                self._changed.wait(_TICK_S)
            return None

    def _may_begin(self, number: int) -> bool:
        if number == self._next:
            return True  # other tasks wait for it
        return number < self._next + self._ahead and sum(self._waiting_rows.values()) < _AHEAD_ROWS
