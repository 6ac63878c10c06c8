"""Answers from what is published: kept ones at once, others from the store, each from one published state."""

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
    """Reads summaries for the resources. What is kept is answered on the event loop, at once.

    :param current: what is published.
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
        """Answer `req`; when something is published meanwhile, all over again with that.

        :param question: what the request asks, so that the same is parsed once only.
        :param parse: makes the query from the request, for a calendar and the published version (None: nothing is).
        :param allow: raises when the caller may not ask this.
        :param answer: makes the unencoded answer from the store.
        :raises Problem: nothing is built yet; and whatever the three raise.
        :raises StoreUnavailable: the store does not answer, or is published to faster than it can be read.
        """
        snapshot = await self._current.snapshot()
        for _ in range(_MOST_READS):
            if snapshot is None:
                raise self._nothing_yet(parse, allow)
            try:
                query = snapshot.query(question, partial(parse, snapshot.calendar, snapshot.version))
            except Problem as problem:
                # Another process may have given this cursor, and know of a publication that this one has yet to see.
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
        """The answer to a request while nothing is published, unless it is invalid or not allowed."""
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
        """The answer to `query` in the encoding that `req` prefers, or None when `snapshot` is no longer current."""
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
