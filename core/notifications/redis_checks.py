"""The checks of Redis when workers and beat start: it accepts the password, and its clock agrees with this host's."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from celery import Celery
from redis.exceptions import AuthenticationError

from core.errors import ClockDiffers, ServiceError, SettingsError

_MEASURED_FOR_S: Final = 60.0

AskTime = Callable[[], tuple[int, int]]
"""Sends ``TIME`` to Redis: seconds since 1970 UTC, and the microseconds of the second."""


class ClockCheck:
    """Compares the clock of this host with that of Redis.

    The clock of Redis is read once a minute; in between the monotonic clock shows if the clock of this host was set.

    :param limit_s: the largest difference in seconds.
    :param wall_s: seconds since 1970 UTC, by this host.
    :param monotonic_s: seconds, never going back.
    """

    def __init__(
        self,
        ask: AskTime,
        limit_s: float,
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._limit_s = limit_s
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._measured_at_s = float("-inf")
        self._offset_s = 0.0  # of Redis from the monotonic clock
        self._uncertain_s = 0.0

    def require(self) -> None:
        """Check that the clocks agree, if that is known.

        :raises ClockDiffers: they differ.
        """
        difference_s = self._difference_s()
        if abs(difference_s) <= self._limit_s:
            return
        way = "ahead of" if difference_s > 0 else "behind"
        raise ClockDiffers(
            f"the clock of this host is {abs(difference_s):,.0f} s {way} that of Redis, "
            f"and NOTIFY_CLOCK_LIMIT_S allows {self._limit_s:g} s",
            "Synchronise both clocks with NTP; this worker sends nothing until then.",
        )

    def _difference_s(self) -> float:
        """The least number of seconds that the clock of this host is ahead; 0 if that is not known."""
        if self._monotonic_s() - self._measured_at_s < _MEASURED_FOR_S and self._known_s() == 0:
            return 0.0
        with suppress(Exception):  # Redis does not answer, or the broker is another: use the last measurement
            began_s = self._monotonic_s()
            seconds, microseconds = self._ask()
            self._measured_at_s = self._monotonic_s()
            self._uncertain_s = (self._measured_at_s - began_s) / 2
            self._offset_s = seconds + microseconds / 1_000_000 - (began_s + self._uncertain_s)
        return self._known_s() if self._measured_at_s > float("-inf") else 0.0

    def _known_s(self) -> float:
        ahead_s = self._wall_s() - (self._offset_s + self._monotonic_s())
        return 0.0 if abs(ahead_s) <= self._limit_s + self._uncertain_s else ahead_s


def check_at_start(app: Celery) -> None:
    """Check the Redis databases of `app`; one that does not answer is not an error: Celery waits for it.

    :raises SettingsError: Redis refuses the password.
    :raises ClockDiffers: its clock differs.
    """
    urls = {"CELERY_BROKER_URL": app.conf.broker_url, "CELERY_RESULT_BACKEND": app.conf.result_backend}
    for variable, url in urls.items():
        try:
            with app.connection_for_write(url) as connection:
                ClockCheck(connection.default_channel.client.time, app.conf.notify_clock_limit_s).require()
        except ServiceError:
            raise
        except Exception as error:
            if isinstance(error.__cause__ or error, AuthenticationError):
                raise SettingsError(
                    f"Redis refuses the user or password of {variable}",
                    "Correct the variable or the password of Redis, and start again.",
                ) from None
