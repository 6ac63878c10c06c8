"""The retry policy of deliveries: number of attempts, exponential backoff with jitter, and the length of a lease."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.settings import Settings

_MS: Final = 1000
_BEGIN_SHARE: Final = 0.25
_LONGEST_RETRY_AFTER_S: Final = 86_400.0
_SPREAD_SHARE: Final = 0.5
_LONGEST_SPREAD_S: Final = 900.0
_LEAST_PATIENCE_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The number of attempts of a delivery, and the waits between them.

    :param lease_s: how long an attempt may take; after that, other workers may look up its status.
    :param backoff_s: wait before the second attempt; doubled for each further one, up to `backoff_max_s`.
    """

    max_attempts: int
    lease_s: float
    backoff_s: float
    backoff_max_s: float

    @classmethod
    def from_settings(cls, settings: Settings) -> RetryPolicy:
        return cls(
            max_attempts=settings.notify_max_attempts,
            lease_s=settings.notify_lease_s,
            backoff_s=settings.notify_backoff_s,
            backoff_max_s=settings.notify_backoff_max_s,
        )

    @property
    def lease_ms(self) -> int:
        return round(self.lease_s * _MS)

    @property
    def begin_within_ms(self) -> int:
        """How soon after the claim a send must begin, so that it ends before the lease."""
        return round(self.lease_s * _BEGIN_SHARE * _MS)

    @property
    def patience_s(self) -> float:
        """How long a message waits for a gateway that does not answer: as long as its attempts could take.

        It is at least an hour, however few attempts are allowed, so that no message is given up in a short outage.
        """
        pauses_s = sum(self._pause_s(attempts) for attempts in range(1, self.max_attempts))
        return max(pauses_s, _LEAST_PATIENCE_S)

    def wait_ms(self, attempts: int, retry_after_s: float | None, chance: float) -> int:
        """Milliseconds until the next attempt, after `attempts` attempts.

        :param retry_after_s: the wait that the gateway asks for, which is respected if it is longer, up to a day.
        :param chance: from 0 to 1: jitter, so that messages that failed together are not retried together.
        """
        wait_s = self._pause_s(attempts) * (0.5 + chance / 2)
        if retry_after_s is not None:
            wait_s = max(wait_s, min(retry_after_s, _LONGEST_RETRY_AFTER_S) * (1 + chance / 10))
        return round(wait_s * _MS)

    def postponed_ms(self, wait_s: float, waited_ms: int, chance: float) -> int:
        """Milliseconds until the next try of a message that the rate limit or the circuit breaker postponed.

        The longer it has waited, the less often it is tried: else workers would try a backlog of thousands every
        second, instead of sending.

        :param wait_s: the time until any message may be sent.
        :param waited_ms: how long this message has been due.
        """
        spread_s = min(max(waited_ms, 0) / _MS * _SPREAD_SHARE, _LONGEST_SPREAD_S)
        return round((wait_s + spread_s * chance) * _MS)

    def _pause_s(self, attempts: int) -> float:
        return min(self.backoff_s * 2.0 ** min(attempts - 1, 32), self.backoff_max_s)
