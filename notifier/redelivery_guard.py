"""The guard against poison messages: it counts deliveries that began and did not end.

A message whose process died is redelivered at once, or the sweep queues it again. Without a guard, a message that
crashes every process would do so for ever. A recorded attempt shows that a message may have been sent. This guard is
for crashes before an attempt is recorded, or during a status lookup. A delivery that fails with an unexpected exception
counts as a crash, because it would be repeated for ever too. Counts are in the Redis of the broker; a first delivery is
not counted, so that most messages cost nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from celery import Celery
from kombu.exceptions import OperationalError

from core.errors import ServiceError
from core.event_log import log_event
from core.instants import Clock, wall_clock_ms
from core.notifications.broker import query_redis

_PREFIX: Final = "notifier:looks:"
_FORGOTTEN_AFTER_S: Final = 86_400


class RedeliveryCounter(Protocol):
    """Counts deliveries that began and did not end."""

    def begun(self, what: str) -> int:
        """Count a delivery of `what`; returns how many did not end before, plus this one. 0 if nothing is counted."""

    def ended(self, what: str) -> None:
        """Forget the count of `what`: its delivery has ended."""


@contextmanager
def guarded(redeliveries: RedeliveryCounter | None, what: str) -> Iterator[int]:
    """Deliver `what` in the block; yields how many deliveries did not end before, plus this one.

    The delivery has ended when the block succeeds, or fails for another reason than `what`, such as a store that does
    not answer. After any other error it remains counted.

    :param redeliveries: None for the first delivery of a message, which is not counted: yields 0.
    """
    if redeliveries is None:
        yield 0
        return
    begun = redeliveries.begun(what)
    try:
        yield begun
    except ServiceError:
        redeliveries.ended(what)
        raise
    redeliveries.ended(what)


class RedisRedeliveryCounter:
    """For a message that was redelivered or swept: counts in the Redis of the broker, for a day.

    Another process may have another message about the same notification at this moment. So an earlier delivery counts
    as crashed only if it was of this message, which one process has at a time, or if it began longer ago than a task
    may take.

    :param message_id: the id of the Celery message, which it keeps when it is redelivered.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, app: Celery, message_id: str, clock: Clock = wall_clock_ms) -> None:
        self._app = app
        self._message_id = message_id
        self._longest_ms = float(app.conf.task_time_limit) * 1000
        self._clock = clock

    def begun(self, what: str) -> int:
        """0 while Redis does not answer."""
        return self._ask(lambda client: self._begun(client, what))

    def ended(self, what: str) -> None:
        self._ask(lambda client: int(client.delete(_PREFIX + what)))

    def _begun(self, client: Any, what: str) -> int:
        name, now_ms = _PREFIX + what, self._clock()
        with client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(name)
            pipeline.hset(name, f"{self._message_id}:{secrets.token_hex(4)}", now_ms)
            pipeline.expire(name, _FORGOTTEN_AFTER_S)
            before = {_text(delivery): int(began_ms) for delivery, began_ms in pipeline.execute()[0].items()}
        broken_off = sum(
            delivery.startswith(f"{self._message_id}:") or now_ms - began_ms > self._longest_ms
            for delivery, began_ms in before.items()
        )
        if broken_off:
            log_event("look-broken-off", "warning", what=what, times=broken_off)
        return broken_off + 1

    def _ask(self, question: Callable[[Any], int]) -> int:
        try:
            return query_redis(self._app, question)
        except OperationalError:
            return 0


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
