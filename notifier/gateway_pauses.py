"""The circuit breaker's shared state in Redis: a gateway that refuses every message is paused for all workers.

Instants are by the clock of Redis: the clocks of workers do not matter.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

from pydantic import TypeAdapter
from redis import Redis
from redis.exceptions import RedisError, WatchError

from notifier.circuit_breaker import REFUSAL, BreakerStatesUnavailable, GatewayState, Step, T
from notifier.senders.base import Gateway

_PREFIX: Final = "notifier:paused:"
_TIMEOUT_S: Final = 2.0
_AWAY_S: Final = 5.0
_REMEMBERED_MS: Final = 3_600_000  # after a pause, so that the next one in a row is longer
_AT_ONCE: Final = 1_000
_GATEWAY: Final = TypeAdapter(Gateway)
_STATE: Final = TypeAdapter(GatewayState)


@dataclass(frozen=True, slots=True)
class Pause:
    """A gateway that is paused, or was paused recently and has accepted no message since.

    :param gateway: with a receiver if only messages to it wait.
    :param left_s: the remaining seconds; 0 if the pause is over.
    :param probed: whether a probe was sent whose result is not known yet.
    :param refused_s: seconds from the first refusal in a row until now, or until the end of a pause that is over.
    """

    gateway: Gateway
    left_s: float
    reason: str
    probed: bool
    refused_s: float

    @property
    def is_over(self) -> bool:
        """Whether the pause is over, and no message has been sent since."""
        return not self.left_s and not self.probed


class RedisBreakerStates:
    """`notifier.circuit_breaker.BreakerStates` in a Redis database.

    After an error, Redis is not used for some seconds.

    :param url: ``redis://…`` or ``rediss://…``; with any other URL the states are unavailable.
    """

    def __init__(self, url: str) -> None:
        self._client: Redis | None = None
        if url.startswith(("redis://", "rediss://")):
            self._client = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._away_until_s = float("-inf")

    def knows(self, *gateways: Gateway) -> bool:
        return bool(self._ask(lambda client: client.exists(*map(_name, gateways))))

    def change(self, gateway: Gateway, step: Step[T]) -> T:
        return self._ask(lambda client: _change(client, gateway, step))

    def paused(self) -> list[Pause]:
        """The gateways that are paused, or were in the last 15 minutes and have accepted nothing since, by name.

        :raises BreakerStatesUnavailable: Redis does not answer, or is not used.
        """
        return self._ask(_paused)

    def time(self) -> tuple[int, int]:
        """The time of Redis: seconds since 1970 UTC, and the microseconds of the second.

        :raises BreakerStatesUnavailable: see `paused`.
        """
        answer: tuple[int, int] = self._ask(lambda client: client.time())
        return answer

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _ask(self, question: Callable[[Redis], T]) -> T:
        if self._client is None or time.monotonic() < self._away_until_s:
            raise BreakerStatesUnavailable
        try:
            return question(self._client)
        except RedisError as error:
            self._away_until_s = time.monotonic() + _AWAY_S
            raise BreakerStatesUnavailable from error


def _change(client: Redis, gateway: Gateway, step: Step[T]) -> T:
    name = _name(gateway)
    with client.pipeline() as pipe:
        while True:
            try:
                pipe.watch(name)  # type: ignore[no-untyped-call]
                found = pipe.get(name)
                now_s = _seconds(pipe.time())
                state = _read(_STATE, found)
                after, result = step(state, now_s)
                if after != state:
                    pipe.multi()
                    if after is None:
                        pipe.delete(name)
                    else:
                        expires_s = max([after.until_s or now_s, *after.receivers.values()])
                        lifetime_ms = round((expires_s - now_s) * 1000) + _REMEMBERED_MS
                        pipe.set(name, json.dumps({**asdict(gateway), **asdict(after)}), px=lifetime_ms)
                    pipe.execute()
                return result
            except WatchError:  # another worker was faster: repeat with the state that it wrote
                continue


def _paused(client: Redis) -> list[Pause]:
    names = sorted(client.scan_iter(f"{_PREFIX}*", count=_AT_ONCE))
    now_s = _seconds(client.time())
    pauses = []
    for stored in client.mget(names) if names else []:
        state, gateway = _read(_STATE, stored), _read(_GATEWAY, stored)
        # A pause that ended earlier is left out: no message since has shown whether the gateway accepts any.
        if state and gateway and state.until_s is not None and state.is_paused(now_s - REFUSAL.longest_s):
            probed = state.probed and state.is_paused(now_s)
            left_s = 0.0 if state.probed else max(state.until_s - now_s, 0.0)
            since_s = now_s if state.failing_since_s is None else state.failing_since_s
            refused_s = max(min(state.until_s, now_s) - since_s, 0.0)
            pauses.append(Pause(gateway, left_s, state.reason, probed, refused_s))
    return pauses


def _name(gateway: Gateway) -> str:
    return f"{_PREFIX}{gateway}"


def _read(adapter: TypeAdapter[T], stored: Any) -> T | None:
    """What is `stored`; None if nothing is, or what cannot be read. Other versions may store other fields."""
    with suppress(ValueError):
        return adapter.validate_json(stored)
    return None


def _seconds(answer: Any) -> float:
    seconds, microseconds = answer
    return float(seconds + microseconds / 1_000_000)
