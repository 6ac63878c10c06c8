"""Queueing in a background thread: a request never waits for the broker, and the sweep queues what is lost here."""

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
"""Most messages that the broker's queue shall hold; the rest stays in the store, where it is safe."""

_MOST_WAITING: Final = 10_000
_PAUSE_S: Final = 1.0
_PREPARE_AFTER_S: Final = 2.0


class BackgroundQueue:
    """Hands ids to `send`, one after the other, in a thread of its own.

    Nothing depends on it but how soon a message goes out: while the broker fails or has no room, what is offered is
    dropped.

    :param send: gives an id to the broker; raises when that does not take it. It knows what the request was about
        (`core.event_log.what_about`).
    :param capacity: how many more the broker shall take, asked once a second at most; raises when it does not answer.
    :param prepare: what takes a while before the first can be sent, and can be done before there is one.
    """

    def __init__(
        self,
        send: Callable[[str], object],
        capacity: Callable[[], int] = lambda: QUEUE_LIMIT,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self._send = send
        self._ask_capacity = capacity
        self._prepare = prepare
        self._capacity = 0
        self._capacity_until = float("-inf")
        self._broken_until = float("-inf")
        self._starting = threading.Lock()
        self._process: int | None = None
        self._renew()

    def start(self) -> None:
        """Prepare in a moment, or when the first is offered; best called by the process that will offer them.

        One that was forked later has none of its threads, and begins anew when the first is offered.
        """
        with self._starting:
            if self._process != os.getpid():
                self._renew()
                threading.Thread(target=self._run, name="queueing", daemon=True).start()
                self._process = os.getpid()

    def _renew(self) -> None:
        """Nobody waits yet: whoever did so in the process that this one was forked from is not here."""
        self._waiting: queue.Queue[tuple[Context, str]] = queue.Queue(_MOST_WAITING)
        self._offered = threading.Event()

    def offer(self, notification_id: str) -> None:
        """Queue the notification soon, or never; returns at once."""
        self.start()
        self._offered.set()
        with suppress(queue.Full):
            self._waiting.put_nowait((copy_context(), notification_id))

    def _run(self) -> None:
        self._offered.wait(_PREPARE_AFTER_S)  # the first requests of a process that has just started come first
        with suppress(Exception):  # it will be tried again by whatever needs it
            self._prepare()
        while True:
            context, notification_id = self._waiting.get()
            if time.monotonic() < self._broken_until:
                continue
            try:
                if self._has_capacity():
                    context.run(self._send, notification_id)
            except Exception:  # whatever a broker's driver raises: the sweep will queue it
                self._broken_until = time.monotonic() + _PAUSE_S

    def _has_capacity(self) -> bool:
        """Whether the broker shall take one more, as far as is known without asking it each time."""
        if time.monotonic() >= self._capacity_until:
            self._capacity = self._ask_capacity()
            self._capacity_until = time.monotonic() + _PAUSE_S
        self._capacity -= 1
        return self._capacity >= 0
