"""The circuit breaker: it pauses gateways that do not answer, and gateways that refuse every message.

Both cases follow the same steps with different numbers (`PauseRule`). After a number of failures in a row the gateway
is paused: longer each time up to a bound, or for as long as the gateway says. After the pause one message at a time is
sent as a probe; a success ends the failure. Each process has its own counts of gateways that do not answer, because
only its own host may be offline. A gateway that refuses messages refuses those of all workers, so workers share these
pauses (`notifier.gateway_pauses`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar

from cachetools import LRUCache

from notifier.senders.base import Ambiguous, DeliveryFailure, Gateway, NotSent, Refused, UnclearAnswer, Unreachable

_MOST_GATEWAYS: Final = 1_000  # each receiver of webhooks is a gateway
_SHORTEST_S, _SHORTEST_NAMED_S = 0.001, 1.0
_MOST_DOUBLINGS: Final = 16

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PauseRule:
    """When a gateway is paused, and for how long.

    :param after: the number of failures in a row that starts a pause.
    :param first_s: length of the first pause; each further one in a row is twice as long.
    :param longest_s: length of a pause at most, unless the gateway itself says for how long.
    :param probe_s: how long other messages wait at most for the result of a probe.
    :param any_answer_ends: whether any answer resets the count of failures, not only a success.
    """

    after: int
    first_s: float
    longest_s: float
    probe_s: float
    any_answer_ends: bool

    def pause_s(self, pauses: int) -> float:
        """Length of a pause, by how many there were in a row, counting this one."""
        return min(self.first_s * 2.0 ** min(pauses - 1, _MOST_DOUBLINGS), self.longest_s)


REFUSAL: Final = PauseRule(after=1, first_s=60.0, longest_s=900.0, probe_s=60.0, any_answer_ends=False)
"""For gateways that refuse every message."""


def silence(send_timeout_s: float) -> PauseRule:
    """The rule for gateways that do not answer, where a send may take `send_timeout_s`."""
    first_s, longest_s = 3 * send_timeout_s, 30 * send_timeout_s
    return PauseRule(3, first_s, longest_s, probe_s=longest_s, any_answer_ends=True)


@dataclass(frozen=True, slots=True)
class GatewayState:
    """The state of a gateway whose last send failed; instants are seconds by the clock of the store of states.

    :param failures: number of failures in a row.
    :param failing_since_s: when the first of them ended; None when there are none.
    :param pauses: number of pauses in a row, without those whose length the gateway specified.
    :param pause_s: length of the last pause.
    :param until_s: when that ends; None when the gateway is not paused.
    :param probed: whether a probe was sent whose result is not known yet.
    :param reason: why it was paused.
    :param receivers: receivers that it has refused individually, and until when.
    """

    failures: int = 0
    failing_since_s: float | None = None
    pauses: int = 0
    pause_s: float = 0.0
    until_s: float | None = None
    probed: bool = False
    reason: str = ""
    receivers: Mapping[str, float] = field(default_factory=dict)

    def is_paused(self, now_s: float) -> bool:
        """Whether nothing may be sent, not even a probe."""
        return self.until_s is not None and now_s < self.until_s

    def overtakes(self, now_s: float) -> bool:
        """Whether a result at this instant is of a message that was sent before the pause."""
        return self.is_paused(now_s) and not self.probed


Step = Callable[[GatewayState | None, float], tuple[GatewayState | None, T]]
"""A change of the state of a gateway at an instant: returns the new state and a result for the caller."""


class BreakerStatesUnavailable(Exception):
    """The states of gateways cannot be read or changed now, because Redis does not answer."""


class BreakerStates(Protocol):
    """Stores the states of gateways."""

    def knows(self, *gateways: Gateway) -> bool:
        """Whether a state of one of `gateways` is stored.

        :raises BreakerStatesUnavailable: that cannot be read.
        """

    def change(self, gateway: Gateway, step: Step[T]) -> T:
        """Apply `step` to the state of `gateway`, atomically.

        :raises BreakerStatesUnavailable: it could not.
        """


class LocalBreakerStates:
    """The states of the gateways that failed last, in the memory of this process.

    :param now_s: seconds, never going back.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._states: LRUCache[Gateway, GatewayState] = LRUCache(_MOST_GATEWAYS)
        self._lock = threading.Lock()

    def knows(self, *gateways: Gateway) -> bool:
        with self._lock:
            return any(gateway in self._states for gateway in gateways)

    def change(self, gateway: Gateway, step: Step[T]) -> T:
        with self._lock:
            state, result = step(self._states.get(gateway), self._now_s())
            if state is not None:
                self._states[gateway] = state
            else:
                self._states.pop(gateway, None)
            return result


class CircuitBreakerObserver(Protocol):
    """Receives the beginnings and ends of pauses; raises nothing."""

    def paused(self, gateway: Gateway, pause_s: float, *, refused: bool) -> None:
        """`gateway` is paused for so many seconds, for the first time or again.

        :param refused: whether it refused messages; else it did not answer.
        """

    def resumed(self, gateway: Gateway) -> None:
        """`gateway` is used again."""


class _PausedGateways:
    """The gateways that are paused by one rule."""

    def __init__(self, rule: PauseRule, states: BreakerStates) -> None:
        self._rule = rule
        self._states = states
        self._probing: set[Gateway] = set()

    def wait_s(self, gateway: Gateway, *, probes: bool = True) -> float:
        """Seconds until the caller may send; 0 after a pause makes it the probe, for which the others wait.

        :param probes: whether the caller can be the probe after a pause.
        """

        def step(state: GatewayState | None, now_s: float) -> tuple[GatewayState | None, tuple[float, bool]]:
            if state is None or state.until_s is None:
                return state, (0.0, False)
            if state.is_paused(now_s):
                return state, (max(state.until_s - now_s, _SHORTEST_S), False)
            if not probes:
                return state, (0.0, False)
            until_s = now_s + min(state.pause_s, self._rule.probe_s)
            return replace(state, until_s=until_s, probed=True), (0.0, True)

        if self._states.knows(*_levels(gateway)):
            for level in _levels(gateway):
                wait_s, is_probe = self._states.change(level, step)
                if wait_s > 0:
                    return wait_s
                if is_probe:
                    self._probing.add(level)
        return 0.0

    def release(self, gateway: Gateway) -> None:
        """Let the next caller probe, if the probe of this process has no result."""

        def step(state: GatewayState | None, now_s: float) -> tuple[GatewayState | None, None]:
            return (replace(state, probed=False, until_s=now_s) if state and state.probed else state), None

        for level in self._probing.intersection(_levels(gateway)):
            self._probing.discard(level)
            self._states.change(level, step)

    def failed(self, gateway: Gateway, reason: str, named_s: float | None, share: float = 1.0) -> tuple[float, bool]:
        """Count a failure; returns for how many seconds `gateway` is paused, and whether the pause is new.

        :param named_s: the length of the pause that the gateway specified.
        :param share: the part of the length to use if the gateway specified none.
        """

        def step(state: GatewayState | None, now_s: float) -> tuple[GatewayState, tuple[float, bool]]:
            state = state or GatewayState()
            if state.until_s is not None and state.overtakes(now_s):
                state = replace(state, until_s=max(state.until_s, now_s + (named_s or 0)))
                return state, ((state.until_s or now_s) - now_s, False)
            since_s = now_s if state.failing_since_s is None else state.failing_since_s
            state = replace(state, failures=state.failures + 1, failing_since_s=since_s, probed=False)
            if state.failures < self._rule.after:
                return state, (0.0, False)
            pauses = state.pauses + (named_s is None)
            pause_s = self._rule.pause_s(pauses) * share if named_s is None else max(named_s, _SHORTEST_NAMED_S)
            state = replace(state, pauses=pauses, pause_s=pause_s, until_s=now_s + pause_s, reason=reason)
            return state, (pause_s, True)

        return self._states.change(gateway, step)

    def is_second(self, gateway: Gateway, pause_s: float) -> bool:
        """Record that the receiver of `gateway` is refused for so many seconds; whether another one is too."""

        def step(state: GatewayState | None, now_s: float) -> tuple[GatewayState, bool]:
            state = state or GatewayState()
            others = {name: end_s for name, end_s in _refused(state, now_s).items() if name != gateway.receiver}
            return replace(state, receivers={**others, gateway.receiver: now_s + pause_s}), bool(others)

        return self._states.change(gateway.whole, step)

    def answered(self, gateway: Gateway, *, success: bool) -> bool:
        """Count an answer; returns whether it ends a pause of `gateway`."""

        def step(state: GatewayState | None, now_s: float) -> tuple[GatewayState | None, bool]:
            if state is None or (state.overtakes(now_s) and not self._rule.any_answer_ends):
                return state, False
            paused, receivers = state.until_s is not None, _refused(state, now_s)
            if not success and (paused or not self._rule.any_answer_ends):
                # It may have refused this message before it checked what concerns all: the next pause is longer anyway.
                return GatewayState(self._rule.after - 1, pauses=state.pauses, receivers=receivers), paused
            return (GatewayState(receivers=receivers) if receivers else None), paused

        resumed = False
        if self._states.knows(*_levels(gateway)):
            for level in _levels(gateway):
                resumed |= self._states.change(level, step)
        return resumed

    def failing_s(self, gateway: Gateway) -> float:
        """The number of seconds for which every send has failed."""

        def step(state: GatewayState | None, now_s: float) -> tuple[GatewayState | None, float]:
            since_s = None if state is None else state.failing_since_s
            return state, 0.0 if since_s is None else now_s - since_s

        return self._states.change(gateway, step)


class CircuitBreaker:
    """The gateways that are paused, and for how long.

    Maintained libraries (pybreaker, purgatory, circuitbreaker) have one fixed pause, and raise an exception; the caller
    needs the time of the next try instead.

    :param send_timeout_s: how long a send may take: a gateway that does not answer is paused 3 to 30 times as long.
    :param observer: receives the changes.
    :param chance: returns numbers from 0 to 1, so that processes do not probe together.
    :param now_s: seconds, never going back.
    :param shared: the states of gateways that refuse, for all workers; while it is unavailable, or None, each process
        has its own.
    """

    def __init__(
        self,
        send_timeout_s: float,
        observer: CircuitBreakerObserver,
        *,
        chance: Callable[[], float],
        now_s: Callable[[], float] = time.monotonic,
        shared: BreakerStates | None = None,
    ) -> None:
        self._observer = observer
        self._chance = chance
        self._silent = _PausedGateways(silence(send_timeout_s), LocalBreakerStates(now_s))
        local = _PausedGateways(REFUSAL, LocalBreakerStates(now_s))
        self._refusing = [local] if shared is None else [_PausedGateways(REFUSAL, shared), local]
        self._all = [self._silent, *self._refusing]

    def wait_s(self, gateway: Gateway) -> float:
        """0 if a message may be sent to `gateway` now; else the seconds until one may.

        After a pause one caller may send a probe, and the others wait for as long as they have waited, up to a bound,
        in case the probe has no result. A caller that then sends nothing calls `release`.
        """
        return self._wait_s(gateway, self._all)

    def lookup_wait_s(self, gateway: Gateway) -> float:
        """As `wait_s`, for a status lookup, which does not probe whether messages are refused."""
        return self._wait_s(gateway, [self._silent]) or self._wait_s(gateway, self._refusing, probes=False)

    def release(self, gateway: Gateway) -> None:
        """The caller that could send to `gateway` has finished: without a result of its probe, the next may probe."""
        for pauses in self._all:
            with suppress(BreakerStatesUnavailable):
                pauses.release(gateway)

    def silent_s(self, gateway: Gateway) -> float:
        """The number of seconds for which no send of this process to `gateway` was answered."""
        return self._silent.failing_s(gateway.whole)

    def answered(self, gateway: Gateway) -> None:
        """`gateway` has accepted a message."""
        self._heard(gateway, self._all, success=True)

    def failed(self, gateway: Gateway, failure: Exception) -> None:
        """`gateway` has not accepted a message, or it is not known."""
        if isinstance(failure, NotSent):
            return  # the gateway received no request
        if not self._refused_or_silent(gateway, failure):
            self._heard(gateway, self._all, success=False)

    def lookup_answered(self, gateway: Gateway) -> None:
        """`gateway` has answered a status lookup, which does not show whether it accepts messages."""
        self._heard(gateway, [self._silent], success=True)

    def lookup_failed(self, gateway: Gateway, failure: Exception) -> None:
        """`gateway` has answered a status lookup without a status, or not at all."""
        if not self._refused_or_silent(gateway, failure):
            self.lookup_answered(gateway)

    def _refused_or_silent(self, gateway: Gateway, failure: Exception) -> bool:
        """Count `failure` if it is one that leads to a pause; whether it is."""
        if _is_silence(failure):
            pause_s, begun = self._silent.failed(gateway.whole, "no answer", None, 0.5 + self._chance() / 2)
            if begun:
                self._observer.paused(gateway.whole, pause_s, refused=False)
        elif isinstance(failure, Refused):
            self._silent.answered(gateway, success=False)
            self._refused(gateway, failure)
        else:
            return False
        return True

    @staticmethod
    def _wait_s(gateway: Gateway, kinds: Sequence[_PausedGateways], *, probes: bool = True) -> float:
        for pauses in kinds:
            with suppress(BreakerStatesUnavailable):
                if (wait_s := pauses.wait_s(gateway, probes=probes)) > 0:
                    return wait_s
        return 0.0

    def _heard(self, gateway: Gateway, kinds: Sequence[_PausedGateways], *, success: bool) -> None:
        resumed = False
        for pauses in kinds:
            with suppress(BreakerStatesUnavailable):
                resumed |= pauses.answered(gateway, success=success)
        if resumed:
            self._observer.resumed(gateway.whole)

    def _refused(self, gateway: Gateway, failure: Refused) -> None:
        level = gateway if failure.receiver_only else gateway.whole
        reason, named_s = failure.reason.encode("utf-8", "backslashreplace").decode(), failure.retry_after_s
        for pauses in self._refusing:
            with suppress(BreakerStatesUnavailable):
                pause_s, begun = pauses.failed(level, reason, named_s)
                if level.receiver and pauses.is_second(level, pause_s):
                    level = gateway.whole
                    pause_s, begun = pauses.failed(level, reason, named_s)
                if begun:
                    self._observer.paused(level, pause_s, refused=True)
                return


def _levels(gateway: Gateway) -> tuple[Gateway, ...]:
    """The gateways of which each can be paused for a message to `gateway`: the whole, and its receiver."""
    return (gateway.whole, gateway) if gateway.receiver else (gateway,)


def _refused(state: GatewayState, now_s: float) -> dict[str, float]:
    return {name: until_s for name, until_s in state.receivers.items() if until_s > now_s}


def _is_silence(failure: Exception) -> bool:
    """Whether the gateway did not answer, also as the result of a sender's defect."""
    if isinstance(failure, DeliveryFailure):
        return isinstance(failure, Unreachable | Ambiguous) and not isinstance(failure, UnclearAnswer)
    return True
