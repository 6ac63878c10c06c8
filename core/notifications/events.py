"""The events of one log, which is the delivery of one notification over one channel.

Events are numbered 1, 2, 3, … and each is inserted under an id that can exist once: ``<log id>:<number>``. The process
that inserts number n decides what happened after n-1; a later one reads the events again. Nothing is ever updated, so
this is correct on servers whose updates are not atomic, and after a crash at any instant. The state of a log is folded
from its events::

    (none) -> pending ── attempt ──> sending ── success ──> success
                                       │ ├───── printed ──> printed ── retry ──> pending
                                       │ └───── unknown ──> unknown ── retry ──> pending
                                       ├─────── dead ─────> dead ───── retry ──> pending
                                       └─ failed, maybe ──> retrying ─ attempt ─> sending
    pending, retrying ── dead ──> dead;  pending, retrying ── cancel ──> cancelled
    sending ── cancel ──> sending, and no further attempt after this one: failed, maybe ──> cancelled
    unknown ── success ──> success, when the gateway says so later; unknown ── dead ──> dead, when it says otherwise

After a ``maybe`` the gateway may have the message: until it succeeds or somebody retries, what would end as ``dead``,
``cancelled`` or ``printed`` ends as ``unknown``.

The number of an attempt, counted by `LogState.attempts`, tells a worker that looks again whether the log still waits
for the outcome of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class LogStatus(StrEnum):
    """How a log stands. `PENDING`, `SENDING` and `RETRYING` are open; the others are final unless somebody retries.

    `PRINTED` is what was only logged, by the sender ``print``, and given to no gateway. `RETRYING` was ``failed`` in
    earlier versions, which is still read.

    >>> LogStatus("failed")
    <LogStatus.RETRYING: 'retrying'>
    """

    PENDING = "pending"
    SENDING = "sending"
    SUCCESS = "success"
    PRINTED = "printed"
    RETRYING = "retrying"
    DEAD = "dead"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"

    @classmethod
    def _missing_(cls, value: object) -> LogStatus | None:
        return cls.RETRYING if value == "failed" else None


class EventKind(StrEnum):
    """What can happen to a log.

    `MAYBE` is a failure after which the gateway may have the message all the same, and would recognise a repetition.
    `PRINTED` ends an attempt that only logged the message.
    """

    ATTEMPT = "attempt"
    SUCCESS = "success"
    PRINTED = "printed"
    FAILED = "failed"
    MAYBE = "maybe"
    DEAD = "dead"
    UNKNOWN = "unknown"
    CANCEL = "cancel"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a log.

    :param number: 1 for the first event of the log.
    :param at_ms: when, milliseconds since 1970 UTC.
    :param until_ms: of an attempt: when its lease ends, and its worker may no longer send; of `FAILED` and
        `MAYBE`: when the next attempt is due; of the other kinds None.
    :param error: what went wrong, in words, without secrets; or None.
    :param reference: what the gateway calls the message, or None.
    :param worker: the process that made the attempt, such as ``host:1234``; or None.
    :param sender: of an attempt, what it was sent with, as ``NOTIFY_SENDERS`` calls it; or None, as of attempts that
        an earlier version made.
    :raises ValueError: `until_ms` is missing, or is given where it means nothing.
    """

    number: int
    kind: EventKind
    at_ms: int
    until_ms: int | None = None
    error: str | None = None
    reference: str | None = None
    worker: str | None = None
    sender: str | None = None

    def __post_init__(self) -> None:
        if (self.until_ms is not None) != (self.kind in _TIMED):
            raise ValueError(f"an event {self.kind} {'needs' if self.until_ms is None else 'has no'} until_ms")


@dataclass(frozen=True, slots=True)
class LogState:
    """How a log stands after its first `number` events.

    :param attempts: how many were ever begun.
    :param attempts_since_retry: how many since somebody last asked for it to be sent again.
    :param last_attempt_at_ms: when the last one began.
    :param error_message: of the last event that had one; None once it succeeded, was printed, or somebody retried.
    :param due_at_ms: when the next attempt is due, or the lease of the one under way ends; None when it is not open.
    :param reference: what the gateway calls the message of the last attempt, as far as it said so.
    :param maybe_sent: whether the gateway may have the message of an earlier attempt, since the last retry.
    :param editions: how often somebody had it sent again after it was dead.
    :param cancelling: whether it was cancelled during the attempt under way.
    :param finished_at_ms: since when it is not open any more; None while it is.
    :param opened_at_ms: when it was made, or somebody last asked for it to be sent again.
    """

    status: LogStatus
    number: int
    attempts: int
    attempts_since_retry: int
    last_attempt_at_ms: int | None
    error_message: str | None
    due_at_ms: int | None
    reference: str | None = None
    maybe_sent: bool = False
    editions: int = 0
    cancelling: bool = False
    finished_at_ms: int | None = None
    opened_at_ms: int = 0

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done."""
        return self.status in OPEN


class NotPossible(Exception):
    """The event is not possible in this state of the log: the caller reads it again, or gets an error."""


OPEN: Final = frozenset({LogStatus.PENDING, LogStatus.SENDING, LogStatus.RETRYING})
"""The statuses of logs for which something is still to be done."""

_TIMED: Final = frozenset({EventKind.ATTEMPT, EventKind.FAILED, EventKind.MAYBE})
_SETTLES: Final = frozenset({EventKind.SUCCESS, EventKind.RETRY})
_NOT_SENT: Final = frozenset({LogStatus.DEAD, LogStatus.CANCELLED, LogStatus.PRINTED})
_ENDS: Final[Mapping[EventKind, LogStatus]] = {
    EventKind.SUCCESS: LogStatus.SUCCESS,
    EventKind.PRINTED: LogStatus.PRINTED,
    EventKind.DEAD: LogStatus.DEAD,
    EventKind.UNKNOWN: LogStatus.UNKNOWN,
    EventKind.CANCEL: LogStatus.CANCELLED,
}
_POSSIBLE: Final[Mapping[LogStatus, frozenset[EventKind]]] = {
    LogStatus.PENDING: frozenset({EventKind.ATTEMPT, EventKind.DEAD, EventKind.CANCEL}),
    LogStatus.SENDING: frozenset(
        {
            EventKind.SUCCESS,
            EventKind.PRINTED,
            EventKind.FAILED,
            EventKind.MAYBE,
            EventKind.DEAD,
            EventKind.UNKNOWN,
            EventKind.CANCEL,
        }
    ),
    LogStatus.RETRYING: frozenset({EventKind.ATTEMPT, EventKind.DEAD, EventKind.CANCEL}),
    LogStatus.DEAD: frozenset({EventKind.RETRY}),
    LogStatus.UNKNOWN: frozenset({EventKind.RETRY, EventKind.SUCCESS, EventKind.DEAD}),
    LogStatus.PRINTED: frozenset({EventKind.RETRY}),
    LogStatus.SUCCESS: frozenset(),
    LogStatus.CANCELLED: frozenset(),
}


RETRIABLE: Final = frozenset(status for status, kinds in _POSSIBLE.items() if EventKind.RETRY in kinds)
"""The statuses of logs that may be sent again."""


def initial(created_at_ms: int) -> LogState:
    """A log to which nothing has happened yet; it is due at once."""
    return LogState(LogStatus.PENDING, 0, 0, 0, None, None, created_at_ms, opened_at_ms=created_at_ms)


def after(state: LogState, event: Event) -> LogState:
    """The state that follows `state` when `event` happens.

    :raises NotPossible: it cannot: its number is not the next, or a log that stands so does not take such an event.
    """
    if event.number != state.number + 1 or not is_possible(state, event.kind):
        raise NotPossible(f"event {event.number}, {event.kind}, cannot follow event {state.number}: {state.status}")
    state = replace(
        state,
        number=event.number,
        reference=event.reference or state.reference,
        maybe_sent=event.kind is EventKind.MAYBE or (state.maybe_sent and event.kind not in _SETTLES),
    )
    match event.kind:
        case EventKind.ATTEMPT:
            return replace(
                state,
                status=LogStatus.SENDING,
                attempts=state.attempts + 1,
                attempts_since_retry=state.attempts_since_retry + 1,
                last_attempt_at_ms=event.at_ms,
                due_at_ms=event.until_ms,
                reference=event.reference,
            )
        case EventKind.RETRY:
            return replace(
                state,
                status=LogStatus.PENDING,
                editions=state.editions + (state.status is LogStatus.DEAD),
                attempts_since_retry=0,
                error_message=None,
                due_at_ms=event.at_ms,
                reference=None,
                finished_at_ms=None,
                opened_at_ms=event.at_ms,
            )
        case EventKind.CANCEL if state.status is LogStatus.SENDING:
            return replace(state, cancelling=True)
        case EventKind.FAILED | EventKind.MAYBE if not state.cancelling:
            error = event.error or state.error_message
            return replace(state, status=LogStatus.RETRYING, error_message=error, due_at_ms=event.until_ms)
    status = _ENDS.get(event.kind, LogStatus.CANCELLED)  # cancelled during an attempt that then failed
    if state.maybe_sent and status in _NOT_SENT:
        status = LogStatus.UNKNOWN
    error = None if status in (LogStatus.SUCCESS, LogStatus.PRINTED) else event.error or state.error_message
    return replace(
        state, status=status, error_message=error, due_at_ms=None, cancelling=False, finished_at_ms=event.at_ms
    )


def is_possible(state: LogState, kind: EventKind) -> bool:
    """Whether an event of `kind` can happen to a log that stands as `state`. It is cancelled once per attempt."""
    return kind in _POSSIBLE[state.status] and not (kind is EventKind.CANCEL and state.cancelling)


def fold(created_at_ms: int, events: Iterable[Event]) -> LogState:
    """How a log stands to which `events` have happened, in the order of their numbers.

    :raises NotPossible: they cannot have happened so.
    """
    state = initial(created_at_ms)
    for event in events:
        state = after(state, event)
    return state
