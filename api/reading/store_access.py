"""The stores as a process that serves requests holds them: opened when needed, and again after a failure."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from api.reading.published import Published
from core.errors import StoreUnavailable
from core.stores import Stores
from core.stores.summaries import Publication

T = TypeVar("T")


class StoreAccess:
    """Stores that fail at most once per `freshness_s`, and what they have published. Threads share it.

    After a failure everything fails at once for `freshness_s`, and then one caller tries again while the others still
    fail at once: a store that hangs never holds up more than the requests that met it first.

    :param open_stores: opens them; called again after a failure.
    :param freshness_s: how long the published state is believed before the store is asked again.
    :param cache_bytes: how many bytes of answers each published state may keep.
    :param monotonic: seconds, never going back.
    """

    def __init__(
        self,
        open_stores: Callable[[], Stores],
        *,
        freshness_s: float,
        cache_bytes: int,
        monotonic: Callable[[], float],
    ) -> None:
        self.freshness_s = freshness_s
        self._open_stores = open_stores
        self._cache_bytes = cache_bytes
        self._monotonic = monotonic
        self._stores: Stores | None = None
        self._failure: StoreUnavailable | None = None
        self._retry_at = 0.0
        self._opening = threading.Lock()
        self._dropping = threading.Lock()
        self._published: Published | None = None
        self._look_at = float("-inf")
        self._looking = threading.Lock()

    def call(self, use: Callable[[Stores], T]) -> T:
        """What `use` makes of the stores.

        :raises StoreUnavailable: they do not answer, or did not a moment ago.
        """
        self._refuse_while_down()
        stores = self._opened()
        try:
            return use(stores)
        except StoreUnavailable as error:
            self._note(error)
            self._drop(stores)
            raise

    def published(self) -> Published | None:
        """What is published as of at most `freshness_s` ago, or None when nothing is.

        :raises StoreUnavailable: the store does not answer.
        """
        self._refuse_while_down()
        if self._monotonic() < self._look_at:
            return self._published
        first_look = self._look_at == float("-inf")
        if not self._looking.acquire(blocking=first_look):
            return self._published  # another thread is asking
        try:
            return self.look()
        finally:
            self._looking.release()

    def look(self) -> Published | None:
        """What is published now; what was kept of another state is forgotten.

        :raises StoreUnavailable: the store does not answer.
        """
        publication = self.call(lambda stores: stores.summaries.published())
        if publication is None:
            self._published = None
        elif self._published is None or self._published.publication != publication:
            self._published = Published(publication, self._cache_bytes)
        self._look_at = self._monotonic() + self.freshness_s
        return self._published

    def read(self, published: Published, read: Callable[[Stores], T]) -> T | None:
        """What `read` finds while `published` is in force, or None when something else is by the end of it.

        :raises StoreUnavailable: the store does not answer.
        """

        def and_look(stores: Stores) -> tuple[T, Publication | None]:
            return read(stores), stores.summaries.published()

        found, in_force = self.call(and_look)
        return found if in_force == published.publication else None

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
            self._refuse_while_down()
            if (stores := self._stores) is None:
                stores = self._stores = self._open_stores()
            self._failure = None
            return stores
        except StoreUnavailable as error:
            self._note(error)
            raise
        finally:
            self._opening.release()

    def _note(self, error: StoreUnavailable) -> None:
        self._failure = error
        self._retry_at = self._monotonic() + self.freshness_s

    def _drop(self, stores: Stores) -> None:
        with self._dropping:  # of several callers that it failed, one closes it, and none closes its successor
            if self._stores is not stores:
                return
            self._stores = None
        with suppress(StoreUnavailable):
            stores.close()

    def _refuse_while_down(self) -> None:
        if self._failure is not None and self._monotonic() < self._retry_at:
            raise self._last_failure()

    def _last_failure(self) -> StoreUnavailable:
        error = self._failure
        if error is None:
            return StoreUnavailable("the store does not answer")
        return type(error)(error.sentence, error.hint)  # each raise has a traceback of its own
