"""The tables that named queries read.

``daily``, ``weekly``, ``monthly``
    summaries of every merchant (`core.stores.summaries.SUMMARY_COLUMNS` without ``mode``); ``merchant_id`` is null for
    all merchants together.
``daily_series``, ``weekly_series``, ``monthly_series``
    ``key``, ``amount``, ``count`` of the merchant of the parameter ``merchant_id``, or of all together: a small part of
    the above, and fast to read.
``days``
    every day from the first published one to the last, also those without transactions; see `days_table`.
``merchant_names``
    ``merchant_id``, ``fa`` and ``en``: the name in each language, else the one in the other language. Merchants without
    a name have no row.
``parameters``
    one row, see `core.analysis.parameters`.

``amount`` is Int128, so that sums cannot overflow; ``count`` is Int64.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from core.analysis.parameters import Published
from core.analysis.queries import Read
from core.calendar.periods import Mode
from core.errors import ServiceError
from core.merchant_names import LANGUAGES, MerchantNames
from core.stores.summaries import SummaryStore

_SERIES_SCHEMA: Final = {"key": pl.String, "amount": pl.Int64, "count": pl.Int64}
_EXACT: Final = pl.col("amount").cast(pl.Int128)
_DAYS_SCHEMA: Final = {
    "day": pl.Int64,
    "date": pl.Date,
    "day_key": pl.String,
    "week_key": pl.String,
    "month_key": pl.String,
    "month": pl.Int64,
    "day_of_month": pl.Int64,
    "days_in_month": pl.Int64,
    "weekday": pl.Int64,
    "weekday_name": pl.String,
}
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def read_table(summaries: SummaryStore, read: Read, parameters: pl.DataFrame) -> pl.DataFrame:
    """The table of `read`, from the current publication.

    :raises ServiceError: nothing is published of the merchant.
    :raises StoreUnavailable: the store does not answer.
    """
    first, last = (None if name is None else parameters[name].item() for name in (read.first, read.last))
    name, _, is_series = read.table.partition("_")
    mode = Mode(name)
    if is_series:
        merchant_id = parameters["merchant_id"].item() if "merchant_id" in parameters.columns else None
        return _series(summaries, mode, merchant_id, first, last)
    return summaries.rows(mode, first, last).drop("mode").with_columns(_EXACT)


def _series(
    summaries: SummaryStore, mode: Mode, merchant_id: str | None, first_key: str | None, last_key: str | None
) -> pl.DataFrame:
    if merchant_id is not None and not summaries.has_merchant(merchant_id):
        raise ServiceError(f"there is no merchant {merchant_id}", "Use the id of the merchant in the source.")
    amounts = summaries.series(mode, "amount", merchant_id, first_key, last_key)
    counts = dict(summaries.series(mode, "count", merchant_id, first_key, last_key))
    # If `counts` lacks a key, the two are of different publications, which the caller detects.
    rows = [(key, amount, counts.get(key)) for key, amount in amounts]
    return pl.DataFrame(rows, schema=_SERIES_SCHEMA, orient="row").with_columns(_EXACT)


def days_table(published: Published) -> pl.DataFrame:
    """Every day from the first published one to the last.

    :returns: ``day`` (since 1970-01-01), ``date`` (Gregorian), ``day_key``, ``week_key``, ``month_key``; ``month``, a
        consecutive number; ``day_of_month`` from 1; ``days_in_month``; ``weekday``, from 1 in the order of the
        calendar's week; ``weekday_name`` in English. Empty if no day is published.
    """
    calendar = published.calendar
    if published.first_day_key is None or published.last_day_key is None:
        return pl.DataFrame(schema=_DAYS_SCHEMA)
    first = calendar.parse(Mode.DAILY, published.first_day_key).first_day
    last = calendar.parse(Mode.DAILY, published.last_day_key).first_day
    day_keys = {period.first_day: period.key for period in calendar.periods(Mode.DAILY, first, last)}
    weeks = {
        day: (period.key, day - period.first_day + 1)
        for period in calendar.periods(Mode.WEEKLY, first, last)
        for day in range(period.first_day, period.last_day + 1)
    }
    rows = [
        (
            day, day, day_keys[day], weeks[day][0], period.key, number,
            day - period.first_day + 1, period.last_day - period.first_day + 1, weeks[day][1], _WEEKDAYS[(day + 3) % 7],
        )
        for number, period in enumerate(calendar.periods(Mode.MONTHLY, first, last))
        for day in range(max(first, period.first_day), min(last, period.last_day) + 1)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=_DAYS_SCHEMA, orient="row")


def names_table(names: MerchantNames) -> pl.DataFrame:
    """The table ``merchant_names``: ``merchant_id`` and a column for each language, all String."""
    columns = ("merchant_id", *LANGUAGES)
    rows = [(one, *(names.name(one, language) for language in LANGUAGES)) for one in names.by_merchant]
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
