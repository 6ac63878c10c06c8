"""One published state as this process knows it, and the cache of what was made from it while it is current."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self, TypeVar, cast

from cachetools import LRUCache

from api.http.etag import CacheableResponse
from core.calendar import Calendar, calendar_named
from core.merchant_names import NO_NAMES, MerchantNames
from core.stores import Stores
from core.stores.complete_days import CompleteDays, found_later
from core.stores.summaries import DayRange, Publication

T = TypeVar("T")

Maker = Callable[[Stores, "Snapshot"], CacheableResponse]
"""Makes an answer, encoded as it is kept, from the stores while a published state is current."""

_CACHED_QUERIES: Final = 4096
_CACHED_TABLES: Final = 8
_LONGEST_CACHED_QUERY: Final = 512


class NamesChanged(Exception):
    """The names of merchants are no longer those of the published state that an answer is made from."""


class State(NamedTuple):
    """What is published, and what may change without another publication: complete days, and names of merchants.

    :param found_later: days that later runs found complete, see `core.stores.complete_days.found_later`.
    :param names: the version of the names of merchants; empty while there never was one.
    """

    publication: Publication
    found_later: tuple[DayRange, ...] | None = None
    names: str = ""

    @classmethod
    def read(cls, stores: Stores) -> Self | None:
        """The present one, or None when nothing is published.

        :raises StoreUnavailable: the store does not answer.
        """
        publication = stores.summaries.published()
        if publication is None:
            return None
        return cls(publication, found_later(publication, stores.runs), stores.merchant_names.version())

    @property
    def version(self) -> str:
        """What tells it from other states in ETags and in cursors: the publication, and the names if there are any."""
        version = version_of(self.publication)
        return f"{version}-{self.names}" if self.names else version


def version_of(publication: Publication) -> str:
    """The version of a publication, as people see it."""
    return f"{publication.generation}-{publication.published_at_ms:x}"


@dataclass(slots=True)
class _Cached:
    """An answer that is kept, and what makes it from another published state."""

    answer: CacheableResponse
    make: Maker
    hits: int = 0


class Snapshot:
    """A state of what is published, and three caches that end with it: the next one begins with empty ones.

    Queries and answers are kept on the event loop, tables in any thread.

    :param cache_bytes: how many bytes of encoded answers are kept; those not asked for the longest go first.
    """

    def __init__(self, state: State, cache_bytes: int) -> None:
        publication = state.publication
        self.state: Final = state
        self.publication: Final = publication
        self.complete_days: Final = CompleteDays.of(publication, state.found_later)
        self.version: Final = state.version
        self.calendar: Final[Calendar] = calendar_named(publication.fingerprint.calendar)
        self._cache_bytes = cache_bytes
        self._cached_bytes = 0
        # Dictionaries whose first entry is the one that was not asked for the longest.
        self._queries: dict[Hashable, Any] = {}
        self._answers: dict[Hashable, _Cached] = {}
        self._lock = threading.Lock()
        self._tables: LRUCache[Hashable, Any] = LRUCache(_CACHED_TABLES)

    def query(self, text: tuple[Hashable, ...], make: Callable[[], T]) -> T:
        """The query that `text` stands for, from `make` where it is not known; what `make` raises is not kept.

        Long ones are not kept either: many of them would take much memory.
        """
        query = self._queries.pop(text, None)
        if query is None:
            query = make()
            if sum(len(part) for part in text if isinstance(part, str)) > _LONGEST_CACHED_QUERY:
                return query
            if len(self._queries) >= _CACHED_QUERIES:
                del self._queries[next(iter(self._queries))]
        self._queries[text] = query
        return cast("T", query)

    def table(self, name: Hashable, make: Callable[[], T]) -> T:
        """Something large that many answers are made from, such as the totals of all merchants."""
        with self._lock:
            if name in self._tables:
                return cast("T", self._tables[name])
        made = make()  # outside the lock: of two that make the same at once, the later stays
        with self._lock:
            self._tables[name] = made
        return made

    def names(self, stores: Stores) -> MerchantNames:
        """The names of merchants.

        :raises NamesChanged: they are others by now.
        :raises StoreUnavailable: the store does not answer.
        """
        if not self.state.names:
            return NO_NAMES

        def read() -> MerchantNames:
            names = stores.merchant_names.read()
            if names.version != self.state.names:
                raise NamesChanged
            return names

        return self.table(("names",), read)

    def cached(self, query: Hashable) -> CacheableResponse | None:
        """The encoded answer that was kept for `query`, if it still is."""
        cached = self._answers.pop(query, None)
        if cached is None:
            return None
        self._answers[query] = cached
        cached.hits += 1
        return cached.answer

    def keep(self, query: Hashable, answer: CacheableResponse, make: Maker) -> None:
        """Keep `answer` for `query`, unless it alone is larger than all that may be kept.

        :param make: makes the same answer from another published state.
        """
        if answer.size > self._cache_bytes or query in self._answers:
            return
        self._answers[query] = _Cached(answer, make)
        self._cached_bytes += answer.size
        while self._cached_bytes > self._cache_bytes:
            self._cached_bytes -= self._answers.pop(next(iter(self._answers))).answer.size

    def has(self, query: Hashable) -> bool:
        """Whether an answer is kept for `query`; this does not count as asking for it."""
        return query in self._answers

    def favourites(self) -> list[tuple[Hashable, Maker]]:
        """What was asked more than once, the most asked first: the query and what makes its answer."""
        hits = [(cached.hits, query, cached.make) for query, cached in self._answers.items()]
        wanted = [entry for entry in hits if entry[0]]
        wanted.sort(key=lambda entry: entry[0], reverse=True)
        return [(query, make) for _, query, make in wanted]
