"""The state machine of a delivery: every status with every kind of event, and random event histories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.notifications.events import (
    OPEN,
    Event,
    EventKind,
    LogState,
    LogStatus,
    NotPossible,
    apply_event,
    fold_events,
    initial_state,
    is_possible,
)

CREATED_AT_MS = 1_719_230_400_000
TIMED = (EventKind.ATTEMPT, EventKind.FAILED, EventKind.MAYBE)


def event(number: int, kind: EventKind, error: str | None = None, reference: str | None = None) -> Event:
    """The event of that number, a second after the one before; what it is until is a minute later."""
    at_ms = CREATED_AT_MS + number * 1000
    return Event(number, kind, at_ms, at_ms + 60_000 if kind in TIMED else None, error, reference)


def history(*kinds: EventKind) -> list[Event]:
    return [event(number, kind) for number, kind in enumerate(kinds, 1)]


A, S, P, F, M, D, U, C, R = (
    EventKind.ATTEMPT,
    EventKind.SUCCESS,
    EventKind.PRINTED,
    EventKind.FAILED,
    EventKind.MAYBE,
    EventKind.DEAD,
    EventKind.UNKNOWN,
    EventKind.CANCEL,
    EventKind.RETRY,
)
WAYS = {
    "pending": (),
    "retried": (A, D, R),
    "sending": (A,),
    "cancelling": (A, C),
    "retrying": (A, F),
    "maybe": (A, M),
    "sending after maybe": (A, M, A),
    "cancelling after maybe": (A, M, A, C),
    "retried after maybe": (A, M, D, R),
    "success": (A, S),
    "printed": (A, P),
    "dead": (A, D),
    "unknown": (A, U),
    "cancelled": (C,),
}
"""Events that lead to each status."""

NEXT: dict[str, dict[EventKind, LogStatus]] = {
    "pending": {A: LogStatus.SENDING, D: LogStatus.DEAD, C: LogStatus.CANCELLED},
    "retried": {A: LogStatus.SENDING, D: LogStatus.DEAD, C: LogStatus.CANCELLED},
    "sending": {
        S: LogStatus.SUCCESS,
        P: LogStatus.PRINTED,
        F: LogStatus.RETRYING,
        M: LogStatus.RETRYING,
        D: LogStatus.DEAD,
        U: LogStatus.UNKNOWN,
        C: LogStatus.SENDING,
    },
    "cancelling": {
        S: LogStatus.SUCCESS,
        P: LogStatus.PRINTED,
        F: LogStatus.CANCELLED,
        M: LogStatus.UNKNOWN,
        D: LogStatus.DEAD,
        U: LogStatus.UNKNOWN,
    },
    "retrying": {A: LogStatus.SENDING, D: LogStatus.DEAD, C: LogStatus.CANCELLED},
    "maybe": {A: LogStatus.SENDING, D: LogStatus.UNKNOWN, C: LogStatus.UNKNOWN},
    "sending after maybe": {
        S: LogStatus.SUCCESS,
        P: LogStatus.UNKNOWN,
        F: LogStatus.RETRYING,
        M: LogStatus.RETRYING,
        D: LogStatus.UNKNOWN,
        U: LogStatus.UNKNOWN,
        C: LogStatus.SENDING,
    },
    "cancelling after maybe": {
        S: LogStatus.SUCCESS,
        P: LogStatus.UNKNOWN,
        F: LogStatus.UNKNOWN,
        M: LogStatus.UNKNOWN,
        D: LogStatus.UNKNOWN,
        U: LogStatus.UNKNOWN,
    },
    "retried after maybe": {A: LogStatus.SENDING, D: LogStatus.DEAD, C: LogStatus.CANCELLED},
    "success": {},
    "printed": {R: LogStatus.PENDING},
    "dead": {R: LogStatus.PENDING},
    "unknown": {S: LogStatus.SUCCESS, D: LogStatus.DEAD, R: LogStatus.PENDING},
    "cancelled": {},
}
"""The transition table; other transitions are refused."""


@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.parametrize("state_name", WAYS)
def test_each_event_follows_the_transition_table_or_is_refused(state_name: str, kind: EventKind) -> None:
    state = fold_events(CREATED_AT_MS, history(*WAYS[state_name]))
    wanted = NEXT[state_name].get(kind)
    assert is_possible(state, kind) == (wanted is not None)
    if wanted is None:
        with pytest.raises(NotPossible, match=f"event {state.number + 1}, {kind}, cannot follow"):
            apply_event(state, event(state.number + 1, kind))
    else:
        assert apply_event(state, event(state.number + 1, kind)).status is wanted


@pytest.mark.parametrize("number", [-1, 0, 1, 3])
def test_only_the_next_event_number_is_accepted(number: int) -> None:
    sending = fold_events(CREATED_AT_MS, history(A))
    with pytest.raises(NotPossible):
        apply_event(sending, event(number, S))


def test_a_new_delivery_is_due_at_its_creation() -> None:
    state = initial_state(CREATED_AT_MS)
    assert (state.status, state.number, state.attempts) == (LogStatus.PENDING, 0, 0)
    assert state.due_at_ms == CREATED_AT_MS


def test_an_attempt_is_due_when_its_lease_ends_and_a_failure_when_the_next_attempt_is() -> None:
    attempt = Event(1, A, 5, until_ms=100, worker="host:1")
    sending = apply_event(initial_state(0), attempt)
    assert (sending.due_at_ms, sending.last_attempt_at_ms) == (100, 5)
    failed = apply_event(sending, Event(2, F, 20, until_ms=400, error="busy"))
    assert (failed.due_at_ms, failed.error_message) == (400, "busy")


@pytest.mark.parametrize("kind", EventKind)
def test_an_event_with_missing_or_extra_instants_is_invalid(kind: EventKind) -> None:
    with pytest.raises(ValueError, match="until_ms"):
        Event(1, kind, 0, until_ms=None if kind in TIMED else 1)


def test_the_last_error_is_shown_until_a_success() -> None:
    failed = fold_events(0, [event(1, A), event(2, F, "busy")])
    assert failed.error_message == "busy"
    sending = apply_event(failed, event(3, A))
    assert sending.error_message == "busy", "while it is tried again"
    assert apply_event(sending, event(4, F)).error_message == "busy"
    assert apply_event(sending, event(4, D, "no such number")).error_message == "no such number"
    assert apply_event(sending, event(4, S)).error_message is None
    assert apply_event(failed, event(3, C)).error_message == "busy"


def test_an_attempt_that_fails_after_cancellation_is_not_retried() -> None:
    state = fold_events(0, [event(1, A), event(2, C)])
    assert state.cancelling
    assert state.due_at_ms == event(1, A).until_ms, "its lease still runs"
    cancelled = apply_event(state, event(3, F, "busy"))
    assert (cancelled.status, cancelled.cancelling, cancelled.error_message) == (LogStatus.CANCELLED, False, "busy")


def test_retrying_resets_the_attempt_count_and_the_last_error() -> None:
    dead = fold_events(0, [event(1, A), event(2, F, "busy"), event(3, A), event(4, D, "gone", "r1")])
    assert (dead.attempts, dead.attempts_since_retry, dead.reference) == (2, 2, "r1")
    retried = apply_event(dead, event(5, R))
    assert (retried.attempts, retried.attempts_since_retry) == (2, 0)
    assert (retried.error_message, retried.reference, retried.finished_at_ms) == (None, None, None)
    assert retried.due_at_ms == event(5, R).at_ms
    assert apply_event(retried, event(6, A)).attempts == 3


def test_the_gateway_reference_is_that_of_the_last_attempt() -> None:
    failed = fold_events(0, [event(1, A), event(2, F, reference="r1")])
    assert failed.reference == "r1"
    sending = apply_event(failed, event(3, A))
    assert sending.reference is None
    unknown = apply_event(sending, event(4, U, reference="r2"))
    assert apply_event(unknown, event(5, S)).reference == "r2"


def test_a_delivery_is_finished_since_its_last_event() -> None:
    unknown = fold_events(0, history(A, U))
    assert unknown.finished_at_ms == event(2, U).at_ms
    assert apply_event(unknown, event(3, S)).finished_at_ms == event(3, S).at_ms


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Events that can follow one another, at instants in any order: the clocks of hosts differ."""
    state, events = initial_state(CREATED_AT_MS), list[Event]()
    for number in range(1, draw(st.integers(0, 30)) + 1):
        possible = [kind for kind in EventKind if is_possible(state, kind)]
        if not possible:
            break
        kind = draw(st.sampled_from(possible))
        at_ms = CREATED_AT_MS + draw(st.integers(-10_000, 10_000_000))
        until_ms = at_ms + draw(st.integers(0, 100_000)) if kind in TIMED else None
        texts = st.none() | st.text(max_size=5)
        events.append(Event(number, kind, at_ms, until_ms, draw(texts), draw(texts), draw(texts)))
        state = apply_event(state, events[-1])
    return events


def states(events: list[Event]) -> Iterator[tuple[LogState, list[Event]]]:
    for number in range(len(events) + 1):
        yield fold_events(CREATED_AT_MS, events[:number]), events[:number]


@given(histories())
def test_every_event_history_folds_to_a_consistent_state(events: list[Event]) -> None:
    for state, happened in states(events):
        kinds = [found.kind for found in happened]
        retried_at = max((number for number, kind in enumerate(kinds) if kind is R), default=-1)
        attempts_ms = [found.at_ms for found in happened if found.kind is A]
        assert state.number == len(happened)
        assert state.attempts == kinds.count(A)
        assert state.attempts_since_retry == kinds[retried_at + 1 :].count(A)
        assert state.last_attempt_at_ms == (attempts_ms[-1] if attempts_ms else None)
        assert state.is_open == (state.status in OPEN)
        assert state.is_open == (state.due_at_ms is not None)
        assert state.is_open == (state.finished_at_ms is None)
        assert (state.status is LogStatus.SENDING) or not state.cancelling
        if state.status in (LogStatus.SUCCESS, LogStatus.PRINTED):
            assert state.error_message is None


@given(histories())
def test_attempts_are_sequential_with_at_most_one_outcome_each(events: list[Event]) -> None:
    waiting = False
    for found in events:
        if found.kind is A:
            assert not waiting
            waiting = True
        elif found.kind in (S, P, F, M, U) or (found.kind is D and waiting):
            assert waiting or found.kind is S, "only a success comes later, after an outcome that nobody knew"
            waiting = False


@given(histories())
def test_success_and_cancelled_are_final(events: list[Event]) -> None:
    for state, happened in states(events):
        if state.status in (LogStatus.SUCCESS, LogStatus.CANCELLED):
            assert happened == events


@given(histories())
def test_after_an_ambiguous_attempt_the_status_is_never_dead_cancelled_or_printed(events: list[Event]) -> None:
    for state, happened in states(events):
        kinds = [found.kind for found in happened]
        retried_at = max((number for number, kind in enumerate(kinds) if kind is R), default=-1)
        if M in kinds[retried_at + 1 :]:
            assert state.status not in (LogStatus.DEAD, LogStatus.CANCELLED, LogStatus.PRINTED)


@given(histories(), st.integers(0, 30))
def test_an_event_history_with_a_gap_is_refused(events: list[Event], gap: int) -> None:
    if gap < len(events) - 1:
        with pytest.raises(NotPossible):
            fold_events(CREATED_AT_MS, events[:gap] + events[gap + 1 :])
    elif events:
        with pytest.raises(NotPossible):
            fold_events(CREATED_AT_MS, [*events, replace(events[-1])])


def test_the_retry_status_of_earlier_versions_is_still_read() -> None:
    assert LogStatus("failed") is LogStatus.RETRYING
    assert "failed" not in list(LogStatus)


def test_retrying_dead_begins_a_new_edition_and_retrying_unknown_does_not() -> None:
    events = history(D, R, A, U, R, D, R)
    editions = [fold_events(CREATED_AT_MS, events[:count]).editions for count in range(1, 8)]
    assert editions == [0, 1, 1, 1, 1, 1, 2]
