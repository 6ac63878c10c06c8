"""``GET /api/transactions/summary``: the series of one merchant, or of all together."""

from __future__ import annotations

import falcon.asgi

from api.summaries.reader import Reader
from api.summaries.series import answer_series, read_query


class SummaryResource:
    """Daily, weekly or monthly summaries.

    :param reader: what is published.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Summaries of one merchant, or of all together, ascending by key."""
        await self._reader.respond(
            req,
            resp,
            question=("summary", req.query_string),
            parse=lambda calendar, version: read_query(req.query_string, calendar, version),
            allow=lambda query: req.context.principal.require_merchant(query.merchant_id),
            answer=answer_series,
        )

    on_head = on_get
