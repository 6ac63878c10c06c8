"""The rate limit of a channel, counted in a real Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from delivery_broker import RedisProcess

from core.errors import SettingsError
from notifier.rate_limits import SharedRateLimiter


@pytest.fixture
def counter(tmp_path: Path, missing: Callable[[str], NoReturn]) -> Iterator[RedisProcess]:
    made = RedisProcess(tmp_path, missing)
    made.start()
    yield made
    made.kill()


def test_all_workers_share_one_rate_limit(counter: RedisProcess) -> None:
    one, other = (SharedRateLimiter({"sms": "3/minute"}, counter.url(1)) for _ in range(2))
    waits = [rate_limiter.wait_s("sms") for rate_limiter in (one, other, one, other)]
    assert waits[:3] == [0, 0, 0]
    assert 0 < waits[3] <= 60


def test_after_retry_after_more_may_be_sent(counter: RedisProcess) -> None:
    rate_limiter = SharedRateLimiter({"sms": "1/second"}, counter.url(1))
    while not (wait_s := rate_limiter.wait_s("sms")):
        pass
    time.sleep(wait_s + 0.05)
    assert rate_limiter.wait_s("sms") == 0


def test_each_channel_has_its_own_optional_rate_limit(counter: RedisProcess) -> None:
    rate_limiter = SharedRateLimiter({"sms": "1/minute", "email": "1/minute"}, counter.url(1))
    assert [rate_limiter.wait_s(channel) for channel in ("sms", "email", "webhook", "webhook")] == [0, 0, 0, 0]


def test_while_redis_is_down_only_rate_limited_channels_wait(counter: RedisProcess) -> None:
    rate_limiter = SharedRateLimiter({"sms": "100/minute"}, counter.url(1))
    counter.kill()
    assert rate_limiter.wait_s("sms") >= 1
    assert rate_limiter.wait_s("email") == 0
    counter.start()
    assert rate_limiter.wait_s("sms") == 0


@pytest.mark.parametrize("url", ["amqp://u:s3cret@127.0.0.1", "rpc://", "redis://u:s3cret@host:port/1", "redis", ""])
def test_an_unusable_rate_limit_storage_is_refused_at_start_up(url: str) -> None:
    with pytest.raises(SettingsError, match="CELERY_RESULT_BACKEND") as refusal:
        SharedRateLimiter({"sms": "3/minute"}, url)
    assert "s3cret" not in str(refusal.value)


def test_without_rate_limits_any_result_backend_is_accepted() -> None:
    assert SharedRateLimiter({}, "rpc://").wait_s("sms") == 0
