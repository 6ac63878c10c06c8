"""The sweep: queues every due notification that is not queued, so that a lost queue loses no message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from core.instants import Clock
from core.stores.notifications import NotificationStore

_BATCH: Final = 500


class Sweep:
    """Queues due notifications.

    :param queue: queues a notification; raises if the broker does not accept it.
    :param queue_capacity: how many more messages the queue may hold, so that a backlog does not fill Redis.
    :param again_after_s: a notification that is still due after this time is queued again.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(
        self,
        store: NotificationStore,
        queue: Callable[[str], None],
        queue_capacity: Callable[[], int],
        *,
        again_after_s: float,
        clock: Clock,
    ) -> None:
        self._store = store
        self._queue = queue
        self._queue_capacity = queue_capacity
        self._again_after_ms = round(again_after_s * 1000)
        self._clock = clock

    def run(self) -> int:
        """Queue the notifications that are due, the longest waiting first; returns their number.

        :raises StoreUnavailable: the store does not answer.
        """
        now_ms = self._clock()
        queued = 0
        capacity = self._queue_capacity()
        while capacity > 0:
            batch = self._store.due(now_ms, min(_BATCH, capacity))
            if not batch:
                break
            for notification_id in batch:
                self._queue(notification_id)
            # After queueing: a crash in between queues a notification twice, and it is still sent once.
            self._store.postpone(batch, now_ms, now_ms + self._again_after_ms)
            queued += len(batch)
            capacity -= len(batch)
        return queued
