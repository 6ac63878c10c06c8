"""How long is waited between attempts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from notifier.rules import Rules

RULES = Rules(max_attempts=8, lease_s=120.0, backoff_s=10.0, backoff_max_s=3600.0)
CHANCES = st.floats(0, 1)


@given(attempts=st.integers(1, 10_000), chance=CHANCES)
def test_a_wait_is_at_least_half_of_the_doubled_one_and_at_most_the_longest(attempts: int, chance: float) -> None:
    whole = min(10_000 * 2 ** min(attempts - 1, 20), 3_600_000)
    assert whole / 2 <= RULES.wait_ms(attempts, None, chance) <= whole


@given(attempts=st.integers(1, 100), retry_after_s=st.floats(allow_nan=False), chance=CHANCES)
def test_a_wait_is_never_shorter_than_the_gateway_asks_for_up_to_a_day(
    attempts: int, retry_after_s: float, chance: float
) -> None:
    wait_ms = RULES.wait_ms(attempts, retry_after_s, chance)
    assert wait_ms >= min(retry_after_s, 86_400) * 1000 - 1
    assert 5_000 <= wait_ms <= 86_400_000 * 1.1


@given(wait_s=st.floats(0.001, 3600), waited_ms=st.integers(-1000, 10**9), chance=CHANCES)
def test_what_a_rate_limit_holds_back_is_not_looked_at_before_it_may_be_sent(
    wait_s: float, waited_ms: int, chance: float
) -> None:
    spread_ms = min(max(waited_ms, 0) / 2, 900_000)
    assert wait_s * 1000 - 1 <= RULES.postponed_ms(wait_s, waited_ms, chance) <= wait_s * 1000 + spread_ms + 1


def test_a_message_that_a_rate_limit_holds_back_all_day_is_looked_at_some_hundred_times() -> None:
    waited_ms = looks = 0
    while waited_ms < 86_400_000:
        waited_ms += RULES.postponed_ms(1.0, waited_ms, 0.5)
        looks += 1
    assert looks < 300
