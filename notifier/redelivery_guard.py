"""Counting looks that were begun and not ended, because whatever they met ended the process that looked.

A message whose process died comes back to the queue at once, or is queued again by the sweep, and so for ever if it
ends every process. What was sent, or may have been, is known by its attempt; this is for what dies before an attempt
is recorded, or while one is judged. A look that fails with what nobody foresaw counts like one that ended its process:
it would be repeated for ever too. Looks are remembered in the broker, but for those at a message that comes for the
first time: most never come again, and so cost nothing.
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
from core.notifications.broker import asking_redis
from core.stores.run_lock import Clock, wall_clock_ms

_PREFIX: Final = "notifier:looks:"
_FORGOTTEN_AFTER_S: Final = 86_400


class Looks(Protocol):
    """Counts looks."""

    def begun(self, what: str) -> int:
        """A look at `what` begins; how many were broken off before, and this one. 0 where nobody counts."""

    def ended(self, what: str) -> None:
        """The look at `what` is over."""


@contextmanager
def looking(looks: Looks, what: str) -> Iterator[int]:
    """A look at `what`, in the block; gives how many were broken off before, and this one.

    It is over when the block ends well, or with an error that says nothing against `what`, such as a store that does
    not answer. Any other is held against it.
    """
    begun = looks.begun(what)
    try:
        yield begun
    except ServiceError:
        looks.ended(what)
        raise
    looks.ended(what)


class UncountedLooks:
    """Looks at a message that is delivered for the first time."""

    def begun(self, what: str) -> int:
        """Not counted."""
        return 0

    def ended(self, what: str) -> None:
        """Not counted."""


class CountedLooks:
    """Looks at a message that has come back or was swept, remembered in the Redis of the broker for a day.

    Another message about the same notification may be with a second process at this moment. So a look was broken off
    for certain only if it was at this very message, which is with one process at a time, or if it began longer ago than
    a task may take.

    :param message_id: which it is: it keeps its id when it comes back.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, app: Celery, message_id: str, clock: Clock = wall_clock_ms) -> None:
        self._app = app
        self._message_id = message_id
        self._longest_ms = float(app.conf.task_time_limit) * 1000
        self._clock = clock

    def begun(self, what: str) -> int:
        """See `Looks`; 0 while Redis does not answer."""
        return self._ask(lambda client: self._begun(client, what))

    def ended(self, what: str) -> None:
        """See `Looks`. Nothing is held against it any more."""
        self._ask(lambda client: int(client.delete(_PREFIX + what)))

    def _begun(self, client: Any, what: str) -> int:
        name, now_ms = _PREFIX + what, self._clock()
        with client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(name)
            pipeline.hset(name, f"{self._message_id}:{secrets.token_hex(4)}", now_ms)
            pipeline.expire(name, _FORGOTTEN_AFTER_S)
            before = {_text(look): int(began_ms) for look, began_ms in pipeline.execute()[0].items()}
        broken_off = sum(
            look.startswith(f"{self._message_id}:") or now_ms - began_ms > self._longest_ms
            for look, began_ms in before.items()
        )
        if broken_off:
            log_event("look-broken-off", "warning", what=what, times=broken_off)
        return broken_off + 1

    def _ask(self, question: Callable[[Any], int]) -> int:
        try:
            return asking_redis(self._app, question)
        except OperationalError:
            return 0


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
