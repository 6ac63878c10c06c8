"""The retry policy: backoff, jitter, Retry-After and rate limits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.retry_policy import RetryPolicy

RETRY_POLICY = RetryPolicy(max_attempts=8, lease_s=120.0, backoff_s=10.0, backoff_max_s=3600.0)
CHANCES = st.floats(0, 1)


@given(attempts=st.integers(1, 10_000), chance=CHANCES)
def test_backoff_has_jitter_and_a_maximum(attempts: int, chance: float) -> None:
    whole = min(10_000 * 2 ** min(attempts - 1, 20), 3_600_000)
    assert whole / 2 <= RETRY_POLICY.wait_ms(attempts, None, chance) <= whole


@given(attempts=st.integers(1, 100), retry_after_s=st.floats(allow_nan=False), chance=CHANCES)
def test_backoff_respects_retry_after_up_to_a_day(attempts: int, retry_after_s: float, chance: float) -> None:
    wait_ms = RETRY_POLICY.wait_ms(attempts, retry_after_s, chance)
    assert wait_ms >= min(retry_after_s, 86_400) * 1000 - 1
    assert 5_000 <= wait_ms <= 86_400_000 * 1.1


@given(wait_s=st.floats(0.001, 3600), waited_ms=st.integers(-1000, 10**9), chance=CHANCES)
def test_a_rate_limited_message_waits_until_it_may_be_sent(wait_s: float, waited_ms: int, chance: float) -> None:
    spread_ms = min(max(waited_ms, 0) / 2, 900_000)
    assert wait_s * 1000 - 1 <= RETRY_POLICY.postponed_ms(wait_s, waited_ms, chance) <= wait_s * 1000 + spread_ms + 1


@pytest.mark.parametrize(
    ("wait_s", "waited_s", "chance", "expected_ms"),
    [
        (2.5, 0, 1.0, 2_500),  # has not waited yet: as soon as any may be sent
        (2.5, -60, 1.0, 2_500),
        (2.5, 100, 0.0, 2_500),
        (2.5, 100, 0.5, 27_500),  # spread over half of how long it has waited
        (2.5, 100, 1.0, 52_500),
        (2.5, 1_800, 1.0, 902_500),
        (2.5, 1_000_000, 0.5, 452_500),  # but over a quarter of an hour at most
        (0.0004, 0, 1.0, 0),
    ],
)
def test_a_held_back_message_is_checked_less_often_the_longer_it_has_waited(
    wait_s: float, waited_s: int, chance: float, expected_ms: int
) -> None:
    assert RETRY_POLICY.postponed_ms(wait_s, waited_s * 1000, chance) == expected_ms


@pytest.mark.parametrize(
    ("attempts", "retry_after_s", "chance", "expected_ms"),
    [
        (1, None, 0.0, 5_000),
        (1, None, 1.0, 10_000),
        (3, None, 0.5, 30_000),
        (9, None, 1.0, 2_560_000),
        (10, None, 1.0, 3_600_000),
        (1, 60.0, 0.0, 60_000),
        (1, 60.0, 1.0, 66_000),
        (9, 60.0, 1.0, 2_560_000),
        (1, 1e9, 0.0, 86_400_000),
    ],
)
def test_backoff_is_exponential_or_retry_after(
    attempts: int, retry_after_s: float | None, chance: float, expected_ms: int
) -> None:
    assert RETRY_POLICY.wait_ms(attempts, retry_after_s, chance) == expected_ms


def test_a_message_rate_limited_all_day_is_checked_rarely() -> None:
    waited_ms = looks = 0
    while waited_ms < 86_400_000:
        waited_ms += RETRY_POLICY.postponed_ms(1.0, waited_ms, 0.5)
        looks += 1
    assert looks < 300


@pytest.mark.parametrize(("attempts", "patience_s"), [(1, 3_600), (8, 3_600), (10, 5_110), (15, 23_110)])
def test_the_wait_for_a_silent_gateway_covers_all_retries(attempts: int, patience_s: int) -> None:
    assert replace(RETRY_POLICY, max_attempts=attempts).patience_s == patience_s
