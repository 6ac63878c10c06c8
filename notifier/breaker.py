"""Leaving a gateway alone that does not answer: else a few time-outs in a row hold every slot of a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from cachetools import LRUCache

from notifier.senders.base import Ambiguous, DeliveryFailure, Gateway, UnclearAnswer, Unreachable

_SILENCES: Final = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 3.0, 30.0  # as many times as a send may take
_MOST_GATEWAYS: Final = 1_000  # every receiver of webhooks is one
_SHORTEST_S: Final = 0.001


class BreakerWatch(Protocol):
    """Is told when gateways are left alone; raises nothing."""

    def paused(self, gateway: Gateway, pause_s: float) -> None:
        """`gateway` is left alone for so many seconds, for the first time or again."""

    def resumed(self, gateway: Gateway) -> None:
        """`gateway` answers again."""


@dataclass(slots=True)
class _Standing:
    """How a gateway stands whose last send did not succeed.

    :param silences: sends without an answer, in a row.
    :param silent_since_s: when the first of them ended, by the monotonic clock; None when there are none.
    :param pauses: how often it was left alone, in a row.
    :param until_s: until when it is, by the same clock; None when it is not.
    :param probed: whether somebody was let through to probe it, of whom nothing was heard yet.
    """

    silences: int = 0
    silent_since_s: float | None = None
    pauses: int = 0
    until_s: float | None = None
    probed: bool = False


class Breaker:
    """Remembers, for this process, which gateways do not answer.

    After three sends in a row without an answer a gateway is left alone for a while, longer each time up to a bound.
    After that one message at a time is let through as a probe; a success closes the matter. A refusal is an answer too:
    one to a probe lets messages through again, but the next silence counts as the third; the next answer closes the
    matter.

    Kept libraries (pybreaker, purgatory, circuitbreaker) have one fixed pause, and raise where what is needed here is
    the instant to look again.

    :param send_timeout_s: how long a send may take: pauses are from 3 to 30 times that.
    :param watch: is told of changes.
    :param chance: gives numbers from 0 to 1, so that processes do not probe together.
    :param now_s: seconds, never going back.
    """

    def __init__(
        self,
        send_timeout_s: float,
        watch: BreakerWatch,
        *,
        chance: Callable[[], float],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send_timeout_s = send_timeout_s
        self._watch = watch
        self._chance = chance
        self._now_s = now_s
        self._standings: LRUCache[Gateway, _Standing] = LRUCache(_MOST_GATEWAYS)
        self._lock = threading.Lock()

    def wait_s(self, gateway: Gateway) -> float:
        """0 when a message may go to `gateway` now; else the seconds until one may.

        When it was left alone for long enough the one who asks may probe it, and the others wait: as long as they have
        waited, in case nothing is heard of the probe. Whoever then sends nothing says so by `release`.
        """
        with self._lock:
            standing = self._standings.get(gateway)
            if standing is None or standing.until_s is None:
                return 0.0
            now_s = self._now_s()
            if now_s < standing.until_s:
                return max(standing.until_s - now_s, _SHORTEST_S)
            standing.until_s = now_s + self._pause_s(standing.pauses)
            standing.probed = True
            return 0.0

    def release(self, gateway: Gateway) -> None:
        """Whoever might have sent to `gateway` is done: where nothing was heard of a probe, the next one may."""
        with self._lock:
            standing = self._standings.get(gateway)
            if standing is not None and standing.probed:
                standing.probed, standing.until_s = False, self._now_s()

    def silent_s(self, gateway: Gateway) -> float:
        """For how many seconds every send to `gateway` of this process has been without an answer."""
        with self._lock:
            standing = self._standings.get(gateway)
            if standing is None or standing.silent_since_s is None:
                return 0.0
            return self._now_s() - standing.silent_since_s

    def answered(self, gateway: Gateway) -> None:
        """A message has gone to `gateway`."""
        with self._lock:
            standing = self._standings.pop(gateway, None)
            if standing is not None and standing.until_s is not None:
                self._watch.resumed(gateway)

    def failed(self, gateway: Gateway, failure: Exception) -> None:
        """A message has not gone to `gateway`, or nobody knows."""
        with self._lock:
            standing = self._standings.get(gateway)
            if not _is_silence(failure):
                if standing is not None:
                    self._refused(gateway, standing)
                return
            now_s = self._now_s()
            if standing is None:
                standing = self._standings[gateway] = _Standing()
            standing.silences += 1
            standing.probed = False
            if standing.silent_since_s is None:
                standing.silent_since_s = now_s
            if standing.silences >= _SILENCES:
                standing.pauses += 1
                pause_s = self._pause_s(standing.pauses)
                standing.until_s = now_s + pause_s
                self._watch.paused(gateway, pause_s)

    def _refused(self, gateway: Gateway, standing: _Standing) -> None:
        if standing.until_s is None:
            del self._standings[gateway]
        else:
            self._standings[gateway] = _Standing(silences=_SILENCES - 1, pauses=standing.pauses)
            self._watch.resumed(gateway)

    def _pause_s(self, pauses: int) -> float:
        doubled = _FIRST_PAUSE * 2.0 ** min(pauses - 1, 16)
        return self._send_timeout_s * min(doubled, _LONGEST_PAUSE) * (0.5 + self._chance() / 2)


def _is_silence(failure: Exception) -> bool:
    """Whether the gateway gave no answer, as far as is known: a sender's defect may have kept it from being heard."""
    if isinstance(failure, DeliveryFailure):
        return isinstance(failure, Unreachable | Ambiguous) and not isinstance(failure, UnclearAnswer)
    return True
