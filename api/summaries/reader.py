"""Responses with summaries, from the cache or from the store, each from one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Final, TypeVar

import falcon.asgi

from api.http.etag import CacheableResponse, preference_in
from api.problems import Problem, ProblemKind
from api.summaries.cache import Snapshot
from api.summaries.current_publication import CurrentPublication
from api.threads import SingleFlight
from core.calendar import Calendar
from core.errors import StoreUnavailable
from core.stores import Stores

QueryT = TypeVar("QueryT", bound=Hashable)

_MOST_READS: Final = 10
_NOT_BUILT_RETRY_S: Final = 30.0


class Reader:
    """Reads summaries for the resources. Cached responses are sent from the event loop.

    :param current: the current snapshot.
    :param calendar: of keys while nothing is published.
    """

    def __init__(self, current: CurrentPublication, calendar: Calendar) -> None:
        self._current = current
        self._calendar = calendar
        self._making: SingleFlight[CacheableResponse | None] = SingleFlight()

    async def respond(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        *,
        question: tuple[Hashable, ...],
        parse: Callable[[Calendar, str | None], QueryT],
        allow: Callable[[QueryT], None],
        answer: Callable[[Stores, Snapshot, QueryT], CacheableResponse],
    ) -> None:
        """Answer `req`; if new summaries are published in the meantime, start again with those.

        :param question: identifies the request, so that equal ones are parsed only once.
        :param parse: makes the query from the request, for a calendar and a published version (None: nothing is
            published).
        :param allow: raises if the caller may not send this query.
        :param answer: makes the unencoded response from the store.
        :raises Problem: nothing is built yet; and what the three functions raise.
        :raises StoreUnavailable: the store does not answer, or summaries are published faster than they can be read.
        """
        snapshot = await self._current.snapshot()
        for _ in range(_MOST_READS):
            if snapshot is None:
                raise self._nothing_yet(parse, allow)
            try:
                query = snapshot.query(question, partial(parse, snapshot.calendar, snapshot.version))
            except Problem as problem:
                # The cursor may be from another process, which knows a newer publication than this one.
                if (
                    problem.kind is not ProblemKind.STALE_CURSOR
                    or (latest := await self._current.read_again()) is snapshot
                ):
                    raise
                snapshot = latest
                continue
            allow(query)
            if found := await self._cached_or_made(req, snapshot, query, answer):
                found.send(req, resp)
                return
            snapshot = await self._current.read_again()
        raise StoreUnavailable("summaries are published faster than they can be read", "Try again.")

    def _nothing_yet(self, parse: Callable[[Calendar, str | None], QueryT], allow: Callable[[QueryT], None]) -> Problem:
        """The response while nothing is published, unless the request is invalid or not allowed."""
        try:
            allow(parse(self._calendar, None))
        except Problem as problem:
            if problem.kind is not ProblemKind.STALE_CURSOR:
                raise
        return Problem(ProblemKind.NOT_BUILT_YET, "Nothing was published yet.", retry_after_s=_NOT_BUILT_RETRY_S)

    async def _cached_or_made(
        self,
        req: falcon.asgi.Request,
        snapshot: Snapshot,
        query: QueryT,
        answer: Callable[[Stores, Snapshot, QueryT], CacheableResponse],
    ) -> CacheableResponse | None:
        """The response to `query` in the preferred encoding of `req`, or None if `snapshot` is no longer current."""
        preference = preference_in(req.get_header("Accept-Encoding"))
        if cached := snapshot.cached((query, preference)):
            req.context.cache = "hit"
            req.context.cache_entry = snapshot, (query, preference)
            return cached

        def make(stores: Stores, snapshot: Snapshot) -> CacheableResponse:
            return answer(stores, snapshot, query).encoded(preference)

        async def make_and_keep() -> CacheableResponse | None:
            made = await self._current.read(snapshot, make)
            if made is not None:
                snapshot.keep((query, preference), made, make)
            return made

        req.context.cache = "miss"
        return await self._making.run((snapshot.version, query, preference), make_and_keep)
