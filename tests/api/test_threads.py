"""A pool of threads and batches stay usable after failures and cancelled calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from api.problems import Problem
from api.threads import Batches, ThreadPool

WAIT_S = 40


@pytest.fixture
def no_thread_can_start() -> Iterator[None]:
    before = threading.stack_size(1 << 47)  # more than the address space
    yield
    threading.stack_size(before)


@pytest.mark.usefixtures("no_thread_can_start")
def test_a_pool_that_cannot_start_a_thread_fails_and_recovers() -> None:
    async def use(pool: ThreadPool) -> list[int]:
        for _ in range(3):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                await asyncio.wait_for(pool.run(int), WAIT_S)
        threading.stack_size(0)
        return [await asyncio.wait_for(pool.run(int, number), WAIT_S) for number in range(3)]

    assert asyncio.run(use(ThreadPool("test", 1, 1))) == [0, 1, 2]


def test_a_cancelled_waiting_call_leaves_the_queue() -> None:
    async def use(pool: ThreadPool) -> list[str]:
        ran: list[str] = []
        free = threading.Event()
        first = asyncio.create_task(pool.run(free.wait, WAIT_S))
        cancelled = asyncio.create_task(pool.run(ran.append, "cancelled"))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        with pytest.raises(Problem):
            await pool.run(ran.append, "too many")
        free.set()
        assert await first
        for name in "ab":
            await asyncio.wait_for(pool.run(ran.append, name), WAIT_S)
        return ran

    assert asyncio.run(use(ThreadPool("test", 1, 1))) == ["a", "b"]


def test_a_call_that_raises_stop_iteration_does_not_block_others() -> None:
    async def use(pool: ThreadPool) -> list[object]:
        both = asyncio.gather(pool.run(next, iter(())), pool.run(int), return_exceptions=True)
        return [type(found) for found in await asyncio.wait_for(both, WAIT_S)]

    assert asyncio.run(use(ThreadPool("test", 1, 1))) == [RuntimeError, int]


def test_a_call_that_outlives_its_event_loop_releases_its_thread() -> None:
    pool = ThreadPool("test", 1, 1)
    free = threading.Event()

    async def leave() -> None:
        asyncio.create_task(pool.run(free.wait, WAIT_S))  # noqa: RUF006
        await asyncio.sleep(0)

    async def use() -> int:
        free.set()
        return await asyncio.wait_for(pool.run(int, 7), WAIT_S)

    asyncio.run(leave())
    assert asyncio.run(use()) == 7


class Panic(BaseException):
    """As Polars raises in a panic."""


class Squares:
    """Batches of numbers, of which odd ones are computed together. A negative number is an error, and 98, 99 fail."""

    def __init__(self, *, most: int = 100) -> None:
        self.computed: list[list[int]] = []
        self.batches: Batches[int, int] = Batches(
            self._compute, lambda number: "odd" if number % 2 else None, largest=3, at_once=1, most=most
        )

    async def _compute(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.computed.append(list(numbers))
        await asyncio.sleep(0)
        if 99 in numbers:
            raise RuntimeError("99")
        if 98 in numbers:
            raise Panic(98)
        return [ValueError(number) if number < 0 else number**2 for number in numbers]

    async def of(self, *numbers: int) -> list[object]:
        """The result for each number, or its exception; all are requested at once."""
        found = asyncio.gather(*map(self.batches.get, numbers), return_exceptions=True)
        return [repr(one) if isinstance(one, BaseException) else one for one in await asyncio.wait_for(found, WAIT_S)]


def on_a_loop(use: Callable[[Squares], object], squares: Squares | None = None) -> Squares:
    squares = squares or Squares()
    asyncio.run(use(squares))  # type: ignore[arg-type]
    return squares


def test_waiting_keys_of_a_group_are_batched_and_deduplicated() -> None:
    async def use(squares: Squares) -> None:
        assert await squares.of(1, 3, 5, 7, 2, 4, 9, 1, 4) == [1, 9, 25, 49, 4, 16, 81, 1, 16]

    assert on_a_loop(use).computed == [[1, 3, 5], [7], [2], [4], [9]]


def test_an_error_reaches_callers_of_its_key_and_a_failure_its_batch() -> None:
    async def use(squares: Squares) -> None:
        assert await squares.of(1, -1, -1, 3) == [1, "ValueError(-1)", "ValueError(-1)", 9]
        assert await squares.of(5, 99, 4) == ["RuntimeError('99')", "RuntimeError('99')", 16]
        assert await squares.of(99 - 2, 5) == [97**2, 25]

    on_a_loop(use)


def test_a_panic_reaches_its_callers_and_leaves_the_waiting_keys_to_be_computed() -> None:
    async def use(squares: Squares) -> None:
        for _ in range(2):
            assert await squares.of(98, 4) == ["Panic(98)", 16]

    on_a_loop(use)


def test_a_key_over_the_limit_is_refused_unless_it_is_being_computed() -> None:
    async def use(squares: Squares) -> None:
        *found, refused = await squares.of(1, 2, 1, 3)
        assert found == [1, 4, 1]
        assert "Problem" in str(refused)
        assert await squares.of(3) == [9]

    on_a_loop(use, Squares(most=2))


def test_a_cancelled_caller_does_not_cancel_the_others() -> None:
    async def use(squares: Squares) -> None:
        first, second = (asyncio.create_task(squares.batches.get(2)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await asyncio.wait_for(second, WAIT_S) == 4
        assert first.cancelled()

    assert on_a_loop(use).computed == [[2]]
