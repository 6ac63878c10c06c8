"""A pool of threads stays usable after failures and cancelled calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from api.problems import Problem
from api.threads import ThreadPool

WAIT_S = 40


@pytest.fixture
def no_thread_can_start() -> Iterator[None]:
    before = threading.stack_size(1 << 47)  # more than the address space
    yield
    threading.stack_size(before)


@pytest.mark.usefixtures("no_thread_can_start")
def test_a_pool_that_cannot_start_a_thread_says_so_and_starts_one_later() -> None:
    async def use(pool: ThreadPool) -> list[int]:
        for _ in range(3):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                await asyncio.wait_for(pool.run(int), WAIT_S)
        threading.stack_size(0)
        return [await asyncio.wait_for(pool.run(int, number), WAIT_S) for number in range(3)]

    assert asyncio.run(use(ThreadPool("test", 1, 1))) == [0, 1, 2]


def test_a_call_that_is_cancelled_while_it_waits_is_not_run_and_leaves_the_queue() -> None:
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


def test_a_call_that_raises_what_no_future_accepts_does_not_keep_the_result_of_another() -> None:
    async def use(pool: ThreadPool) -> list[object]:
        both = asyncio.gather(pool.run(next, iter(())), pool.run(int), return_exceptions=True)
        return [type(found) for found in await asyncio.wait_for(both, WAIT_S)]

    assert asyncio.run(use(ThreadPool("test", 1, 1))) == [RuntimeError, int]


def test_a_call_that_ends_after_its_event_loop_leaves_its_thread_to_the_next() -> None:
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
