"""Appends events to the log of a message, with retries while the store fails or another worker appends too."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol

from core.errors import ServiceError, StoreUnavailable
from core.instants import Clock
from core.notifications.events import Event, EventKind, LogState, LogStatus, is_possible
from core.notifications.model import Notification
from core.stores.notifications import NotificationStore

_LONGEST_ERROR: Final = 500
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class OpenLog:
    """A log that is due, with its `state` when it was last read."""

    notification: Notification
    channel: str
    state: LogState


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt: see `core.notifications.events.Event`.

    :param parts: the number of short messages that were paid for, or None; see `notifier.senders.base.Receipt`.
    :param moved_to: the new address of the receiver, or None; see there.
    """

    kind: EventKind
    error: str | None = None
    until_ms: int | None = None
    reference: str | None = None
    parts: int | None = None
    moved_to: str | None = None


class DeliveryObserver(Protocol):
    """Receives each event of a delivery; raises nothing."""

    def happened(self, log: OpenLog, event: Event, *, attempted: bool, parts: int | None) -> None:
        """`event` was appended to `log`, whose state already includes it.

        :param attempted: whether the event is the outcome of an attempt.
        :param parts: the number of short messages that were paid for, if known.
        """


class Recorder:
    """Appends events to logs.

    :param worker: the name of this process in attempts, such as ``host:1234``.
    :param clock: milliseconds since 1970 UTC.
    :param sleep: waits for so many seconds.
    """

    def __init__(
        self,
        store: NotificationStore,
        observer: DeliveryObserver,
        *,
        worker: str,
        clock: Clock,
        sleep: Callable[[float], object],
    ) -> None:
        self._store = store
        self._observer = observer
        self._worker = worker
        self._clock = clock
        self._sleep = sleep

    def claim(self, log: OpenLog, lease_ms: int, sender: str | None) -> OpenLog | None:
        """Begin an attempt; None if another worker was faster.

        :param sender: the name of the sender in ``NOTIFY_SENDERS``.
        :raises StoreUnavailable: it was not written, or may have been.
        """
        now_ms = self._clock()
        event = Event(
            log.state.number + 1, EventKind.ATTEMPT, now_ms, now_ms + lease_ms, worker=self._worker, sender=sender
        )
        try:
            state = self._store.append(log.notification, log.channel, log.state, event)
        except StoreUnavailable:
            found = self._found(log)
            if found is None or event not in found[1] or found[0].state.status is not LogStatus.SENDING:
                raise
            state = found[0].state  # the claim was written, and only the response was lost
        return None if state is None else self._observed(replace(log, state=state), event)

    def end(self, log: OpenLog, error: str) -> None:
        """Give up a log without an attempt in progress, unless another worker was faster.

        :raises StoreUnavailable: it was not written, or may have been.
        """
        event = Event(log.state.number + 1, EventKind.DEAD, self._clock(), error=error[:_LONGEST_ERROR])
        state = self._store.append(log.notification, log.channel, log.state, event)
        if state is not None:
            self._observed(replace(log, state=state), event)

    def outcome(self, log: OpenLog, outcome: Outcome) -> None:
        """Record the outcome of the current attempt, also if the log was cancelled in the meantime.

        While the store fails, recording is retried until the lease of the attempt ends: after that, the attempt counts
        as crashed. A task that has to end before then tries once more. An outcome that another worker has recorded
        already remains, unless it is ``unknown``.

        :raises StoreUnavailable: it could not be written before the lease ended.
        """
        tried: list[Event] = []
        try:
            self._until_recorded(log, outcome, tried)
        except ServiceError:
            raise
        except Exception:  # the soft time limit: no other process knows this outcome
            with suppress(ServiceError):
                self._recorded(log, outcome, tried)
            raise

    def _until_recorded(self, log: OpenLog, outcome: Outcome, tried: list[Event]) -> None:
        lease_end_ms = log.state.due_at_ms or 0
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                if self._recorded(log, outcome, tried):
                    return
            except StoreUnavailable:
                if self._clock() + pause_s * 1000 >= lease_end_ms:
                    raise
                self._sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _recorded(self, log: OpenLog, outcome: Outcome, tried: list[Event]) -> bool:
        """Try once; whether recording is finished.

        :param tried: the events that may have been written so far; the next event is added.
        """
        if tried:
            found = self._found(log)
            if found is None:
                return True
            now, events = found
            if written := [event for event in tried if event in events]:
                self._observed(now, written[0], attempted=True, parts=outcome.parts)  # written, in spite of the error
                return True
            if now.state.attempts != log.state.attempts:
                return True
            log = now
        if not _takes(log.state, outcome.kind):
            return True
        error = None if outcome.error is None else outcome.error[:_LONGEST_ERROR]
        number = log.state.number + 1
        event = Event(number, outcome.kind, self._clock(), outcome.until_ms, error, outcome.reference)
        tried.append(event)
        state = self._store.append(log.notification, log.channel, log.state, event)
        if state is None:
            return False
        self._observed(replace(log, state=state), event, attempted=True, parts=outcome.parts)
        return True

    def _found(self, log: OpenLog) -> tuple[OpenLog, tuple[Event, ...]] | None:
        stored = self._store.get(log.notification.id)
        if stored is None:
            return None
        found = stored.log(log.channel)
        return replace(log, state=found.state), found.events

    def _observed(self, log: OpenLog, event: Event, *, attempted: bool = False, parts: int | None = None) -> OpenLog:
        self._observer.happened(log, event, attempted=attempted, parts=parts)
        return log


def _takes(state: LogState, kind: EventKind) -> bool:
    """Whether a log in this state accepts the outcome of its last attempt."""
    return state.status in (LogStatus.SENDING, LogStatus.UNKNOWN) and is_possible(state, kind)
