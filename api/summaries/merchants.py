"""``GET /api/merchants``: its query and its response."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, Any, Final, Literal

import falcon
from pydantic import Field

from api.auth.principal import Principal
from api.http.etag import CSV, CacheableResponse, csv_bytes, etag_of
from api.http.pagination import NOT_GIVEN, PageCursor, PageLimit, cursor_after, page_address, position_in
from api.http.query_parameters import (
    BOM_WITHOUT_CSV,
    KEY_PATTERN,
    Findings,
    Parameters,
    fields_of,
    mode_in,
    range_in,
    validated,
)
from api.openapi import bodies
from api.openapi.bodies import Merchant, Merchants
from api.summaries.cache import Snapshot
from api.summaries.reader import CachedResource
from core.calendar import Calendar, Mode, Period
from core.calendar.periods import Locale
from core.csv_cells import safe_cell
from core.merchant_names import MerchantNames, folded, sort_key
from core.money import major
from core.stores import Stores
from core.stores.summaries import MerchantTotals

PATH: Final = "/api/merchants"

Order = Literal["amount", "count", "merchant_id", "name"]

_MOST_NAMED: Final = 100


class MerchantsParameters(Parameters):
    """The parameters of ``GET /api/merchants``."""

    search: str | None = Field(
        default=None,
        description="Only merchants with this text in their id or in one of their names. Ignores case, blanks, "
        "joiners, and forms of letters and digits such as `ی` and `ي`.",
        examples=["tea"],
    )
    merchant_id: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None,
        max_length=_MOST_NAMED,
        description="Only this merchant. Repeat it for several merchants, at most 100.",
        examples=[["corner-shop"]],
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
        description="The order: by `amount` or `count`, largest first; by `merchant_id`, ascending; or by `name` in "
        "the alphabetical order of `locale` (by default `fa`), merchants without a name last.",
    )
    locale: bodies.Locale | None = Field(
        default=None,
        description="Adds the name of each merchant in Persian (`fa`) or English (`en`) as `name`. If a merchant "
        "has no name in that language, its name in the other language is used.",
    )
    values: Literal["string"] | None = Field(
        default=None,
        description="`string` gives totals as text of digits, for JavaScript, whose numbers are exact up to 2^53 only.",
    )
    limit: PageLimit = 100
    cursor: PageCursor = None
    format: Literal["json", "csv"] = Field(default="json", description="The format of the response.")
    unit: Literal["minor", "major"] = Field(
        default="minor",
        description="The unit of amounts. `minor`: integers in minor units, see `scale` of `/api/me`. `major`: exact "
        "decimal strings, such as `1234.50`. It does not change counts.",
    )
    bom: Literal["1"] | None = Field(
        default=None,
        description="Begins CSV with the UTF-8 byte order mark. Excel needs it to read Persian ids and names.",
    )


@dataclass(frozen=True, slots=True)
class MerchantsQuery:
    """A validated query.

    :param merchants: only these, or None for all.
    :param first: the first period of the totals, or None for no bound; likewise `last`.
    :param visible: the merchants that the caller may see, or None for all.
    :param as_text: whether totals are text.
    :param in_major: whether amounts are text in major units.
    :param skip: the number of merchants on the pages before.
    """

    search: str
    merchants: frozenset[str] | None
    mode: Mode
    first: Period | None
    last: Period | None
    order: Order
    limit: int
    visible: frozenset[str] | None
    as_text: bool = False
    locale: Locale | None = None
    format: Literal["json", "csv"] = "json"
    bom: bool = False
    in_major: bool = False
    skip: int = 0


class MerchantsResource(CachedResource[MerchantsQuery]):
    """The merchants that the caller may see, with totals and names, found by a part of their id or name, in pages."""

    def parse(self, query_string: str, caller: Principal, calendar: Calendar, version: str | None) -> MerchantsQuery:
        """The query in `query_string`, if `caller` may see any merchants."""
        return _query_in(query_string, caller.visible_merchants(), calendar, version)

    def make(self, stores: Stores, snapshot: Snapshot, query: MerchantsQuery) -> CacheableResponse:
        """The response to `query`, unencoded.

        :raises SnapshotOutdated: the publication or the names of merchants have changed since the snapshot.
        """
        names = snapshot.names(stores)
        merchants = _matching(snapshot, names, _sorted_totals(stores, snapshot, names, query), query)
        snapshot.require_current(stores)
        page = merchants[query.skip : query.skip + query.limit]
        following = query.skip + len(page)
        cursor = (
            cursor_after(str(following), snapshot.version, _identity(query)) if following < len(merchants) else None
        )
        link = cursor and f'<{_address(query, cursor)}>; rel="next"'
        number: Callable[[int], int | str] = str if query.as_text else int
        scale = snapshot.publication.fingerprint.amount_scale
        amounts = [major(found.amount, scale) if query.in_major else number(found.amount) for found in page]
        shown = [None if query.locale is None else names.name(found.merchant_id, query.locale) for found in page]
        if query.format == "csv":
            rows: list[tuple[str | int, ...]] = [
                (safe_cell(found.merchant_id), amount, found.count) for found, amount in zip(page, amounts, strict=True)
            ]
            columns: tuple[str, ...] = MerchantTotals._fields
            if query.locale is not None:  # last, so that the other columns do not move
                columns += ("name",)
                rows = [(*row, safe_cell(name or "")) for row, name in zip(rows, shown, strict=True)]
            body = (BOM_UTF8 if query.bom else b"") + csv_bytes(columns, rows)
            content_type, filename = CSV, "merchants.csv"
        else:
            described: list[Merchant] = [
                {"merchant_id": found.merchant_id, "amount": amount, "count": number(found.count)}
                for found, amount in zip(page, amounts, strict=True)
            ]
            if query.locale is not None:
                for merchant, name in zip(described, shown, strict=True):
                    merchant["name"] = name
            body = Merchants(merchants=described, total=len(merchants), next_cursor=cursor).json_bytes()
            content_type, filename = falcon.MEDIA_JSON, None
        etag = etag_of(snapshot.version, _identity(query), body)
        return CacheableResponse(body, content_type, etag, link=link, filename=filename)


def _query_in(
    query_string: str, visible: frozenset[str] | None, calendar: Calendar, version: str | None
) -> MerchantsQuery:
    findings = Findings()
    fields = fields_of(query_string, findings, lists=("merchant_id",))
    first, last = range_in(fields, calendar, mode_in(fields, Mode.MONTHLY), findings)
    parameters = validated(MerchantsParameters, fields, findings)
    query = MerchantsQuery(
        search=(parameters.search or "").casefold(),
        merchants=None if parameters.merchant_id is None else frozenset(parameters.merchant_id),
        mode=parameters.mode,
        first=first,
        last=last,
        order=parameters.sort,
        limit=parameters.limit,
        visible=visible,
        as_text=parameters.values is not None,
        locale=parameters.locale,
        format=parameters.format,
        bom=parameters.bom is not None,
        in_major=parameters.unit == "major",
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


def _matching(
    snapshot: Snapshot, names: MerchantNames, merchants: list[MerchantTotals], query: MerchantsQuery
) -> list[MerchantTotals]:
    """Those of `merchants` that the caller may see, and that match `query`."""
    if query.visible is not None or query.merchants is not None:
        merchants = [
            one
            for one in merchants
            if (query.visible is None or one.merchant_id in query.visible)
            and (query.merchants is None or one.merchant_id in query.merchants)
        ]
    if not query.search:
        return merchants
    text = folded(query.search)
    searched: dict[str, str] = snapshot.table(("searched",), dict)

    def has_text(merchant_id: str) -> bool:
        if query.search in merchant_id.casefold():
            return True
        if merchant_id not in searched:
            searched[merchant_id] = "\n".join(map(folded, names.texts(merchant_id)))
        return bool(text) and text in searched[merchant_id]

    return [one for one in merchants if has_text(one.merchant_id)]


def _sorted_totals(
    stores: Stores, snapshot: Snapshot, names: MerchantNames, query: MerchantsQuery
) -> list[MerchantTotals]:
    days = (query.first and query.first.first_day, query.last and query.last.last_day)
    totals = snapshot.table(("totals", *days), lambda: _totals(stores, snapshot.calendar, query))
    if query.order == "merchant_id":  # as in the store
        return totals
    if query.order == "name":
        locale = query.locale or "fa"
        return snapshot.table(("named", *days, locale), lambda: _by_name(totals, names, locale))
    rank = _RANKS[query.order]
    return snapshot.table(("ranked", *days, query.order), lambda: sorted(totals, key=rank, reverse=True))


def _by_name(totals: list[MerchantTotals], names: MerchantNames, locale: Locale) -> list[MerchantTotals]:
    """`totals` ordered by name; those without a name last, by id."""

    def key(merchant: MerchantTotals) -> tuple[bool, str, str]:
        name = names.name(merchant.merchant_id, locale)
        return (True, "", "") if name is None else (False, *sort_key(name, locale))

    return sorted(totals, key=key)


_RANKS: Final[dict[str, Callable[[MerchantTotals], int]]] = {
    "amount": lambda merchant: merchant.amount,
    "count": lambda merchant: merchant.count,
}


def _totals(stores: Stores, calendar: Calendar, query: MerchantsQuery) -> list[MerchantTotals]:
    """The totals of every merchant over the days of `query`, ascending by merchant.

    Whole months are read from the monthly summaries, so that at most two months of days are read.
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
    """The identity of the query, equal in every process: with sorted tuples instead of sets."""
    visible, merchants = (None if one is None else tuple(sorted(one)) for one in (query.visible, query.merchants))
    return replace(query, visible=None, merchants=None, skip=0), visible, merchants


def _address(query: MerchantsQuery, cursor: str) -> str:
    parameters = {
        "search": query.search or None,
        "merchant_id": None if query.merchants is None else sorted(query.merchants),
        "mode": query.mode if query.mode is not Mode.MONTHLY else None,
        "from": query.first and query.first.key,
        "to": query.last and query.last.key,
        "sort": query.order,
        "values": "string" if query.as_text else None,
        "locale": query.locale,
        "limit": query.limit,
        "format": query.format if query.format != "json" else None,
        "unit": "major" if query.in_major else None,
        "bom": "1" if query.bom else None,
        "cursor": cursor,
    }
    return page_address(PATH, parameters)
