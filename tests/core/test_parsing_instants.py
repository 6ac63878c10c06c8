"""Instants given on a command line."""

from __future__ import annotations

import pytest

from core.errors import UsageError
from core.instants import parse_expiry, parse_instant

NOW_MS = 1_719_230_400_000  # 2024-06-24T12:00:00Z
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("text", "after_ms"),
    [
        ("90d", 90 * DAY_MS),
        ("12h", DAY_MS // 2),
        ("30m", 1_800_000),
        ("2024-06-25", DAY_MS // 2),
        ("2024-06-24T12:00:00.5Z", 500),
        ("2024-06-24 15:31+03:30", 60_000),
        ("2024-06-24t12:00:01z", 1000),
    ],
)
def test_an_expiry_is_a_duration_a_day_or_a_time_with_offset(text: str, after_ms: int) -> None:
    assert parse_expiry(text, NOW_MS) == NOW_MS + after_ms


@pytest.mark.parametrize("text", ["2024-06-24", "2024-06-24T12:00:00Z", "2024-06-24T15:30+03:30", "0001-01-01"])
def test_an_expiry_in_the_past_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--expires .* is in the past"):
        parse_expiry(text, NOW_MS)


@pytest.mark.parametrize(
    "text",
    ["", "0d", "d", "-1d", "1.5h", "3w", "100000d", "soon", "2024-13-01", "2024-06-24T12:00:00", "20240624", "2024-06",
     "2024-06-24T25:00Z", "2024-06-24T12:00:00+25:00", "1719230400", "۲۰۲۴-۰۶-۲۴"],
)  # fmt: skip
def test_an_invalid_instant_is_reported_with_its_option(text: str) -> None:
    with pytest.raises(UsageError, match=r"--from .* is not an instant") as refused:
        parse_instant("--from", text)
    with pytest.raises(UsageError, match=r"--expires .* is not an instant") as refused_too:
        parse_expiry(text, NOW_MS)
    assert (refused.value.hint[-1], refused_too.value.hint[-1]) == (".", ".")
