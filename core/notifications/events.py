"""The events of one log, which is the delivery of one notification over one channel.

Events are numbered 1, 2, 3, …, and each is inserted with a unique id: ``<log id>:<number>``. If two processes insert
number n, the second fails and reads the events again. Nothing is ever updated, so this is correct on servers whose
updates are not atomic, and after a crash at any instant. The state of a log is folded from its events::

    (none) -> pending ── attempt ──> sending ── success ──> success
                                       │ ├───── printed ──> printed ── retry ──> pending
                                       │ └───── unknown ──> unknown ── retry ──> pending
                                       ├─────── dead ─────> dead ───── retry ──> pending
                                       └─ failed, maybe ──> retrying ─ attempt ─> sending
    pending, retrying ── dead ──> dead;  pending, retrying ── cancel ──> cancelled
    sending ── cancel ──> sending, and no further attempt after this one: failed, maybe ──> cancelled
    unknown ── success ──> success; unknown ── dead ──> dead: as the gateway reports later

After a ``maybe`` the gateway may have the message: until a success or a retry, what would end as ``dead``,
``cancelled`` or ``printed`` ends as ``unknown``.

`LogState.attempts` is the number of the last attempt: a worker that reads a log again compares it with the number of
its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class LogStatus(StrEnum):
    """The status of a log. `PENDING`, `SENDING` and `RETRYING` are open; the others are final until a retry.

    `DEAD` is a dead letter: it was not delivered, and is not tried again without a retry.
    `PRINTED`: the sender ``print`` only logged the message. `RETRYING` was ``failed`` in earlier versions, which is
    still read.

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
    """The kinds of events of a log.

    `MAYBE` is a failure after which the gateway may have the message, and would recognise a repetition.
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
    """An event of a log.

    :param number: 1 for the first event of the log.
    :param at_ms: milliseconds since 1970 UTC.
    :param until_ms: of an attempt: when its lease ends, and its worker may no longer send; of `FAILED` and
        `MAYBE`: when the next attempt is due; of the other kinds None.
    :param error: what failed, without secrets; or None.
    :param reference: the gateway's id of the message, or None.
    :param worker: the process of the attempt, such as ``host:1234``; or None.
    :param sender: the sender of the attempt, as in ``NOTIFY_SENDERS``; or None, as in attempts of earlier versions.
    :raises ValueError: `until_ms` is missing, or the kind has none.
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
    """The state of a log after its first `number` events.

    :param attempts: the number of attempts that were begun.
    :param attempts_since_retry: the number since the last retry, which an operator or client requests.
    :param last_attempt_at_ms: when the last attempt began.
    :param error_message: of the last event that had one; None after a success, a printed message or a retry.
    :param due_at_ms: when the next attempt is due, or the lease of the current one ends; None if it is not open.
    :param reference: the gateway's id of the message of the last attempt, if known.
    :param maybe_sent: whether the gateway may have the message of an attempt since the last retry.
    :param editions: the number of retries after it was dead.
    :param cancelling: whether it was cancelled during the current attempt.
    :param finished_at_ms: when it was finished; None while it is open.
    :param opened_at_ms: when it was created or last retried.
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
        """Whether the delivery is not finished."""
        return self.status in OPEN


class NotPossible(Exception):
    """The event is not possible in this state of the log: read it again, or report an error."""


OPEN: Final = frozenset({LogStatus.PENDING, LogStatus.SENDING, LogStatus.RETRYING})
"""The statuses of logs whose delivery is not finished."""

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
    LogStatus.SENDING: frozenset(EventKind) - {EventKind.ATTEMPT, EventKind.RETRY},
    LogStatus.RETRYING: frozenset({EventKind.ATTEMPT, EventKind.DEAD, EventKind.CANCEL}),
    LogStatus.DEAD: frozenset({EventKind.RETRY}),
    LogStatus.UNKNOWN: frozenset({EventKind.RETRY, EventKind.SUCCESS, EventKind.DEAD}),
    LogStatus.PRINTED: frozenset({EventKind.RETRY}),
    LogStatus.SUCCESS: frozenset(),
    LogStatus.CANCELLED: frozenset(),
}


RETRIABLE: Final = frozenset(status for status, kinds in _POSSIBLE.items() if EventKind.RETRY in kinds)
"""The statuses of logs that may be sent again."""


def initial_state(created_at_ms: int) -> LogState:
    """The state of a log without events; it is due at once."""
    return LogState(LogStatus.PENDING, 0, 0, 0, None, None, created_at_ms, opened_at_ms=created_at_ms)


def apply_event(state: LogState, event: Event) -> LogState:
    """The state after `state` and `event`.

    :raises NotPossible: its number is not the next one, or its kind is not possible in `state`.
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
    """Whether a log in `state` can get an event of `kind`. An attempt can be cancelled once."""
    return kind in _POSSIBLE[state.status] and not (kind is EventKind.CANCEL and state.cancelling)


def fold_events(created_at_ms: int, events: Iterable[Event]) -> LogState:
    """The state of a log after `events`, which are in the order of their numbers.

    :raises NotPossible: they do not follow each other.
    """
    state = initial_state(created_at_ms)
    for event in events:
        state = apply_event(state, event)
    return state
