"""``GET /api/transactions/summary``: its query and its response."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from sys import getsizeof
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Field

from api.auth.principal import Principal
from api.http.etag import CSV, CacheableResponse, csv_bytes, etag_of
from api.http.pagination import NOT_GIVEN, cursor_after, page_address, position_in
from api.http.query_parameters import (
    BOM_WITHOUT_CSV,
    KEY_PATTERN,
    Findings,
    Parameters,
    WholeNumber,
    fields_of,
    mode_in,
    range_in,
    validated,
)
from api.openapi import bodies
from api.problems import Problem, ProblemKind
from api.summaries.cache import Snapshot, SnapshotOutdated
from api.summaries.merchant_points import MOST_POINTS, KeyBounds, points_of_merchants
from api.summaries.reader import CachedResource
from core.calendar import Calendar, Mode, Period
from core.calendar.periods import Locale
from core.csv_cells import safe_cell
from core.instants import iso_instant
from core.money import major
from core.stores import Stores
from core.stores.summaries import Measure, MerchantPoint, SeriesPoint, SeriesRange

PATH: Final = "/api/transactions/summary"
Grouped = Literal["named", "visible"]
"""Which merchants have points of their own: see `SeriesQuery`."""

_MOST_MERCHANTS: Final = 100
_NO_POINTS: Final = b"[]"
_MOST_FILLED: Final = 40_000  # days of a century, and some


class SummaryParameters(Parameters):
    """The parameters of ``GET /api/transactions/summary``."""

    mode: Mode = Field(description="The length of the periods.")
    type: bodies.Measure = Field(
        description="`amount`: the sum of amounts, in the `currency` of `/api/me`. `count`: the number of transactions."
    )
    merchant_id: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None,
        max_length=_MOST_MERCHANTS,
        description="The id of a merchant in the source of the transactions. Repeat it for several merchants, at most "
        "100: each then has its own points, as with `group=merchant`. Default: all merchants together.",
        examples=[["corner-shop"]],
    )
    group: Literal["merchant"] | None = Field(
        default=None,
        description="`merchant` returns separate points for each merchant, with `merchant_id`, ascending by merchant "
        "and `key`: for the merchants in `merchant_id`, or for all merchants that the API key may read. More than "
        "10,000 points require `limit`.",
    )
    first: str | None = Field(
        default=None,
        alias="from",
        description="The first period, as a key of the mode, such as `1403/04/04`, `1403/W15` or `1403/04`, or as a "
        "Gregorian date in it, such as `2024-06-24`.",
        json_schema_extra={"pattern": KEY_PATTERN, "examples": ["1403/04/04"]},
    )
    last: str | None = Field(
        default=None,
        alias="to",
        description="The last period, inclusive, as a key of the mode or a Gregorian date in it.",
        json_schema_extra={"pattern": KEY_PATTERN, "examples": ["1403/04/06"]},
    )
    fill: Literal["zero"] | None = Field(
        default=None,
        description="`zero` adds the periods without transactions, with the value 0: from `from` to `to`, by default "
        "from the first to the last published period. At most 40,000 days.",
    )
    include: Literal["period"] | None = Field(
        default=None, description="`period` adds `start`, `end` and `complete` to each point."
    )
    complete: Literal["only"] | None = Field(
        default=None,
        description="`only` leaves out the periods that are not complete: those that were not over when the sources "
        "were last read, or of which some days were not read.",
    )
    values: Literal["string"] | None = Field(
        default=None,
        description="`string` gives values as text of digits, for JavaScript, whose numbers are exact up to 2^53 only.",
    )
    limit: WholeNumber | None = Field(
        default=None,
        ge=1,
        le=MOST_POINTS,
        description="The number of points in a page. The header `Link` leads to the next page.",
    )
    cursor: str | None = Field(
        default=None, min_length=1, description="The cursor in the header `Link` of the previous page."
    )
    locale: bodies.Locale | None = Field(
        default=None,
        description="Adds the name of the period in Persian (`fa`) or English (`en`) as `label`; to points of several "
        "merchants also the name of the merchant as `merchant_name`.",
    )
    format: Literal["json", "csv"] = Field(default="json", description="The format of the response.")
    unit: Literal["minor", "major"] = Field(
        default="minor",
        description="The unit of amounts. `minor`: integers in minor units, see `scale` of `/api/me`. `major`: exact "
        "decimal strings, such as `1234.50`.",
    )
    bom: Literal["1"] | None = Field(
        default=None,
        description="Begins CSV with the UTF-8 byte order mark. Excel needs it to read Persian labels.",
    )


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """A validated query.

    :param merchants: ascending; None for every merchant.
    :param grouped: None: one merchant, or all together. Else each merchant has its own points: ``named``: the request
        names them; ``visible``: they are those that the caller may read.
    :param first: the first period, or None for no bound; likewise `last`.
    :param with_periods: whether points have ``start``, ``end`` and ``complete``.
    :param only_complete: whether points of periods that are not complete are left out.
    :param as_text: whether values are text.
    :param in_major: whether amounts are text in major units.
    :param after: the merchant (empty unless `grouped`) and key at the end of the page before; None for the first page.
    """

    mode: Mode
    measure: Measure
    merchants: tuple[str, ...] | None
    grouped: Grouped | None
    first: Period | None
    last: Period | None
    filled: bool
    limit: int | None
    locale: Locale | None
    format: Literal["json", "csv"]
    bom: bool = False
    with_periods: bool = False
    only_complete: bool = False
    as_text: bool = False
    in_major: bool = False
    after: tuple[str, str] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the response is one whole series in JSON, unchanged from the store, as it nearly always is."""
        changed = self.grouped or self.filled or self.limit or self.locale or self.after
        is_bare = not (self.with_periods or self.only_complete or self.as_text or self.in_major)
        return self.format == "json" and is_bare and not changed


class SummaryResource(CachedResource[SeriesQuery]):
    """Daily, weekly or monthly summaries of one merchant, several, or all together, ascending by merchant and key."""

    def parse(self, query_string: str, caller: Principal, calendar: Calendar, version: str | None) -> SeriesQuery:
        """The query in `query_string`, if `caller` may send it."""
        query = _query_in(query_string, caller.readable_merchants, calendar, version)
        if query.grouped == "visible":
            caller.visible_merchants()
            return query
        for merchant_id in query.merchants or (None,):
            caller.require_merchant(merchant_id)
        return query

    def is_batched(self, query: SeriesQuery) -> bool:
        """Whether the store writes the JSON of the response, and of others with it."""
        return query.is_plain

    def make_each(
        self, stores: Stores, snapshot: Snapshot, queries: Sequence[SeriesQuery]
    ) -> Sequence[CacheableResponse | Problem]:
        """The responses to `queries`, unencoded: plain ones, or one of another kind; see `make`."""
        if not queries[0].is_plain:
            return super().make_each(stores, snapshot, queries)
        bodies = stores.summaries.series_json(snapshot.publication, list(map(_range_of, queries)))
        if bodies is None:
            raise SnapshotOutdated
        return [_plain_response(stores, snapshot, *made) for made in zip(queries, bodies, strict=True)]

    def make(self, stores: Stores, snapshot: Snapshot, query: SeriesQuery) -> CacheableResponse:
        """The response to `query`, unencoded.

        :raises Problem: there is no such merchant; a filled range of more than a century of days; or more points of
            several merchants than a response can have.
        :raises SnapshotOutdated: the publication or the names of merchants have changed since the snapshot.
        """
        points = _points(stores, snapshot, query)
        link = None
        if query.limit is not None and len(points) > query.limit:
            points = points[: query.limit]
            link = f'<{_address(query, snapshot, points[-1])}>; rel="next"'
        columns = _columns(stores, snapshot, query, points)
        snapshot.require_current(stores)
        content_type, write = _FORMATS[query.format]
        body = (BOM_UTF8 if query.bom else b"") + write(list(columns), list(zip(*columns.values(), strict=True)))
        filename = f"summary-{query.mode}-{query.measure}.csv" if query.format == "csv" else None
        query_bytes = 0 if query.grouped is None else sum(map(getsizeof, query.merchants or ()))
        etag = etag_of(snapshot.version, query, body)
        return CacheableResponse(body, content_type, etag, link=link, filename=filename, query_bytes=query_bytes)


def _query_in(
    query_string: str, visible: frozenset[str] | None, calendar: Calendar, version: str | None
) -> SeriesQuery:
    """The query in `query_string` of a caller who may read the summaries of `visible` merchants; see `parse`."""
    findings = Findings()
    fields = fields_of(query_string, findings, lists=("merchant_id",))
    first, last = range_in(fields, calendar, mode_in(fields), findings)
    parameters = validated(SummaryParameters, fields, findings)
    merchants = parameters.merchant_id
    grouped: Grouped | None = None
    if parameters.group is not None or (merchants is not None and len(merchants) > 1):
        grouped = "visible" if merchants is None else "named"
    if grouped == "visible" and visible is not None:
        merchants = list(visible)
    query = SeriesQuery(
        mode=parameters.mode,
        measure=parameters.type,
        merchants=None if merchants is None else tuple(sorted(merchants)),
        grouped=grouped,
        first=first,
        last=last,
        filled=parameters.fill is not None,
        limit=parameters.limit,
        locale=parameters.locale,
        format=parameters.format,
        bom=parameters.bom is not None,
        with_periods=parameters.include is not None,
        only_complete=parameters.complete is not None,
        as_text=parameters.values is not None,
        in_major=parameters.unit == "major",
    )
    if query.in_major and query.measure != "amount":
        findings.add("unit", "is for amounts only; add type=amount")
    if query.bom and query.format != "csv":
        findings.add("bom", BOM_WITHOUT_CSV)
    if parameters.cursor is not None:
        query = replace(query, after=_place_in(parameters.cursor, version or "", query, findings))
    findings.raise_if_any()
    return query


def _range_of(query: SeriesQuery) -> SeriesRange:
    merchant_id = query.merchants[0] if query.merchants else None
    return SeriesRange(query.mode, query.measure, merchant_id, *_keys_of(query.first, query.last))


def _plain_response(stores: Stores, snapshot: Snapshot, query: SeriesQuery, body: bytes) -> CacheableResponse | Problem:
    if body == _NO_POINTS:
        try:
            _require_merchant(stores, _range_of(query).merchant_id)
        except Problem as problem:
            return problem
        snapshot.require_current(stores)  # the merchant may be of a newer publication
    return CacheableResponse(body, "application/json", etag_of(snapshot.version, query, body))


def _points(stores: Stores, snapshot: Snapshot, query: SeriesQuery) -> Sequence[SeriesPoint | MerchantPoint]:
    """The points from the beginning of the page; those of several merchants are at most one more than the page."""
    keys = _keys_to_fill(snapshot, query) if query.filled else None
    ranges = _complete_ranges(snapshot, query) if query.only_complete else [_keys_of(query.first, query.last)]
    if query.grouped is not None:
        return points_of_merchants(stores, snapshot, query, ranges, keys)
    merchant_id = None if query.merchants is None else query.merchants[0]
    points: list[SeriesPoint] = []
    for bounds in ranges:
        points += stores.summaries.series(query.mode, query.measure, merchant_id, *bounds)
    if not points:
        _require_merchant(stores, merchant_id)
    if keys is not None:
        values = dict(points)
        points = [SeriesPoint(key, values.get(key, 0)) for key in keys]
    if query.after is not None:
        _, last_key = query.after
        points = [point for point in points if point.key > last_key]
    return points


def _keys_of(first: Period | None, last: Period | None) -> KeyBounds:
    return None if first is None else first.key, None if last is None else last.key


def _require_merchant(stores: Stores, merchant_id: str | None) -> None:
    if merchant_id is not None and not stores.summaries.has_merchant(merchant_id):
        raise Problem(ProblemKind.UNKNOWN_MERCHANT, "There is no merchant with this id.")


def _keys_to_fill(snapshot: Snapshot, query: SeriesQuery) -> list[str]:
    """The keys of the periods from the first to the last of `query`, by default of the publication."""
    calendar, publication = snapshot.calendar, snapshot.publication
    first = query.first or _day(calendar, publication.first_day_key)
    last = query.last or _day(calendar, publication.last_day_key)
    if first is None or last is None:
        return []
    first_day, last_day = first.first_day, last.last_day
    first_day, last_day = max(first_day, calendar.first_day), min(last_day, calendar.last_day)
    if last_day - first_day >= _MOST_FILLED:
        findings = Findings()
        findings.add("fill", f"fills at most {_MOST_FILLED:,} days; narrow from and to")
        findings.raise_if_any()
    is_complete = snapshot.complete_days.include

    def keys() -> list[str]:
        periods = calendar.periods(query.mode, first_day, last_day)
        return [one.key for one in periods if not query.only_complete or is_complete(one.first_day, one.last_day)]

    return snapshot.table(("keys", query.mode, first_day, last_day, query.only_complete), keys)


def _complete_ranges(snapshot: Snapshot, query: SeriesQuery) -> list[KeyBounds]:
    """The complete periods within the bounds of `query`, ascending."""
    calendar, found = snapshot.calendar, []
    for first_day, last_day in snapshot.complete_days.ranges:
        begin_day = first_day if query.first is None else max(first_day, query.first.first_day)
        end_day = last_day if query.last is None else min(last_day, query.last.last_day)
        first, last = (calendar.period_of(query.mode, day) for day in (begin_day, end_day))
        if first.first_day < begin_day:
            begin_day = first.last_day + 1
        if last.last_day > end_day:
            end_day = last.first_day - 1
        if begin_day <= end_day:
            found.append(_keys_of(*(calendar.period_of(query.mode, day) for day in (begin_day, end_day))))
    return found


def _columns(
    stores: Stores, snapshot: Snapshot, query: SeriesQuery, points: Sequence[SeriesPoint | MerchantPoint]
) -> dict[str, list[Any]]:
    """The columns of the response, by name; one value for each of `points`."""
    calendar = snapshot.calendar
    columns: dict[str, list[Any]] = {}
    if query.grouped is not None:
        columns["merchant_id"] = [point[0] for point in points]
        if query.format == "csv":
            columns["merchant_id"] = [safe_cell(merchant_id) for merchant_id in columns["merchant_id"]]
    columns["key"] = keys = [point.key for point in points]
    scale = snapshot.publication.fingerprint.amount_scale
    if query.in_major:
        columns["value"] = [major(point.value, scale) for point in points]
    else:
        columns["value"] = [str(point.value) if query.as_text else point.value for point in points]
    if query.locale is None and not query.with_periods:
        return columns
    periods = {key: calendar.parse(query.mode, key) for key in set(keys)}
    if query.locale is not None:
        labels = {key: calendar.label(period, query.locale) for key, period in periods.items()}
        columns["label"] = [labels[key] for key in keys]
    if query.with_periods:
        from core.calendar.days import LocalDays  # loads NumPy

        bounds = LocalDays(snapshot.publication.fingerprint.time_zone).bounds_ms(list(periods.values()))
        instants = {
            key: (iso_instant(start), iso_instant(end)) for key, (start, end) in zip(periods, bounds, strict=True)
        }
        words: tuple[Any, Any] = ("false", "true") if query.format == "csv" else (False, True)
        complete = {
            key: words[snapshot.complete_days.include(period.first_day, period.last_day)]
            for key, period in periods.items()
        }
        columns["start"] = [instants[key][0] for key in keys]
        columns["end"] = [instants[key][1] for key in keys]
        columns["complete"] = [complete[key] for key in keys]
    if query.grouped is not None and query.locale is not None:
        columns["merchant_name"] = _names(stores, snapshot, query, points)
    return columns


def _names(
    stores: Stores, snapshot: Snapshot, query: SeriesQuery, points: Sequence[SeriesPoint | MerchantPoint]
) -> list[str | None]:
    """The name of the merchant of each of `points`, in the locale of the query.

    :raises SnapshotOutdated: the names of merchants have changed since the snapshot.
    """
    names, locale = snapshot.names(stores), query.locale or "fa"
    by_id = {merchant_id: names.name(merchant_id, locale) for merchant_id in {str(point[0]) for point in points}}
    if query.format == "csv":
        by_id = {merchant_id: safe_cell(name or "") for merchant_id, name in by_id.items()}
    return [by_id[str(point[0])] for point in points]


def _day(calendar: Calendar, key: str | None) -> Period | None:
    return None if key is None else calendar.parse(Mode.DAILY, key)


def _address(query: SeriesQuery, snapshot: Snapshot, last: SeriesPoint | MerchantPoint) -> str:
    """The path and query of the page that begins after `last`."""
    position = last.key if query.grouped is None else f"{last.key} {last[0]}"
    parameters = {
        "mode": str(query.mode),
        "type": query.measure,
        "merchant_id": None if query.grouped == "visible" else query.merchants,
        "group": "merchant" if query.grouped else None,
        "from": query.first and query.first.key,
        "to": query.last and query.last.key,
        "fill": "zero" if query.filled else None,
        "include": "period" if query.with_periods else None,
        "complete": "only" if query.only_complete else None,
        "values": "string" if query.as_text else None,
        "limit": query.limit,
        "locale": query.locale,
        "format": query.format if query.format != "json" else None,
        "bom": "1" if query.bom else None,
        "unit": "major" if query.in_major else None,
        "cursor": cursor_after(position, snapshot.version, replace(query, after=None)),
    }
    return page_address(PATH, parameters)


def _place_in(cursor: str, version: str, query: SeriesQuery, findings: Findings) -> tuple[str, str] | None:
    """The merchant (empty unless grouped) and key at the end of the page before."""
    position = position_in(cursor, version, query, findings)
    if position is None:
        return None
    key, blank, merchant_id = position.partition(" ")
    if bool(blank) != (query.grouped is not None):
        findings.add("cursor", NOT_GIVEN)
        return None
    return merchant_id, key


def _as_json(names: list[str], rows: list[tuple[Any, ...]]) -> bytes:
    body = orjson.dumps([dict(zip(names, row, strict=True)) for row in rows])
    return bytes(memoryview(body))  # a copy, because the buffer of orjson is kilobytes larger


_FORMATS: Final[dict[str, tuple[str, Callable[[list[str], list[tuple[Any, ...]]], bytes]]]] = {
    "json": ("application/json", _as_json),
    "csv": (CSV, csv_bytes),
}
