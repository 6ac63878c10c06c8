"""``GET /api/merchants``: who there is, and what each comes to."""

from __future__ import annotations

import falcon.asgi

from api.summaries.merchants import answer_merchants, read_query
from api.summaries.reader import Reader


class MerchantsResource:
    """The merchants that the caller may know of.

    :param reader: what is published.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Merchants with their totals, found by a part of their name, in pages."""
        visible = req.context.principal.visible_merchants()
        await self._reader.respond(
            req,
            resp,
            question=("merchants", visible, req.query_string),
            parse=lambda calendar, version: read_query(req.query_string, visible, calendar, version),
            allow=lambda query: None,
            answer=answer_merchants,
        )

    on_head = on_get
