"""A store that blocks for as long as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from api_client import Api
from falcon.testing import Result

from core.stores import Stores

WAIT_S: Final = 40


class SlowStore:
    """The stores behind `api`; each call waits while `slow` is active.

    :ivar waiting: number of waiting calls.
    :ivar asked: number of calls so far.
    """

    def __init__(self, api: Api) -> None:
        self._answering = threading.Event()
        self._answering.set()
        self._changed = threading.Condition()
        self.waiting = self.asked = 0
        self._api = api
        open_stores = api.open_stores
        api.open_stores = lambda: self._behind(open_stores())  # type: ignore[method-assign]

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Block every call until the end of the block."""
        self._answering.clear()
        try:
            yield
        finally:
            self._answering.set()

    @contextmanager
    def asked_by(self, *questions: dict[str, Any]) -> Iterator[list[Future[Result]]]:
        """The responses to `questions` (see `Api.ask`), each of which waits for the store."""
        with ThreadPoolExecutor(len(questions)) as threads, self.slow():
            yield [threads.submit(self._api.ask, **question) for question in questions]

    def wait_for(self, count: int) -> None:
        """Wait until `count` calls are blocked."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.waiting >= count, WAIT_S)

    def _behind(self, stores: Stores) -> Stores:
        for part, name in (
            ("summaries", "published"),
            ("summaries", "is_current"),
            ("summaries", "series"),
            ("summaries", "series_json"),
            ("summaries", "merchants"),
            ("keys", "get"),
            ("runs", "recent"),
        ):
            store = getattr(stores, part)
            setattr(store, name, self._slowly(getattr(store, name)))
        return stores

    def _slowly(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        def ask_slowly(*arguments: Any) -> Any:
            self._count(1)
            assert self._answering.wait(WAIT_S)
            self._count(-1)
            return ask(*arguments)

        return ask_slowly

    def _count(self, more: int) -> None:
        with self._changed:
            self.waiting += more
            self.asked += max(0, more)
            self._changed.notify_all()
