"""Answers from what is published: kept ones at once, others from the store, each from one published state."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Final, TypeVar

import falcon

from api.problems import Problem, ProblemKind
from api.reading.answers import Answer, preferred_encoding
from api.reading.published import Published
from api.reading.store_access import StoreAccess
from core.calendar import Calendar
from core.errors import StoreUnavailable
from core.stores import Stores

QueryT = TypeVar("QueryT", bound=Hashable)

_MOST_READS: Final = 10
_NOT_BUILT_RETRY_S: Final = 30.0


class Reader:
    """Reads summaries for the resources. Threads share it.

    :param access: the stores.
    :param calendar: of keys while nothing is published.
    """

    def __init__(self, access: StoreAccess, calendar: Calendar) -> None:
        self._access = access
        self._calendar = calendar

    def respond(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        *,
        question: Hashable,
        parse: Callable[[Calendar, str | None], QueryT],
        allow: Callable[[QueryT], None],
        answer: Callable[[Stores, Published, QueryT], Answer],
    ) -> None:
        """Answer `req`; when something is published meanwhile, all over again with that.

        :param question: what the request asks, so that the same is parsed once only.
        :param parse: makes the query from the request, for a calendar and the published version (None: nothing is).
        :param allow: raises when the caller may not ask this.
        :param answer: makes the unencoded answer from the store.
        :raises Problem: nothing is built yet; and whatever the three raise.
        :raises StoreUnavailable: the store does not answer, or is published to faster than it can be read.
        """
        published = self._access.published()
        for _ in range(_MOST_READS):
            if published is None:
                allow(parse(self._calendar, None))
                raise Problem(ProblemKind.NOT_BUILT_YET, "Nothing was published yet.", retry_after_s=_NOT_BUILT_RETRY_S)
            query = published.query(question, partial(parse, published.calendar, published.version))
            allow(query)
            if found := self._kept_or_made(req, published, query, answer):
                found.send(req, resp)
                return
            published = self._access.look()
        raise StoreUnavailable("summaries are published faster than they can be read", "Try again.")

    def _kept_or_made(
        self,
        req: falcon.Request,
        published: Published,
        query: QueryT,
        answer: Callable[[Stores, Published, QueryT], Answer],
    ) -> Answer | None:
        """The answer to `query` in the encoding that `req` prefers, or None when `published` is no longer in force."""
        encoding = preferred_encoding(req.get_header("Accept-Encoding"))
        if kept := published.answer((query, encoding)):
            req.context.cache = "hit"
            return kept
        plain = self._access.read(published, lambda stores: answer(stores, published, query))
        if plain is None:
            return None
        req.context.cache = "miss"
        encoded = plain.encoded(encoding)
        published.keep((query, encoding), encoded)
        return encoded
