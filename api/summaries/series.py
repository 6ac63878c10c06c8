"""The question ``/api/transactions/summary`` asks, and its answer."""

from __future__ import annotations

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import urlencode

import falcon.asgi
import orjson
from pydantic import Field

from api.http.etag import Answer, etag_of
from api.http.pagination import cursor_after, position_in
from api.http.query_parameters import KEY_PATTERN, Findings, Parameters, WholeNumber, checked, fields_of
from api.openapi import bodies
from api.problems import Problem, ProblemKind
from api.summaries.cache import Published
from api.summaries.reader import Reader
from core.calendar import Calendar, Mode, Period
from core.calendar.periods import Locale
from core.stores import Stores
from core.stores.summaries import Measure, SeriesPoint

PATH: Final = "/api/transactions/summary"
_MOST_FILLED: Final = 40_000  # days of a century, and some


class SummaryParameters(Parameters):
    """The parameters of ``GET /api/transactions/summary``."""

    mode: Mode = Field(description="The length of the periods.")
    type: bodies.Measure = Field(
        description="`amount`: the sum of amounts, in the unit of the source. `count`: the number of transactions."
    )
    merchant_id: str | None = Field(
        default=None,
        min_length=1,
        description="The id of one merchant in the source of the transactions. Without it: all merchants together.",
        examples=["corner-shop"],
    )
    first: str | None = Field(
        default=None,
        alias="from",
        description="The first period, as a key of the mode, such as `1403/04/04`, `1403/W15` or `1403/04`.",
        json_schema_extra={"pattern": KEY_PATTERN, "examples": ["1403/04/04"]},
    )
    last: str | None = Field(
        default=None,
        alias="to",
        description="The last period, inclusive, as a key of the mode.",
        json_schema_extra={"pattern": KEY_PATTERN, "examples": ["1403/04/06"]},
    )
    fill: Literal["zero"] | None = Field(
        default=None,
        description="`zero` adds the periods without transactions, with the value 0: from `from` to `to`, by default "
        "from the first to the last published period. At most 40,000 days.",
    )
    limit: WholeNumber | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="The number of periods in a page. The header `Link` leads to the next page.",
    )
    cursor: str | None = Field(
        default=None, min_length=1, description="The start of a page, from the header `Link` of the page before."
    )
    locale: bodies.Locale | None = Field(
        default=None, description="Adds the name of the period in Persian (`fa`) or English (`en`) as `label`."
    )
    format: Literal["json", "csv"] = Field(default="json", description="The format of the response.")
    bom: Literal["1"] | None = Field(
        default=None,
        description="Begins CSV with the UTF-8 byte order mark. Excel needs it to read Persian labels.",
    )


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """A question that makes sense, whose parameters were all checked.

    :param first: the first period, or None for no bound; likewise `last`.
    :param after: the key that the page before ended with, or None for the first page.
    """

    mode: Mode
    measure: Measure
    merchant_id: str | None
    first: Period | None
    last: Period | None
    filled: bool
    limit: int | None
    locale: Locale | None
    format: Literal["json", "csv"]
    bom: bool = False
    after: str | None = None


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


def read_query(query_string: str, calendar: Calendar, version: str | None) -> SeriesQuery:
    """The question in `query_string`.

    :param calendar: whose keys ``from`` and ``to`` are.
    :param version: the published state that a cursor must be of, or None when nothing is published.
    :raises Problem: bad parameter, with all that is wrong; or a stale cursor.
    """
    findings = Findings()
    fields = fields_of(query_string, findings)
    parameters = checked(SummaryParameters, fields, findings)
    mode = _mode_in(fields)
    first = _period("from", fields, calendar, mode, findings)
    last = _period("to", fields, calendar, mode, findings)
    if first is not None and last is not None and first.first_day > last.first_day:
        findings.add("to", f"{last.key} is before {first.key}, which is from")
    if parameters is None:
        findings.raise_if_any()
        raise AssertionError("what is not checked has findings")
    query = SeriesQuery(
        mode=parameters.mode,
        measure=parameters.type,
        merchant_id=parameters.merchant_id,
        first=first,
        last=last,
        filled=parameters.fill is not None,
        limit=parameters.limit,
        locale=parameters.locale,
        format=parameters.format,
        bom=parameters.bom is not None,
    )
    if query.bom and query.format != "csv":
        findings.add("bom", "is of CSV only; add format=csv")
    if parameters.cursor is not None:
        query = replace(query, after=position_in(parameters.cursor, version or "", query, findings))
    findings.raise_if_any()
    return query


def answer_series(stores: Stores, published: Published, query: SeriesQuery) -> Answer:
    """The answer to `query`, unencoded.

    :raises Problem: there is no such merchant; or a filled range of more than a century of days.
    """
    points = _points(stores, published, query)
    if query.after is not None:
        points = [point for point in points if point.key > query.after]
    link = None
    if query.limit is not None and len(points) > query.limit:
        points = points[: query.limit]
        link = f'<{_address(query, published, points[-1].key)}>; rel="next"'
    columns: list[Sequence[Any]] = [[point.key for point in points], [point.value for point in points]]
    names = ["key", "value"]
    if query.locale is not None:
        calendar, locale = published.calendar, query.locale
        columns.append([calendar.label(calendar.parse(query.mode, point.key), locale) for point in points])
        names.append("label")
    content_type, write = _FORMATS[query.format]
    body = (BOM_UTF8 if query.bom else b"") + write(names, list(zip(*columns, strict=True)))
    filename = f"summary-{query.mode}-{query.measure}.csv" if query.format == "csv" else None
    return Answer(body, content_type, etag_of(published.version, query, body), link=link, filename=filename)


def _points(stores: Stores, published: Published, query: SeriesQuery) -> list[SeriesPoint]:
    first_key = query.first.key if query.first else None
    last_key = query.last.key if query.last else None
    points = stores.summaries.series(query.mode, query.measure, query.merchant_id, first_key, last_key)
    if not points and query.merchant_id is not None and not stores.summaries.has_merchant(query.merchant_id):
        raise Problem(ProblemKind.UNKNOWN_MERCHANT, "There is no merchant of this merchant_id.")
    if not query.filled:
        return points
    values = dict(points)
    return [SeriesPoint(key, values.get(key, 0)) for key in _keys_to_fill(published, query)]


def _keys_to_fill(published: Published, query: SeriesQuery) -> list[str]:
    """The keys of all periods from the first to the last that is asked for, or else published."""
    calendar, publication = published.calendar, published.publication
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
    name = ("keys", query.mode, first_day, last_day)
    return published.table(name, lambda: [period.key for period in calendar.periods(query.mode, first_day, last_day)])


def _day(calendar: Calendar, key: str | None) -> Period | None:
    return None if key is None else calendar.parse(Mode.DAILY, key)


def _address(query: SeriesQuery, published: Published, last_key: str) -> str:
    parameters = {
        "mode": str(query.mode),
        "type": query.measure,
        "merchant_id": query.merchant_id,
        "from": query.first and query.first.key,
        "to": query.last and query.last.key,
        "fill": "zero" if query.filled else None,
        "limit": query.limit,
        "locale": query.locale,
        "format": query.format if query.format != "json" else None,
        "bom": "1" if query.bom else None,
        "cursor": cursor_after(last_key, published.version, replace(query, after=None)),
    }
    return f"{PATH}?{urlencode({name: value for name, value in parameters.items() if value is not None})}"


def _mode_in(fields: dict[str, str]) -> Mode | None:
    """The mode in `fields`, when it is one, so that keys are checked also where another parameter is wrong."""
    mode = fields.get("mode")
    return Mode(mode) if mode in list(Mode) else None


def _period(
    name: str, fields: dict[str, str], calendar: Calendar, mode: Mode | None, findings: Findings
) -> Period | None:
    key = fields.get(name)
    if key is None or mode is None:
        return None
    try:
        return calendar.parse(mode, key)
    except ValueError as error:
        findings.add(name, str(error))
        return None


def _as_json(names: list[str], rows: list[tuple[Any, ...]]) -> bytes:
    points: list[bodies.Point]
    if len(names) == 2:  # nearly always, and twice as fast
        points = [{"key": key, "value": value} for key, value in rows]
    else:
        points = [{"key": key, "value": value, "label": label} for key, value, label in rows]
    body = orjson.dumps(points)
    return bytes(memoryview(body))  # a copy: what orjson gives holds on to a buffer that is kilobytes larger


def _as_csv(names: list[str], rows: list[tuple[Any, ...]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow(names)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")


_FORMATS: Final[dict[str, tuple[str, Callable[[list[str], list[tuple[Any, ...]]], bytes]]]] = {
    "json": ("application/json", _as_json),
    "csv": ("text/csv; charset=utf-8", _as_csv),
}
