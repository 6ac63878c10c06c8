"""The question ``/api/merchants`` asks, and its answer."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final, Literal
from urllib.parse import urlencode

import falcon.asgi
from pydantic import Field

from api.http.etag import CSV, Answer, csv_bytes, etag_of
from api.http.pagination import NOT_GIVEN, cursor_after, position_in
from api.http.query_parameters import (
    BOM_WITHOUT_CSV,
    KEY_PATTERN,
    Findings,
    Parameters,
    WholeNumber,
    checked,
    fields_of,
    mode_in,
    range_in,
)
from api.openapi.bodies import Merchant, Merchants
from api.summaries.cache import Published
from api.summaries.reader import Reader
from core.calendar import Calendar, Mode, Period
from core.csv_cells import safe_cell
from core.stores import Stores
from core.stores.summaries import MerchantTotals

PATH: Final = "/api/merchants"

Order = Literal["amount", "count", "merchant_id"]


class MerchantsParameters(Parameters):
    """The parameters of ``GET /api/merchants``."""

    search: str | None = Field(
        default=None, description="Only merchants whose id contains this text. Case does not matter.", examples=["tea"]
    )
    mode: Mode = Field(default=Mode.MONTHLY, description="The length of the periods that `from` and `to` name.")
    first: str | None = Field(
        default=None,
        alias="from",
        description="The first period of the totals, as a key of `mode`, such as `1403/04/04`, `1403/W15` or "
        "`1403/04`, or as a Gregorian date in it, such as `2024-06-24`. Default: the first with transactions.",
        json_schema_extra={"pattern": KEY_PATTERN, "examples": ["1403/01"]},
    )
    last: str | None = Field(
        default=None,
        alias="to",
        description="The last period of the totals, inclusive, as a key of `mode` or a Gregorian date in it. Default: "
        "the last with transactions.",
        json_schema_extra={"pattern": KEY_PATTERN, "examples": ["1403/04"]},
    )
    sort: Order = Field(
        default="amount",
        description="The order: by `amount` or `count`, largest first, or by `merchant_id`, ascending.",
    )
    values: Literal["string"] | None = Field(
        default=None,
        description="`string` gives totals as text of digits, for JavaScript, whose numbers are exact up to 2^53 only.",
    )
    limit: WholeNumber = Field(default=100, ge=1, le=1000, description="The number of merchants in a page.")
    cursor: str | None = Field(
        default=None, min_length=1, description="The start of a page: `next_cursor` of the page before."
    )
    format: Literal["json", "csv"] = Field(default="json", description="The format of the response.")
    bom: Literal["1"] | None = Field(
        default=None,
        description="Begins CSV with the UTF-8 byte order mark. Excel needs it to read Persian ids.",
    )


@dataclass(frozen=True, slots=True)
class MerchantsQuery:
    """A question that makes sense.

    :param first: the first period of the totals, or None for no bound; likewise `last`.
    :param visible: the only merchants that the caller may know of, or None for all.
    :param as_text: whether totals are text.
    :param skip: how many merchants the pages before have shown.
    """

    search: str
    mode: Mode
    first: Period | None
    last: Period | None
    order: Order
    limit: int
    visible: frozenset[str] | None
    as_text: bool = False
    format: Literal["json", "csv"] = "json"
    bom: bool = False
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
    mode = mode_in(fields, Mode.MONTHLY)
    first, last = range_in(fields, calendar, mode, findings)
    if parameters is None:
        findings.raise_if_any()
        raise AssertionError("what is not checked has findings")
    query = MerchantsQuery(
        search=(parameters.search or "").casefold(),
        mode=parameters.mode,
        first=first,
        last=last,
        order=parameters.sort,
        limit=parameters.limit,
        visible=visible,
        as_text=parameters.values is not None,
        format=parameters.format,
        bom=parameters.bom is not None,
    )
    if query.bom and query.format != "csv":
        findings.add("bom", BOM_WITHOUT_CSV)
    if parameters.cursor is not None:
        position = position_in(parameters.cursor, version or "", _identity(query), findings)
        if position is not None and not (position.isascii() and position.isdigit()):
            findings.add("cursor", NOT_GIVEN)
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
    following = query.skip + len(page)
    cursor = cursor_after(str(following), published.version, _identity(query)) if following < len(merchants) else None
    link = cursor and f'<{_address(query, cursor)}>; rel="next"'
    number: Callable[[int], int | str] = str if query.as_text else int
    if query.format == "csv":
        rows = [(safe_cell(found.merchant_id), found.amount, found.count) for found in page]
        body = (BOM_UTF8 if query.bom else b"") + csv_bytes(MerchantTotals._fields, rows)
        content_type, filename = CSV, "merchants.csv"
    else:
        shown: list[Merchant] = [
            {"merchant_id": found.merchant_id, "amount": number(found.amount), "count": number(found.count)}
            for found in page
        ]
        body = Merchants(merchants=shown, total=len(merchants), next_cursor=cursor).json_bytes()
        content_type, filename = falcon.MEDIA_JSON, None
    etag = etag_of(published.version, _identity(query), body)
    return Answer(body, content_type, etag, link=link, filename=filename)


def _sorted_totals(stores: Stores, published: Published, query: MerchantsQuery) -> list[MerchantTotals]:
    days = (query.first and query.first.first_day, query.last and query.last.last_day)
    totals = published.table(("totals", *days), lambda: _totals(stores, published.calendar, query))
    if query.order == "merchant_id":  # which is how the store gives them
        return totals
    rank = _RANKS[query.order]
    return published.table(("ranked", *days, query.order), lambda: sorted(totals, key=rank, reverse=True))


_RANKS: Final[dict[str, Callable[[MerchantTotals], int]]] = {
    "amount": lambda merchant: merchant.amount,
    "count": lambda merchant: merchant.count,
}


def _totals(stores: Stores, calendar: Calendar, query: MerchantsQuery) -> list[MerchantTotals]:
    """The totals of every merchant over the days of `query`, ascending by merchant.

    Whole months are read as such, so that of many years no more than two months of days are read.
    """
    parts = [
        stores.summaries.merchants(first_key, last_key, mode)
        for mode, first_key, last_key in _ranges(calendar, query.first, query.last)
    ]
    if len(parts) == 1:
        return parts[0]
    amounts, counts = Counter[str](), Counter[str]()
    for merchant_id, amount, count in chain.from_iterable(parts):
        amounts[merchant_id] += amount
        counts[merchant_id] += count
    return [MerchantTotals(merchant_id, amounts[merchant_id], counts[merchant_id]) for merchant_id in sorted(counts)]


def _ranges(
    calendar: Calendar, first: Period | None, last: Period | None
) -> Iterator[tuple[Mode, str | None, str | None]]:
    """The days from the beginning of `first` to the end of `last` as whole months, and the days before and after."""

    def month_of(day: int) -> Period:
        return calendar.period_of(Mode.MONTHLY, day)

    def days(first_day: int, last_day: int) -> tuple[Mode, str, str]:
        first_key, last_key = (calendar.period_of(Mode.DAILY, day).key for day in (first_day, last_day))
        return Mode.DAILY, first_key, last_key

    first_day = None if first is None else max(first.first_day, calendar.first_day)
    last_day = None if last is None else min(last.last_day, calendar.last_day)
    if first_day is not None and (month := month_of(first_day)).first_day != first_day:
        if last_day is not None and last_day <= month.last_day:
            yield days(first_day, last_day)
            return
        yield days(first_day, month.last_day)
        first_day = month.last_day + 1
    if last_day is not None and (month := month_of(last_day)).last_day != last_day:
        yield days(month.first_day, last_day)
        last_day = month.first_day - 1
    begin_day = calendar.first_day if first_day is None else first_day
    end_day = calendar.last_day if last_day is None else last_day
    if begin_day <= end_day:
        yield (
            Mode.MONTHLY,
            None if first_day is None else month_of(first_day).key,
            None if last_day is None else month_of(last_day).key,
        )


def _identity(query: MerchantsQuery) -> tuple[Any, ...]:
    """What tells the query from others, written the same by every process: sets have no order of their own."""
    visible = None if query.visible is None else tuple(sorted(query.visible))
    return replace(query, visible=None, skip=0), visible


def _address(query: MerchantsQuery, cursor: str) -> str:
    parameters = {
        "search": query.search or None,
        "mode": query.mode if query.mode is not Mode.MONTHLY else None,
        "from": query.first and query.first.key,
        "to": query.last and query.last.key,
        "sort": query.order,
        "values": "string" if query.as_text else None,
        "limit": query.limit,
        "format": query.format if query.format != "json" else None,
        "bom": "1" if query.bom else None,
        "cursor": cursor,
    }
    return f"{PATH}?{urlencode({name: value for name, value in parameters.items() if value is not None})}"
