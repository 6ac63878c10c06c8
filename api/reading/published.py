"""One published state as this process knows it, with all that was made from it and is kept while it is in force."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar, cast

from cachetools import LRUCache

from api.reading.answers import Answer
from core.calendar import Calendar, calendar_named
from core.stores.summaries import Publication

T = TypeVar("T")

_KEPT_QUERIES: Final = 4096
_KEPT_TABLES: Final = 8


def version_of(publication: Publication) -> str:
    """The name of a published state: in ETags, in cursors, and to people."""
    return f"{publication.generation}-{publication.published_at_ms:x}"


class Published:
    """A publication, and three caches that end with it: a new version begins with empty ones.

    :param cache_bytes: how many bytes of encoded answers are kept; those not asked for the longest go first.
    """

    def __init__(self, publication: Publication, cache_bytes: int) -> None:
        self.publication: Final = publication
        self.version: Final = version_of(publication)
        self.calendar: Final[Calendar] = calendar_named(publication.meaning.calendar)
        self._lock = threading.Lock()
        self._queries: LRUCache[Hashable, Any] = LRUCache(_KEPT_QUERIES)
        self._answers: LRUCache[Hashable, Answer] = LRUCache(max(cache_bytes, 1), getsizeof=lambda answer: answer.size)
        self._tables: LRUCache[Hashable, Any] = LRUCache(_KEPT_TABLES)

    def query(self, text: Hashable, make: Callable[[], T]) -> T:
        """The query that `text` stands for, from `make` where it is not known; what `make` raises is not kept."""
        return cast("T", self._kept(self._queries, text, make))

    def table(self, name: Hashable, make: Callable[[], T]) -> T:
        """Something large that many answers are made from, such as the totals of all merchants."""
        return cast("T", self._kept(self._tables, name, make))

    def answer(self, query: Hashable) -> Answer | None:
        """The encoded answer that was kept for `query`, if it still is."""
        with self._lock:
            return self._answers.get(query)

    def keep(self, query: Hashable, answer: Answer) -> None:
        """Keep `answer` for `query`, unless it alone is larger than all that may be kept."""
        with self._lock:
            if answer.size <= self._answers.maxsize:
                self._answers[query] = answer

    def _kept(self, cache: LRUCache[Hashable, Any], name: Hashable, make: Callable[[], Any]) -> Any:
        with self._lock:
            if name in cache:
                return cache[name]
        made = make()  # outside the lock: of two that make the same at once, the later stays
        with self._lock:
            cache[name] = made
        return made
