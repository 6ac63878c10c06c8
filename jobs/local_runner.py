"""Counting partitions on the threads of this process."""

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

from jobs.merging import Merger, Task
from jobs.partitions import PartitionCount, PartitionResult, Plan, Watch
from jobs.sources.chunks import Buffer

_TICK_S: Final = 0.1
_STOP_S: Final = 1.0
_AHEAD: Final = 8
"""How many partitions are begun for each thread beyond the first that is not merged, which bounds memory."""

T = TypeVar("T")


def in_background(call: Callable[[], T]) -> T:
    """What `call` returns or raises, called on another thread.

    A signal is thus heard at once also while `call` waits for a pipe that says nothing.
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


def run_locally(merger: Merger, plan: Plan, threads: int, watch: Watch, tick: Callable[[], None]) -> None:
    """Count all partitions of `merger`.

    :param threads: how many partitions are counted at a time; threads that find no more help those that are at work.
    :param tick: called on the calling thread some times a second; what it raises ends the counting.
    :raises ServiceError: the earliest that is wrong with a source.
    """
    if merger.is_complete:
        return
    _LocalRun(merger, plan, threads, watch).run(tick)


class _LocalRun:
    def __init__(self, merger: Merger, plan: Plan, threads: int, watch: Watch) -> None:
        self._merger = merger
        self._plan = plan
        self._watch = watch
        self._waiting = deque(merger.tasks)
        self._begun: dict[int, PartitionCount] = {}
        self._tasks: dict[int, Task] = {}
        self._ahead = _AHEAD * threads
        self._next = 0
        self._changed = threading.Condition()
        self._ended = False
        self._results: queue.SimpleQueue[tuple[Task, PartitionResult] | BaseException] = queue.SimpleQueue()
        # Daemon threads: one that waits for a silent pipe must not hold up the end of the program.
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
            self._watch.stop.set()
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
            if again is not None:
                self._waiting.appendleft(again)
            self._changed.notify_all()

    def _work(self) -> None:
        buffer = Buffer(0)
        try:
            while (found := self._find_work()) is not None:
                task, count = found
                if count.work(buffer):
                    with self._changed:
                        del self._begun[task.number]
                    self._results.put((task, count.result()))
        except BaseException as error:
            self._results.put(error)

    def _find_work(self) -> tuple[Task, PartitionCount] | None:
        """A partition to begin, or one to help with; None when all is done."""
        with self._changed:
            while not self._ended:
                if self._waiting and self._waiting[0].number < self._next + self._ahead:
                    task = self._waiting.popleft()
                    plan = self._plan if task.number == 0 else replace(self._plan, hopeless=None)
                    count = self._begun[task.number] = PartitionCount(task.partition, plan, self._watch)
                    self._tasks[task.number] = task
                    return task, count
                for number, count in sorted(self._begun.items()):
                    if count.is_open:
                        return self._tasks[number], count
                self._changed.wait(_TICK_S)
            return None
