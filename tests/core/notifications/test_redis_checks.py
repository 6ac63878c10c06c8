"""Clock skew: the clock of a host is compared with that of Redis."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from core.errors import ClockDiffers
from core.notifications.redis_checks import ClockCheck
from core.settings import Settings

START_S = 1_764_000_000.0


@dataclass
class Clocks:
    """That of Redis, and those of this host; Redis takes `answer_s` to answer."""

    redis_s: float = START_S
    wall_s: float = START_S
    monotonic_s: float = 5.0
    answer_s: float = 0.0
    away: bool = False
    asked: list[float] = field(default_factory=list)

    def ask(self) -> tuple[int, int]:
        self.asked.append(self.monotonic_s)
        if self.away:
            raise ConnectionError
        self.passes(self.answer_s / 2)
        answer = int(self.redis_s), int(self.redis_s % 1 * 1_000_000)
        self.passes(self.answer_s / 2)
        return answer

    def passes(self, seconds: float) -> None:
        self.redis_s += seconds
        self.wall_s += seconds
        self.monotonic_s += seconds

    def check(self) -> ClockCheck:
        return ClockCheck(self.ask, 10.0, lambda: self.wall_s, lambda: self.monotonic_s)


@pytest.mark.parametrize("ahead_s", [0, 9.9, -9.9])
def test_clock_skew_within_the_limit_is_accepted(ahead_s: float) -> None:
    Clocks(wall_s=START_S + ahead_s).check().require()


@pytest.mark.parametrize(
    ("ahead_s", "words"), [(3600, "3,600 s ahead of that of Redis"), (-11, "11 s behind that of Redis")]
)
def test_the_warning_about_clock_skew_gives_its_size(ahead_s: float, words: str) -> None:
    with pytest.raises(ClockDiffers, match=f"the clock of this host is {words}, and NOTIFY_CLOCK_LIMIT_S allows 10 s"):
        Clocks(wall_s=START_S + ahead_s).check().require()


def test_a_slow_response_is_not_mistaken_for_clock_skew() -> None:
    clocks = Clocks(wall_s=START_S + 12, answer_s=6)
    clocks.check().require()  # it may have answered at the beginning of those six seconds


def test_redis_is_queried_once_per_minute_or_after_a_clock_change() -> None:
    clocks = Clocks()
    check = clocks.check()
    for _ in range(59):
        check.require()
        clocks.passes(1)
    assert len(clocks.asked) == 1
    clocks.passes(1)
    check.require()
    assert len(clocks.asked) == 2
    clocks.wall_s += 3600
    with pytest.raises(ClockDiffers):
        check.require()
    clocks.wall_s -= 3600
    check.require()


def test_clock_skew_ends_when_redis_agrees_again() -> None:
    clocks = Clocks()
    check = clocks.check()
    check.require()
    clocks.wall_s += 3600
    clocks.redis_s += 3600
    check.require()


def test_while_redis_is_down_the_last_known_clock_skew_applies() -> None:
    clocks = Clocks(away=True, wall_s=START_S + 3600)
    check = clocks.check()
    check.require()
    clocks.away = False
    with pytest.raises(ClockDiffers):
        check.require()
    clocks.away = True
    with pytest.raises(ClockDiffers):
        check.require()
    clocks.wall_s -= 3600
    check.require()


@pytest.mark.parametrize(("limit_s", "lease_s", "valid_s"), [(10, 120, 10), (10, 20, 5), (60, 120, 30)])
def test_clock_skew_between_workers_is_at_most_half_a_lease(limit_s: float, lease_s: float, valid_s: float) -> None:
    settings = Settings(notify_clock_limit_s=limit_s, notify_lease_s=lease_s, notify_send_timeout_s=1)
    assert settings.clock_limit_s == valid_s
