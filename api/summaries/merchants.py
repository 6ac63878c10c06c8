"""The question ``/api/merchants`` asks, and its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import urlencode

import falcon.asgi
from pydantic import Field

from api.http.etag import Answer, etag_of
from api.http.pagination import cursor_after, position_in
from api.http.query_parameters import MONTH_KEY_PATTERN, Findings, Parameters, WholeNumber, checked, fields_of
from api.openapi.bodies import Merchant, Merchants
from api.summaries.cache import Published
from api.summaries.reader import Reader
from core.calendar import Calendar, Mode
from core.stores import Stores
from core.stores.summaries import MerchantTotals

PATH: Final = "/api/merchants"

Order = Literal["amount", "count", "merchant_id"]


class MerchantsParameters(Parameters):
    """The parameters of ``GET /api/merchants``."""

    search: str | None = Field(
        default=None, description="Only merchants whose id contains this text. Case does not matter.", examples=["tea"]
    )
    first: str | None = Field(
        default=None,
        alias="from",
        description="The first month of the totals, such as `1403/01`. Default: the first month with transactions.",
        json_schema_extra={"pattern": MONTH_KEY_PATTERN, "examples": ["1403/01"]},
    )
    last: str | None = Field(
        default=None,
        alias="to",
        description="The last month of the totals, inclusive, such as `1403/04`. Default: the last with transactions.",
        json_schema_extra={"pattern": MONTH_KEY_PATTERN, "examples": ["1403/04"]},
    )
    sort: Order = Field(
        default="amount",
        description="The order: by `amount` or `count`, largest first, or by `merchant_id`, ascending.",
    )
    limit: WholeNumber = Field(default=100, ge=1, le=1000, description="The number of merchants in a page.")
    cursor: str | None = Field(
        default=None, min_length=1, description="The start of a page, from the header `Link` of the page before."
    )


@dataclass(frozen=True, slots=True)
class MerchantsQuery:
    """A question that makes sense.

    :param visible: the only merchants that the caller may know of, or None for all.
    :param skip: how many merchants the pages before have shown.
    """

    search: str
    first_month_key: str | None
    last_month_key: str | None
    order: Order
    limit: int
    visible: frozenset[str] | None
    skip: int = 0


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


def read_query(
    query_string: str, visible: frozenset[str] | None, calendar: Calendar, version: str | None
) -> MerchantsQuery:
    """The question in `query_string`, of a caller to whom only `visible` merchants are shown.

    :param version: the published state that a cursor must be of, or None when nothing is published.
    :raises Problem: bad parameter, with all that is wrong; or a stale cursor.
    """
    findings = Findings()
    fields = fields_of(query_string, findings)
    parameters = checked(MerchantsParameters, fields, findings)
    months = {}
    for name in ("from", "to"):
        if name in fields:
            try:
                months[name] = calendar.parse(Mode.MONTHLY, fields[name]).key
            except ValueError as error:
                findings.add(name, str(error))
    if len(months) == 2 and months["from"] > months["to"]:
        findings.add("to", f"{months['to']} is before {months['from']}, which is from")
    if parameters is None:
        findings.raise_if_any()
        raise AssertionError("what is not checked has findings")
    query = MerchantsQuery(
        search=(parameters.search or "").casefold(),
        first_month_key=months.get("from"),
        last_month_key=months.get("to"),
        order=parameters.sort,
        limit=parameters.limit,
        visible=visible,
    )
    if parameters.cursor is not None:
        position = position_in(parameters.cursor, version or "", _identity(query), findings)
        if position is not None and not (position.isascii() and position.isdigit()):
            findings.add("cursor", "is not one that the header Link gave")
        elif position is not None:
            query = replace(query, skip=int(position))
    findings.raise_if_any()
    return query


def answer_merchants(stores: Stores, published: Published, query: MerchantsQuery) -> Answer:
    """The answer to `query`, unencoded."""
    merchants = [
        merchant
        for merchant in _sorted_totals(stores, published, query)
        if query.search in merchant.merchant_id.casefold()
        and (query.visible is None or merchant.merchant_id in query.visible)
    ]
    page = merchants[query.skip : query.skip + query.limit]
    shown: list[Merchant] = [
        {"merchant_id": found.merchant_id, "amount": found.amount, "count": found.count} for found in page
    ]
    body = Merchants(merchants=shown, total=len(merchants)).json_bytes()
    following = query.skip + len(page)
    link = f'<{_address(query, published, following)}>; rel="next"' if following < len(merchants) else None
    return Answer(body, "application/json", etag_of(published.version, _identity(query), body), link=link)


def _sorted_totals(stores: Stores, published: Published, query: MerchantsQuery) -> list[MerchantTotals]:
    months = (query.first_month_key, query.last_month_key)
    totals = published.table(("totals", *months), lambda: stores.summaries.merchants(*months))
    if query.order == "merchant_id":  # which is how the store gives them
        return totals
    rank = _RANKS[query.order]
    return published.table(("ranked", *months, query.order), lambda: sorted(totals, key=rank, reverse=True))


_RANKS: Final[dict[str, Callable[[MerchantTotals], int]]] = {
    "amount": lambda merchant: merchant.amount,
    "count": lambda merchant: merchant.count,
}


def _identity(query: MerchantsQuery) -> tuple[Any, ...]:
    """What tells the query from others, written the same by every process: sets have no order of their own."""
    visible = None if query.visible is None else sorted(query.visible)
    return (query.search, query.first_month_key, query.last_month_key, query.order, query.limit, visible)


def _address(query: MerchantsQuery, published: Published, skip: int) -> str:
    parameters = {
        "search": query.search or None,
        "from": query.first_month_key,
        "to": query.last_month_key,
        "sort": query.order,
        "limit": query.limit,
        "cursor": cursor_after(str(skip), published.version, _identity(query)),
    }
    return f"{PATH}?{urlencode({name: value for name, value in parameters.items() if value is not None})}"
