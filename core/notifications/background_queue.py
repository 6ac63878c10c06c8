"""Queueing in a background thread: no request waits for the broker. The sweep queues what is dropped here."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Final

QUEUE_LIMIT: Final = 10_000
"""The largest number of messages in the broker's queue; further ones stay in the store, where they are safe."""

_MOST_WAITING: Final = 10_000
_PAUSE_S: Final = 1.0


class BackgroundQueue:
    """Passes ids to `send`, one at a time, in its own thread.

    It only speeds up delivery: while the broker fails or has no capacity, ids are dropped.

    :param send: queues an id at the broker, or raises; runs in the context of the request
        (`core.event_log.current_context`).
    :param capacity: how many more ids the broker may take, called at most once a second; raises if it does not answer.
    """

    def __init__(self, send: Callable[[str], object], capacity: Callable[[], int] = lambda: QUEUE_LIMIT) -> None:
        self._send = send
        self._ask_capacity = capacity
        self._capacity = 0
        self._capacity_until = float("-inf")
        self._broken_until = float("-inf")
        self._starting = threading.Lock()
        self._process: int | None = None

    def offer(self, notification_id: str) -> None:
        """Queue the notification soon, or drop it; returns at once."""
        with self._starting:
            if self._process != os.getpid():
                self._start()
        with suppress(queue.Full):
            self._waiting.put_nowait((copy_context(), notification_id))

    def _start(self) -> None:
        """Start the thread of this process with an empty queue: ids that wait in the parent process are not of it."""
        self._waiting: queue.Queue[tuple[Context, str]] = queue.Queue(_MOST_WAITING)
        threading.Thread(target=self._run, name="queueing", daemon=True).start()
        self._process = os.getpid()

    def _run(self) -> None:
        while True:
            context, notification_id = self._waiting.get()
            if time.monotonic() < self._broken_until:
                continue
            try:
                if self._has_capacity():
                    context.run(self._send, notification_id)
            except Exception:  # any error of the broker's driver: the sweep queues the message later
                self._broken_until = time.monotonic() + _PAUSE_S

    def _has_capacity(self) -> bool:
        """Whether the broker may take one more, by the capacity that was read last."""
        if time.monotonic() >= self._capacity_until:
            self._capacity = self._ask_capacity()
            self._capacity_until = time.monotonic() + _PAUSE_S
        self._capacity -= 1
        return self._capacity >= 0
