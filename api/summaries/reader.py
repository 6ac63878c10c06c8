"""The base class of resources that answer from summaries: from the cache or from the store, each from one snapshot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

import falcon.asgi

from api.auth.principal import Principal
from api.http.etag import CacheableResponse, Preference, preference_in
from api.http.request import FAILED
from api.problems import Problem, ProblemKind
from api.summaries.cache import Snapshot, Wanted
from api.summaries.current_publication import CurrentPublication
from core.calendar import Calendar
from core.errors import StoreUnavailable
from core.stores import Stores

QueryT = TypeVar("QueryT", bound=Hashable)

_MOST_READS: Final = 10
_NOT_BUILT_RETRY_S: Final = 30.0


class CachedResource(ABC, Generic[QueryT]):
    """A resource whose responses are cached; cached ones are sent from the event loop.

    :param current: the current snapshot.
    :param calendar: of keys while nothing is published.
    """

    def __init__(self, current: CurrentPublication, calendar: Calendar) -> None:
        self._current = current
        self._calendar = calendar

    @abstractmethod
    def parse(self, query_string: str, caller: Principal, calendar: Calendar, version: str | None) -> QueryT:
        """The query in `query_string`. Of `caller`, it depends on the readable merchants only.

        :param version: the version that a cursor must have, or None if nothing is published.
        :raises Problem: bad parameter, with all errors; a stale cursor; or `caller` may not send this query.
        """

    @abstractmethod
    def make(self, stores: Stores, snapshot: Snapshot, query: QueryT) -> CacheableResponse:
        """The response to `query`, unencoded.

        :raises SnapshotOutdated: what was read is not of `snapshot`, see `Snapshot.require_current`.
        """

    def is_batched(self, query: QueryT) -> bool:
        """Whether `make_each` makes the responses to several such queries at once."""
        return False

    def make_each(
        self, stores: Stores, snapshot: Snapshot, queries: Sequence[QueryT]
    ) -> Sequence[CacheableResponse | Problem]:
        """The responses to `queries`; see `make`."""
        return [self.make(stores, snapshot, query) for query in queries]

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Answer `req`."""
        if FAILED in req.scope:
            raise req.scope.pop(FAILED)
        context = req.context
        preference = preference_in(req.get_header("Accept-Encoding"))
        response, context.cache = await self.respond(req.query_string, context.principal, preference)
        context.answered_by = self, preference
        response.send(req, resp)

    on_head = on_get

    async def respond(
        self, query_string: str, caller: Principal, preference: Preference
    ) -> tuple[CacheableResponse, str]:
        """The response in the preferred encoding, and ``hit`` if it was cached, else ``miss``.

        If new summaries are published in the meantime, it starts again with those.

        :raises Problem: nothing is built yet; and what `parse` and `make` raise.
        :raises StoreUnavailable: the store does not answer, or summaries are published faster than they can be read.
        """
        snapshot = await self._current.snapshot()
        for _ in range(_MOST_READS):
            if snapshot is None:
                raise self._nothing_yet(query_string, caller)
            try:
                query = snapshot.query(
                    (self, caller.readable_merchants, query_string),
                    partial(self.parse, query_string, caller, snapshot.calendar, snapshot.version),
                )
            except Problem as problem:
                # The cursor may be from another process, which knows a newer publication than this one.
                if (
                    problem.kind is not ProblemKind.STALE_CURSOR
                    or (latest := await self._current.read_again()) is snapshot
                ):
                    raise
                snapshot = latest
                continue
            wanted = Wanted(self, query, preference)
            if cached := snapshot.cached(wanted):
                return cached, "hit"
            if made := await self._current.response(snapshot, wanted):
                return made, "miss"
            snapshot = await self._current.read_again()
        raise StoreUnavailable("summaries are published faster than they can be read", "Try again.")

    def _nothing_yet(self, query_string: str, caller: Principal) -> Problem:
        """The response while nothing is published, unless the request is invalid or not allowed."""
        try:
            self.parse(query_string, caller, self._calendar, None)
        except Problem as problem:
            if problem.kind is not ProblemKind.STALE_CURSOR:
                raise
        return Problem(ProblemKind.NOT_BUILT_YET, "Nothing is published yet.", retry_after_s=_NOT_BUILT_RETRY_S)
