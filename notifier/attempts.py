"""One delivery attempt, and the status lookup after an attempt whose worker recorded no outcome."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from core.instants import Clock
from core.notifications.events import EventKind, LogState
from notifier.circuit_breaker import CircuitBreaker
from notifier.event_recorder import Outcome
from notifier.retry_policy import RetryPolicy
from notifier.senders.base import (
    Ambiguous,
    Gateway,
    Message,
    NotAskable,
    PermanentFailure,
    Receipt,
    Sender,
    TemporaryFailure,
)

_HOUR_S: Final = 3600
_ASK_FOR_MS: Final = 24 * 3600 * 1000
_LEFT_OFF: Final = (
    "the worker died, or lost the connection to the gateway, while it sent; the gateway may have the message"
)
_NOT_THERE: Final = "the attempt was interrupted, and the gateway does not have the message"
_NOT_SENT: Final = "the worker was delayed for too long before it could send; nothing was sent"


class Attempts:
    """Makes attempts and looks up their status; records nothing.

    :param breaker: receives the results of gateways.
    :param clock: milliseconds since 1970 UTC.
    :param chance: gives numbers from 0 to 1.
    """

    def __init__(
        self, retry_policy: RetryPolicy, breaker: CircuitBreaker, clock: Clock, chance: Callable[[], float]
    ) -> None:
        self._retry_policy = retry_policy
        self._breaker = breaker
        self._clock = clock
        self._chance = chance

    def make(self, state: LogState, sender: Sender, message: Message) -> Outcome | None:
        """Send `message`, of a claimed log in `state`.

        :returns: the outcome; None if it is not known yet: `look_up_status` finds it when the lease has ended.
        """
        if self._clock() > (state.last_attempt_at_ms or 0) + self._retry_policy.begin_within_ms:
            return self._again(state, message.gateway, _NOT_SENT)
        message = replace(message, attempted_at_ms=state.last_attempt_at_ms)
        try:
            return _success(self._sent(sender, message))
        except TemporaryFailure as failure:
            return self._again(state, message.gateway, failure.reason, retry_after_s=failure.retry_after_s)
        except PermanentFailure as failure:
            return Outcome(EventKind.DEAD, failure.reason)
        except Ambiguous as failure:
            reason = failure.reason
        except Exception as failure:  # a sender's defect, or the soft time limit: the message may have been sent
            reason = _broken_off(failure)
        if sender.deduplicates:
            return self._repeated(state, message.gateway, reason)
        try:
            receipt = sender.find(message)
        except NotAskable:
            return Outcome(EventKind.UNKNOWN, reason)
        except PermanentFailure as failure:
            return Outcome(EventKind.DEAD, failure.reason)
        except Exception:
            return None
        # A gateway that does not have the message yet may still be processing it.
        return None if receipt is None else _success(receipt)

    def look_up_status(self, state: LogState, sender: Sender | None, message: Message) -> Outcome | None:
        """The status lookup: the outcome of an attempt whose worker recorded none, and whose lease has ended.

        :returns: None if the gateway does not say, or is paused: look it up again later.
        """
        if sender is not None and sender.deduplicates:
            return self._repeated(state, message.gateway, _LEFT_OFF)
        if sender is None or self._clock() - (state.last_attempt_at_ms or 0) > _ASK_FOR_MS:
            return Outcome(EventKind.UNKNOWN, _LEFT_OFF)
        if self._breaker.lookup_wait_s(message.gateway) > 0:
            return None
        try:
            receipt = sender.find(message)
        except NotAskable:
            return Outcome(EventKind.UNKNOWN, _LEFT_OFF)
        except PermanentFailure as failure:
            self._breaker.lookup_answered(message.gateway)
            return Outcome(EventKind.DEAD, failure.reason)
        except Exception as failure:
            self._breaker.lookup_failed(message.gateway, failure)
            return None
        self._breaker.lookup_answered(message.gateway)
        return self._again(state, message.gateway, _NOT_THERE) if receipt is None else _success(receipt)

    def _sent(self, sender: Sender, message: Message) -> Receipt:
        try:
            receipt = sender.send(message)
        except Exception as failure:
            self._breaker.failed(message.gateway, failure)
            raise
        self._breaker.answered(message.gateway)
        return receipt

    def used_up(self, state: LogState) -> bool:
        """Whether the largest number of attempts was made."""
        return state.attempts_since_retry >= self._retry_policy.max_attempts

    def out_of_patience(self, state: LogState, gateway: Gateway) -> str | None:
        """Why a log is given up: its gateway did not answer for as long as all attempts could take; or None."""
        silent_s = self._breaker.silent_s(gateway)
        if min(silent_s, (self._clock() - state.opened_at_ms) / 1000) < self._retry_policy.patience_s:
            return None
        return f"given up: the gateway has not answered for {silent_s // _HOUR_S:.0f} h"

    def _given_up(self, state: LogState, gateway: Gateway, reason: str) -> str | None:
        """Why there is no further attempt after one that failed for `reason`; None if there is."""
        return given_up(state, reason) if self.used_up(state) else self.out_of_patience(state, gateway)

    def _repeated(self, state: LogState, gateway: Gateway, reason: str) -> Outcome:
        """The outcome of an attempt that may have been sent, and whose repetition the gateway would recognise."""
        if (end := self._given_up(state, gateway, reason)) is not None:
            return Outcome(EventKind.UNKNOWN, end)
        return Outcome(EventKind.MAYBE, reason, self._again_at_ms(state))

    def _again(self, state: LogState, gateway: Gateway, reason: str, *, retry_after_s: float | None = None) -> Outcome:
        if (end := self._given_up(state, gateway, reason)) is not None:
            return Outcome(EventKind.DEAD, end)
        return Outcome(EventKind.FAILED, reason, self._again_at_ms(state, retry_after_s))

    def _again_at_ms(self, state: LogState, retry_after_s: float | None = None) -> int:
        return self._clock() + self._retry_policy.wait_ms(state.attempts_since_retry, retry_after_s, self._chance())


def given_up(state: LogState, reason: str) -> str:
    """The error of a log that is given up after its last attempt."""
    attempts = state.attempts_since_retry
    return f"given up after {attempts} {'attempt' if attempts == 1 else 'attempts'}: {reason}"


def _success(receipt: Receipt) -> Outcome:
    kind = EventKind.PRINTED if receipt.printed else EventKind.SUCCESS
    return Outcome(kind, reference=receipt.reference, parts=receipt.parts, moved_to=receipt.moved_to)


def _broken_off(failure: Exception) -> str:
    """The type and place of `failure`, without its text, which may have an address or a key."""
    frames = traceback.extract_tb(failure.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"the sender failed with {type(failure).__name__}{where}"
