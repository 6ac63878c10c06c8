"""Bounded thread pools for blocking calls, and single flight: one computation for all requests that wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final, Generic, TypeVar

import falcon.asgi

from api.http.request_body import read_body
from api.problems import Problem, ProblemKind

T = TypeVar("T")

_RETRY_S: Final = 1.0


class ThreadPool:
    """Threads with a queue of limited length.

    :param queued: how many calls may wait for a thread.
    """

    def __init__(self, name: str, threads: int, queued: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threading.BoundedSemaphore(threads + queued)

    async def run(self, call: Callable[..., T], *arguments: Any) -> T:
        """The result of ``call(*arguments)``, run in a thread with the context of the caller.

        :raises Problem: overloaded: the queue is full.
        """
        if not self._free.acquire(blocking=False):
            raise Problem(ProblemKind.OVERLOADED, "Too many requests wait for a thread.", retry_after_s=_RETRY_S)
        try:
            done = self._executor.submit(copy_context().run, call, *arguments)
        except BaseException:
            self._free.release()
            raise
        done.add_done_callback(lambda _: self._free.release())  # also if the caller was cancelled
        return await asyncio.wrap_future(done)


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
    sends the body, see `api.middleware.response_cache.App`, which also detects that a chunked body is incomplete.

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
