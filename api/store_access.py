"""The stores as a process that serves requests holds them: opened when needed, and again after a failure."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from core.errors import StoreBusy, StoreError, StoreUnavailable, StoreUnwritable
from core.stores import Stores

T = TypeVar("T")


class StoreAccess:
    """Stores that fail at most once per `pause_s`. Threads share it.

    After a failure everything fails at once for `pause_s`, and then one caller tries again while the others still
    fail at once: a store that hangs never holds up more than the requests that met it first.

    :param open_stores: opens them; called again after a failure.
    :param monotonic: seconds, never going back.
    """

    def __init__(self, open_stores: Callable[[], Stores], *, pause_s: float, monotonic: Callable[[], float]) -> None:
        self._open_stores = open_stores
        self._pause_s = pause_s
        self._monotonic = monotonic
        self._stores: Stores | None = None
        self._failure: StoreError | None = None
        self._retry_at = 0.0
        self._opening = threading.Lock()
        self._dropping = threading.Lock()

    def call(self, use: Callable[[Stores], T]) -> T:
        """What `use` makes of the stores.

        :raises StoreError: they do not answer, or did not a moment ago.
        """
        self.refuse_while_down()
        stores = self._opened()
        try:
            return use(stores)
        except (StoreBusy, StoreUnwritable):
            raise  # what keeps one from writing says nothing about those who read
        except StoreUnavailable as error:
            if self._stores is stores:  # else they were closed under this caller, and their successor may be well
                self._record(error)
                self._drop(stores)
            raise

    def refuse_while_down(self) -> None:
        """Raise what they failed with, if that was a moment ago.

        :raises StoreError: they did not answer.
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
        # Who comes while another tries again after a failure need not wait for what will hardly be a success.
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
        self._retry_at = self._monotonic() + self._pause_s

    def _drop(self, stores: Stores) -> None:
        with self._dropping:  # of several callers that it failed, one closes it, and none closes its successor
            if self._stores is not stores:
                return
            self._stores = None
        with suppress(StoreUnavailable):
            stores.close()

    def _last_failure(self) -> StoreError:
        error = self._failure
        if error is None:
            return StoreUnavailable("the store does not answer")
        return type(error)(error.sentence, error.hint)  # each raise has a traceback of its own
