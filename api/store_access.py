"""The stores of a process that serves requests: opened when needed, and again after a failure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from core.errors import StoreBusy, StoreError, StoreUnavailable, StoreUnwritable
from core.stores import Stores

T = TypeVar("T")

PATIENCE_S: Final = 0.1
"""For how long a request waits for the store that could be answered without it."""


class StoreAccess:
    """The stores, with a pause of `pause_s` after each failure. Threads share it.

    After a failure all calls fail at once for `pause_s`; then one caller tries again while the others still fail at
    once. So a store that hangs blocks only the requests that were running.

    :param open_stores: opens them; called again after a failure.
    :param monotonic: seconds, never going back.
    :param patience_s: see `answered`.
    """

    def __init__(
        self,
        open_stores: Callable[[], Stores],
        *,
        pause_s: float,
        monotonic: Callable[[], float],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._open_stores = open_stores
        self._pause_s = pause_s
        self._monotonic = monotonic
        self._patience_s = patience_s
        self._is_silent = False
        self._stores: Stores | None = None
        self._failure: StoreError | None = None
        self._retry_at = 0.0
        self._opening = threading.Lock()
        self._dropping = threading.Lock()

    def call(self, use: Callable[[Stores], T]) -> T:
        """The result of `use` with the stores.

        :raises StoreError: they do not answer, or failed less than `pause_s` ago.
        """
        self.refuse_while_down()
        stores = self._opened()
        try:
            result = use(stores)
        except (StoreBusy, StoreUnwritable):
            raise  # a failed write does not mean that reads fail
        except StoreUnavailable as error:
            if self._stores is stores:  # else another caller has closed them, and the new ones may work
                self._record(error)
                self._drop(stores)
            raise
        self._is_silent = False
        return result

    async def answered(self, reading: asyncio.Task[Any]) -> bool:
        """Whether `reading`, which calls the stores, is done; for a request that could be answered without it.

        A request waits for `patience_s`. Once the store has let one wait in vain, or has failed, none waits until the
        store answers again.
        """
        if not reading.done():
            await asyncio.wait([reading], timeout=0 if self._is_silent else self._patience_s)
            if not reading.done():
                self._is_silent = True
        return reading.done()

    def refuse_while_down(self) -> None:
        """Raise the last error, if it was less than `pause_s` ago.

        :raises StoreError: the stores did not answer.
        """
        if self._failure is not None and self._monotonic() < self._retry_at:
            raise self._last_failure()

    def close(self) -> None:
        """Close the stores; the next call opens them again."""
        if self._stores is not None:
            self._drop(self._stores)

    def _opened(self) -> Stores:
        if (stores := self._stores) is not None:
            return stores
        # While another caller tries again after a failure, do not wait for it: it will probably fail.
        if not self._opening.acquire(blocking=self._failure is None):
            raise self._last_failure()
        try:
            self.refuse_while_down()
            if (stores := self._stores) is None:
                stores = self._stores = self._open_stores()
            self._failure = None
            return stores
        except StoreError as error:
            self._record(error)
            raise
        finally:
            self._opening.release()

    def _record(self, error: StoreError) -> None:
        self._failure = error
        self._is_silent = True
        self._retry_at = self._monotonic() + self._pause_s

    def _drop(self, stores: Stores) -> None:
        with self._dropping:  # one of several failed callers closes the stores, and none closes the new ones
            if self._stores is not stores:
                return
            self._stores = None
        with suppress(StoreUnavailable):
            stores.close()

    def _last_failure(self) -> StoreError:
        error = self._failure
        if error is None:
            return StoreUnavailable("the store does not answer")
        return type(error)(error.sentence, error.hint)  # a new object, so that each raise has its own traceback
