"""Queueing outside of a request: whoever asks never waits for the broker, and what is lost here the sweep finds."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

QUEUE_LIMIT: Final = 10_000
"""Most messages that the broker's queue shall hold; the rest stays in the store, where it is safe."""

_MOST_WAITING: Final = 10_000
_PAUSE_S: Final = 1.0


class BackgroundQueue:
    """Hands ids to `send`, one after the other, in a thread of its own that starts with the first.

    Nothing depends on it but how soon a message goes out: while the broker fails or has no room, what is offered is
    dropped.

    :param send: gives an id to the broker; raises when that does not take it.
    :param room: how many more the broker shall take, asked once a second at most; raises when it does not answer.
    """

    def __init__(self, send: Callable[[str], object], room: Callable[[], int] = lambda: QUEUE_LIMIT) -> None:
        self._send = send
        self._ask_room = room
        self._room = 0
        self._room_until = float("-inf")
        self._waiting: queue.Queue[str] = queue.Queue(_MOST_WAITING)
        self._starting = threading.Lock()
        self._started = False
        self._broken_until = float("-inf")

    def offer(self, notification_id: str) -> None:
        """Queue the notification soon, or never; returns at once."""
        with self._starting:
            if not self._started:  # not before: a thread does not survive the fork of a server
                threading.Thread(target=self._run, name="queueing", daemon=True).start()
                self._started = True
        with suppress(queue.Full):
            self._waiting.put_nowait(notification_id)

    def _run(self) -> None:
        while True:
            notification_id = self._waiting.get()
            if time.monotonic() < self._broken_until:
                continue
            try:
                if self._has_room():
                    self._send(notification_id)
            except Exception:  # whatever a broker's driver raises: the sweep will queue it
                self._broken_until = time.monotonic() + _PAUSE_S

    def _has_room(self) -> bool:
        """Whether the broker shall take one more, as far as is known without asking it each time."""
        if time.monotonic() >= self._room_until:
            self._room = self._ask_room()
            self._room_until = time.monotonic() + _PAUSE_S
        self._room -= 1
        return self._room >= 0
