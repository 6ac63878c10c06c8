"""Retries with exponential backoff and jitter, for the whole project.

Uses Tenacity, which is imported at the first call, as most commands do not use a network.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tenacity import Retrying

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """A retry policy.

    :param retries: number of consecutive failures that are retried.
    :param first_s: seconds before the first retry, doubled for each further one, plus a random jitter of up to
        `first_s`.
    :param longest_s: maximal seconds between two attempts.
    """

    retries: int = 8
    first_s: float = 0.5
    longest_s: float = 15.0


def retry(
    call: Callable[[], T],
    is_transient: Callable[[BaseException], bool],
    backoff: Backoff,
    sleep: Callable[[float], Any] = time.sleep,
) -> T:
    """The result of `call`, retried while it fails with an error that `is_transient` accepts.

    :param sleep: waits for that many seconds, or less if the caller has to stop.
    :raises BaseException: the last error of `call`, if it is not transient or there were too many.

    >>> answers = iter([0, 0, 4])
    >>> retry(lambda: 8 // next(answers), lambda error: isinstance(error, ZeroDivisionError), Backoff(first_s=0.001))
    2
    """
    return attempts(is_transient, backoff, sleep)(call)


def attempts(
    is_transient: Callable[[BaseException], bool], backoff: Backoff, sleep: Callable[[float], Any] = time.sleep
) -> Retrying:
    """Contexts for retries inside a generator: a failure in one is retried in the next; see `retry`.

    >>> for attempt in attempts(lambda error: isinstance(error, OSError), Backoff()):
    ...     with attempt:
    ...         print("done")
    done
    """
    from tenacity import Retrying

    return Retrying(sleep=sleep, **_rules(is_transient, backoff))


def retry_iteration(
    begin: Callable[[], Generator[T]],
    is_transient: Callable[[BaseException], bool],
    backoff: Backoff,
    sleep: Callable[[float], Any] = time.sleep,
) -> Generator[T]:
    """The items of `begin`, called again if iteration fails with an error that `is_transient` accepts; see `retry`.

    Each item resets the number of consecutive failures, so `begin` must resume after the last yielded item.
    """
    items: Generator[T] | None = None

    def following() -> tuple[T] | None:
        nonlocal items
        if items is None:
            items = begin()
        try:
            return (next(items),)
        except StopIteration:
            return None
        except BaseException:
            items = None
            raise

    try:
        while (item := retry(following, is_transient, backoff, sleep)) is not None:
            yield item[0]
    finally:
        if items is not None:
            items.close()


async def retry_async(
    call: Callable[[], Awaitable[T]], is_transient: Callable[[BaseException], bool], backoff: Backoff
) -> T:
    """`retry` for a coroutine function."""
    from tenacity import AsyncRetrying

    async def attempt() -> T:
        return await call()

    return await AsyncRetrying(**_rules(is_transient, backoff))(attempt)


def _rules(is_transient: Callable[[BaseException], bool], backoff: Backoff) -> dict[str, Any]:
    from tenacity import retry_if_exception, stop_after_attempt, wait_exponential_jitter

    return {
        "retry": retry_if_exception(is_transient),
        "stop": stop_after_attempt(backoff.retries + 1),
        "wait": wait_exponential_jitter(multiplier=backoff.first_s, max=backoff.longest_s, jitter=backoff.first_s),
        "reraise": True,
    }
