"""A snapshot of the current publication, and the cache of responses that were made from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, Self, TypeVar, cast

from cachetools import LRUCache

from api.http.etag import CacheableResponse, Preference
from api.problems import Problem
from core.calendar import Calendar, calendar_named
from core.merchant_names import NO_NAMES, MerchantNames
from core.stores import Stores
from core.stores.complete_days import CompleteDays, found_later
from core.stores.summaries import DayRange, Publication

T = TypeVar("T")

_CACHED_QUERIES: Final = 4096
_CACHED_TABLES: Final = 8
_LONGEST_CACHED_QUERY: Final = 512


class SnapshotOutdated(Exception):
    """Something else is published, or the names of merchants have changed, since the snapshot."""


class State(NamedTuple):
    """The current publication, and what can change without a new one: complete days, and names of merchants.

    :param found_later: days that later runs found complete, see `core.stores.complete_days.found_later`.
    :param names: the version of the names of merchants; empty before the first import of names.
    """

    publication: Publication
    found_later: tuple[DayRange, ...] | None = None
    names: str = ""

    @classmethod
    def read(cls, stores: Stores) -> Self | None:
        """The present state, or None if nothing is published.

        :raises StoreUnavailable: the store does not answer.
        """
        publication = stores.summaries.published()
        if publication is None:
            return None
        return cls(publication, found_later(publication, stores.runs), stores.merchant_names.version())

    @property
    def version(self) -> str:
        """Its version in ETags and cursors: that of the publication, and that of the names if there are any."""
        version = version_of(self.publication)
        return f"{version}-{self.names}" if self.names else version


def version_of(publication: Publication) -> str:
    """The version of a publication in ETags, cursors and responses."""
    return f"{publication.generation}-{publication.published_at_ms:x}"


class Responder(Protocol):
    """Makes the responses of a resource; see `api.summaries.reader.CachedResource`."""

    def is_batched(self, query: Any) -> bool: ...

    def make_each(
        self, stores: Stores, snapshot: Snapshot, queries: Sequence[Any]
    ) -> Sequence[CacheableResponse | Problem]: ...


class Wanted(NamedTuple):
    """A response that clients want, which can be made from any snapshot."""

    resource: Responder
    query: Hashable
    preference: Preference


@dataclass(slots=True)
class _Cached:
    answer: CacheableResponse
    hits: int = 0


class Snapshot:
    """A snapshot of the current publication, with three caches that the next snapshot does not take over.

    Queries and responses are cached on the event loop, tables in any thread.

    :param cache_bytes: the size of the cache of encoded responses; the least recently used are evicted first.
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
        # Dictionaries in the order of the last use.
        self._queries: dict[Hashable, Any] = {}
        self._answers: dict[Wanted, _Cached] = {}
        self._lock = threading.Lock()
        self._tables: LRUCache[Hashable, Any] = LRUCache(_CACHED_TABLES)

    def query(self, text: tuple[Hashable, ...], make: Callable[[], T]) -> T:
        """The query of `text`, made by `make` if it is not cached; errors of `make` are not cached.

        Long queries are not cached either, to save memory.
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
        """Large data from which many responses are made, such as the totals of all merchants."""
        with self._lock:
            if name in self._tables:
                return cast("T", self._tables[name])
        made = make()  # outside the lock: two threads may make the same table, and the last is cached
        with self._lock:
            self._tables[name] = made
        return made

    def require_current(self, stores: Stores) -> None:
        """Check, after reading from `stores`, that what was read is of this snapshot.

        :raises SnapshotOutdated: its publication is no longer current.
        :raises StoreUnavailable: the store does not answer.
        """
        if not stores.summaries.is_current(self.publication):
            raise SnapshotOutdated

    def names(self, stores: Stores) -> MerchantNames:
        """The names of merchants.

        :raises SnapshotOutdated: they have changed since the snapshot.
        :raises StoreUnavailable: the store does not answer.
        """
        if not self.state.names:
            return NO_NAMES

        def read() -> MerchantNames:
            names = stores.merchant_names.read()
            if names.version != self.state.names:
                raise SnapshotOutdated
            return names

        return self.table(("names",), read)

    def cached(self, wanted: Wanted) -> CacheableResponse | None:
        """The response that is cached for `wanted`, if any."""
        cached = self._answers.pop(wanted, None)
        if cached is None:
            return None
        self._answers[wanted] = cached
        cached.hits += 1
        return cached.answer

    def keep(self, wanted: Wanted, answer: CacheableResponse) -> None:
        """Cache `answer` for `wanted`, unless it is larger than the cache."""
        if answer.size > self._cache_bytes or wanted in self._answers:
            return
        self._answers[wanted] = _Cached(answer)
        self._cached_bytes += answer.size
        while self._cached_bytes > self._cache_bytes:
            self._cached_bytes -= self._answers.pop(next(iter(self._answers))).answer.size

    def has(self, wanted: Wanted) -> bool:
        """Whether a response is cached for `wanted`; this does not count as a use."""
        return wanted in self._answers

    def favourites(self) -> list[Wanted]:
        """The responses that were used more than once, most used first."""
        used = [wanted for wanted, cached in self._answers.items() if cached.hits]
        return sorted(used, key=lambda wanted: self._answers[wanted].hits, reverse=True)
