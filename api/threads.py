"""Bounded thread pools for blocking calls, and single flight: one computation for all requests that wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final, Generic, TypeVar

import falcon.asgi

from api.http.request_body import read_body
from api.problems import Problem, ProblemKind

T = TypeVar("T")
KeyT = TypeVar("KeyT", bound=Hashable)

_RETRY_S: Final = 1.0


class ThreadPool:
    """Threads with a queue of limited length.

    The event loop and the threads meet rarely, because each time they contend for the interpreter: a thread continues
    as long as calls wait, and the event loop takes all results that are ready at once.

    :param queued: how many calls may wait for a thread.
    """

    def __init__(self, name: str, threads: int, queued: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.threads, self.most = threads, threads + queued
        self._lock = threading.Lock()  # of the next three
        self._running = self._unfinished = 0
        self._calls: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()
        self._results: deque[tuple[asyncio.Future[Any], tuple[Any, BaseException | None]]] = deque()
        self._is_waking = False

    async def run(self, call: Callable[..., T], *arguments: Any) -> T:
        """The result of ``call(*arguments)``, run in a thread with the context of the caller.

        :raises Problem: overloaded: the queue is full.
        :raises RuntimeError: no thread can be started.
        """
        outcome: asyncio.Future[tuple[T, BaseException | None]] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._unfinished == self.most:
                raise overloaded()
            if self._running < self.threads:
                self._executor.submit(self._work)  # before the rest, because it may fail
                self._running += 1
            self._calls.append((outcome, partial(copy_context().run, call, *arguments)))
            self._unfinished += 1
        result, error = await outcome
        if error is not None:
            raise error  # here, because a future accepts no StopIteration
        return result

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._calls:
                    # What the executor could not start is not counted, but it runs that too, once it has a thread.
                    self._running = max(self._running - 1, 0)
                    return
                future, call = self._calls.popleft()
                if future.cancelled():
                    self._unfinished -= 1
                    continue
            try:
                self._results.append((future, (call(), None)))
            except BaseException as error:
                self._results.append((future, (None, error)))
            with self._lock:
                self._unfinished -= 1  # also if the caller was cancelled
            if not self._is_waking:
                self._is_waking = True
                try:
                    future.get_loop().call_soon_threadsafe(self._deliver)
                except RuntimeError:  # the event loop is closed, and nobody waits
                    self._results.clear()
                    self._is_waking = False

    def _deliver(self) -> None:
        self._is_waking = False  # before the results, or one that arrives now would wait for the next
        while self._results:
            future, outcome = self._results.popleft()
            if not future.cancelled():
                future.set_result(outcome)


def overloaded() -> Problem:
    """The response to a request for which there is no place in a queue."""
    return Problem(ProblemKind.OVERLOADED, "Too many requests wait for a thread.", retry_after_s=_RETRY_S)


class Batches(Generic[KeyT, T]):
    """Computes results for several keys at once, and once for all concurrent callers with the same key.

    :param compute: gives the result for each of some keys, or the exception to raise.
    :param group_of: keys that wait and have the same group are computed together; those of None one at a time.
    :param largest: the most keys of a batch.
    :param at_once: how many batches are computed at the same time.
    :param most: how many keys may wait or be computed.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[KeyT]], Coroutine[Any, Any, Sequence[T | Exception]]],
        group_of: Callable[[KeyT], Hashable],
        *,
        largest: int,
        at_once: int,
        most: int,
    ) -> None:
        self._compute = compute
        self._group_of = group_of
        self._largest = largest
        self._at_once = at_once
        self._most = most
        self._results: dict[KeyT, asyncio.Future[T]] = {}
        self._waiting: deque[KeyT] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: KeyT) -> T:
        """The result for `key`.

        :raises Problem: overloaded.
        """
        result = self._results.get(key)
        if result is None:
            if len(self._results) >= self._most:
                raise overloaded()
            result = self._results[key] = asyncio.get_running_loop().create_future()
            self._waiting.append(key)
            if len(self._tasks) < self._at_once:
                task = asyncio.create_task(self._compute_all())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(result)

    async def _compute_all(self) -> None:
        while self._waiting:
            keys = self.next_batch(self._waiting)
            outcomes: Sequence[T | BaseException]
            try:
                outcomes = await self._compute(keys)
            except asyncio.CancelledError:  # the event loop ends, and with it all callers
                raise
            except BaseException as error:  # a panic of Polars is no Exception
                outcomes = [error] * len(keys)
            for key, outcome in zip(keys, outcomes, strict=True):
                if isinstance(outcome, BaseException):
                    self._results.pop(key).set_exception(outcome)
                else:
                    self._results.pop(key).set_result(outcome)

    def next_batch(self, waiting: deque[KeyT]) -> list[KeyT]:
        """Remove the first keys from `waiting` that can be computed together; at least one."""
        keys = [waiting.popleft()]
        group = self._group_of(keys[0])
        while group is not None and waiting and len(keys) < self._largest and self._group_of(waiting[0]) == group:
            keys.append(waiting.popleft())
        return keys


class SingleFlight(Generic[T]):
    """Runs one computation for all concurrent callers with the same key."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}

    async def run(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `compute`, or of the running computation for `key`; raises what that raises."""
        return await asyncio.shield(self.begin(key, compute))

    def begin(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """The running computation for `key`, or a new one of `compute`."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(compute())
            task.add_done_callback(lambda _: self._tasks.pop(key, None))
            task.add_done_callback(forget_failure)
        return task


def forget_failure(task: asyncio.Task[Any]) -> None:
    """Prevent asyncio's warning about an exception that was never retrieved."""
    if not task.cancelled():
        task.exception()


class Blocking:
    """`resource`, whose responders are ordinary functions, for an ASGI application: they run in the threads of `pool`.

    The body of a request is read first, into ``req.context.body``. Middleware can refuse a request before the client
    sends the body, see `api.middleware.fast_path.App`, which also detects that a chunked body is incomplete.

    :param max_body_bytes: the largest body.
    """

    def __init__(self, resource: object, pool: ThreadPool, max_body_bytes: int) -> None:
        self.public: Final[bool] = getattr(resource, "public", False)
        for name in dir(resource):
            if name.startswith("on_"):
                setattr(self, name, _in_pool(getattr(resource, name), pool, max_body_bytes))


def _in_pool(responder: Callable[..., None], pool: ThreadPool, max_body_bytes: int) -> Callable[..., Awaitable[None]]:
    async def respond(req: falcon.asgi.Request, resp: falcon.asgi.Response, **params: Any) -> None:
        req.context.body = await read_body(req, max_body_bytes)
        await pool.run(lambda: responder(req, resp, **params))

    return respond
