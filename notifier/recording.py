"""Recording what happens to a log, also while the store fails or somebody else is faster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from core.errors import StoreUnavailable
from core.notifications.events import Event, EventKind, LogState, LogStatus, is_possible
from core.notifications.model import Notification
from core.stores.holders import Clock
from core.stores.notifications import NotificationStore

_LONGEST_ERROR: Final = 500
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class OpenLog:
    """A log for which something is to be done: it stood as `state` when it was last looked at."""

    notification: Notification
    channel: str
    state: LogState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt: see `core.notifications.events.Event`.

    :param maybe_sent: of a failure: the gateway may have the message all the same, and would recognise a repetition.
        Where none follows, as the log was cancelled meanwhile, that is ``unknown``.
    """

    kind: EventKind
    error: str | None = None
    until_ms: int | None = None
    reference: str | None = None
    maybe_sent: bool = False


class Watch(Protocol):
    """Is told what becomes of messages; raises nothing."""

    def happened(self, log: OpenLog, event: Event) -> None:
        """`event` has happened to `log`, which stands as its state says now."""


class Recorder:
    """Appends events to logs.

    :param worker: names this process in attempts, such as ``host:1234``.
    :param clock: milliseconds since 1970 UTC.
    :param sleep: waits for so many seconds.
    """

    def __init__(
        self,
        store: NotificationStore,
        watch: Watch,
        *,
        worker: str,
        clock: Clock,
        sleep: Callable[[float], object],
    ) -> None:
        self._store = store
        self._watch = watch
        self._worker = worker
        self._clock = clock
        self._sleep = sleep

    def claim(self, log: OpenLog, lease_ms: int) -> OpenLog | None:
        """Begin an attempt; None when somebody else was faster.

        :raises StoreUnavailable: it could not be written, or that is not known.
        """
        now_ms = self._clock()
        event = Event(log.state.number + 1, EventKind.ATTEMPT, now_ms, now_ms + lease_ms, worker=self._worker)
        try:
            state = self._store.append(log.notification, log.channel, log.state, event)
        except StoreUnavailable:
            found = self._found(log)
            if found is None or event not in found[1] or found[0].state.status is not LogStatus.SENDING:
                raise
            state = found[0].state  # the answer was lost, the claim was not
        return None if state is None else self._told(replace(log, state=state), event)

    def end(self, log: OpenLog, error: str) -> None:
        """Give up a log that nobody holds, unless somebody else was faster.

        :raises StoreUnavailable: it could not be written, or that is not known.
        """
        event = Event(log.state.number + 1, EventKind.DEAD, self._clock(), error=error[:_LONGEST_ERROR])
        state = self._store.append(log.notification, log.channel, log.state, event)
        if state is not None:
            self._told(replace(log, state=state), event)

    def outcome(self, log: OpenLog, outcome: Outcome) -> None:
        """Record what came of the attempt under way, also when somebody has cancelled the log meanwhile.

        While the store fails it is tried again until the lease of the attempt ends: what is not recorded by then,
        others take for broken off. Where others have judged already that stays, unless it is ``unknown`` to them.

        :raises StoreUnavailable: it could not be written until the lease ended.
        """
        lease_end_ms = log.state.due_at_ms or 0
        pause_s = _FIRST_PAUSE_S
        event: Event | None = None
        while True:
            try:
                if event is not None:
                    found = self._found(log)
                    if found is None:
                        return
                    now, events = found
                    if event in events:
                        self._told(now, event)  # written, though it did not seem so
                        return
                    if now.state.attempts != log.state.attempts:
                        return
                    log = now
                if not _takes(log.state, outcome.kind):
                    return
                event = self._event(log.state, outcome)
                state = self._store.append(log.notification, log.channel, log.state, event)
                if state is not None:
                    self._told(replace(log, state=state), event)
                    return
            except StoreUnavailable:
                if self._clock() + pause_s * 1000 >= lease_end_ms:
                    raise
                self._sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _event(self, state: LogState, outcome: Outcome) -> Event:
        kind, until_ms = outcome.kind, outcome.until_ms
        if state.cancelling and outcome.maybe_sent:
            kind, until_ms = EventKind.UNKNOWN, None
        error = None if outcome.error is None else outcome.error[:_LONGEST_ERROR]
        return Event(state.number + 1, kind, self._clock(), until_ms, error, outcome.reference)

    def _found(self, log: OpenLog) -> tuple[OpenLog, tuple[Event, ...]] | None:
        kept = self._store.get(log.notification.id)
        if kept is None:
            return None
        found = kept.log(log.channel)
        return replace(log, state=found.state), found.events

    def _told(self, log: OpenLog, event: Event) -> OpenLog:
        self._watch.happened(log, event)
        return log


def _takes(state: LogState, kind: EventKind) -> bool:
    """Whether a log that stands so takes the outcome of its last attempt."""
    return state.status in (LogStatus.SENDING, LogStatus.UNKNOWN) and is_possible(state, kind)
