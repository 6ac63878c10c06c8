"""Runs a named query over the current publication of a store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from core.analysis.parameters import Published, Value, bind
from core.analysis.queries import Query, query_named
from core.analysis.tables import days_table, names_table, read_table
from core.calendar import calendar_named
from core.errors import ServiceError
from core.merchant_names import NO_NAMES, MerchantNames
from core.stores.summaries import Publication, SummaryStore, read_current


def run_query(
    summaries: SummaryStore,
    name: str,
    parameters: Mapping[str, Value] | None = None,
    folder: Path | None = None,
    names: MerchantNames = NO_NAMES,
) -> pl.DataFrame:
    """The result of the query `name`, see `query_published`."""
    return query_published(summaries, name, parameters, folder, names)[1]


def query_published(
    summaries: SummaryStore,
    name: str,
    parameters: Mapping[str, Value] | None = None,
    folder: Path | None = None,
    names: MerchantNames = NO_NAMES,
) -> tuple[Publication, pl.DataFrame]:
    """The current publication, and the result of the query `name`, which reads only that one.

    :param parameters: values by name; others have their defaults.
    :param folder: a folder with queries in addition to ``sql/analysis``.
    :param names: names of merchants, such as ``stores.merchant_names.read()``.
    :returns: the frame has the columns of the query's header.
    :raises UsageError: the query or parameter does not exist, or a value is invalid.
    :raises ServiceError: nothing is published yet, or not of the merchant; or the query's file is invalid.
    :raises StoreBusy: in all attempts, another run published while the tables were read.
    :raises StoreUnavailable: the store does not answer.
    """
    query = query_named(name, folder)
    publication, tables = read_current(summaries, lambda current: _tables(summaries, current, query, parameters or {}))
    return publication, _execute(query, {"merchant_names": names_table(names), **tables})


def _execute(query: Query, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    try:
        return pl.SQLContext(tables, eager=True).execute(query.sql)
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise ServiceError(f"the query {query.name} cannot be run: {reason}", f"Correct {query.file}.") from error


def _tables(
    summaries: SummaryStore, publication: Publication, query: Query, given: Mapping[str, Value]
) -> dict[str, pl.DataFrame]:
    calendar = calendar_named(publication.fingerprint.calendar)
    published = Published(calendar, publication.first_day_key, publication.last_day_key)
    parameters = bind(query, given, published)
    read = {read.table: read_table(summaries, read, parameters) for read in query.reads}
    return {**read, "days": days_table(published), "parameters": parameters}
