"""The retry helper: exponential backoff with jitter, transient errors only, limited attempts."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from core.retrying import Backoff, attempts, retry, retry_iteration

FOUR = Backoff(retries=4, first_s=1.0, longest_s=5.0)


def is_transient(error: BaseException) -> bool:
    """Whether `error` is one of those that are retried."""
    return isinstance(error, OSError)


def test_backoff_doubles_up_to_a_maximum_with_jitter() -> None:
    waited: list[list[float]] = [[], []]
    for pauses in waited:
        with pytest.raises(OSError, match="down"):
            retry(_down, is_transient, FOUR, pauses.append)
        assert [1 <= pauses[0] <= 2, 2 <= pauses[1] <= 3, 4 <= pauses[2] <= 5, pauses[3] == 5] == [True] * 4
    assert waited[0][:3] != waited[1][:3]


def test_the_result_of_a_successful_last_retry_is_returned() -> None:
    calls = iter([OSError, OSError, OSError, OSError, None])

    def call() -> str:
        if (error := next(calls)) is not None:
            raise error
        return "done"

    assert retry(call, is_transient, FOUR, lambda _: None) == "done"


def test_a_permanent_error_is_not_retried() -> None:
    waited: list[float] = []
    with pytest.raises(ZeroDivisionError):
        retry(lambda: 1 // 0, is_transient, FOUR, waited.append)
    assert waited == []


def test_each_item_of_a_retried_iteration_resets_the_retry_count() -> None:
    given: list[int] = []
    failures = iter([3, 4, 4, 0])
    left = [next(failures)]

    def begin() -> Generator[int]:
        while len(given) < 3:
            if left[0]:
                left[0] -= 1
                raise OSError
            given.append(len(given))
            left[0] = next(failures)
            yield given[-1]

    assert list(retry_iteration(begin, is_transient, FOUR, lambda _: None)) == [0, 1, 2]


def test_an_abandoned_retried_iteration_is_closed() -> None:
    closed: list[bool] = []

    def begin() -> Generator[int]:
        try:
            yield from range(10)
        finally:
            closed.append(True)

    items = retry_iteration(begin, is_transient, FOUR)
    assert next(items) == 0
    items.close()
    assert closed == [True]


def test_a_generator_is_restarted_on_retry_and_can_be_closed() -> None:
    begun: list[int] = []

    def items() -> Generator[int]:
        for attempt in attempts(is_transient, FOUR, lambda _: None):
            with attempt:
                begun.append(1)
                yield len(begun)
                if len(begun) < 3:
                    raise OSError

    assert list(items()) == [1, 2, 3]
    begun.clear()
    given_up = items()
    next(given_up)
    given_up.close()
    assert len(begun) == 1


def _down() -> None:
    raise OSError("down")
