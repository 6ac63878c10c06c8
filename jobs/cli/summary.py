"""``summary``: prints a series like the API's."""

from __future__ import annotations

from typing import get_args

import polars as pl
import typer

from core.calendar.periods import Mode
from core.command_line import edge, opened, print_message
from core.errors import ServiceError
from core.merchant_names import folded
from core.stores import Stores
from core.stores.summaries import Measure, Publication, SeriesPoint, read_current
from jobs.cli.context import range_of_keys
from jobs.cli.output_formats import FORMS, Column
from jobs.runs.signals import signals_as_errors


def run(
    mode_name: str,
    measure_name: str,
    merchant_id: str | None,
    first: str | None,
    last: str | None,
    form: str,
    store_url: str | None,
) -> None:
    """Print a series as a table, JSON (the array of the API, or one object per line) or CSV."""
    with edge(form in ("json", "jsonl")), signals_as_errors():
        mode = Mode(mode_name)
        measure: Measure = next(name for name in get_args(Measure) if name == measure_name)
        with opened(store_url) as (settings, stores):

            def read(publication: Publication) -> list[SeriesPoint]:
                if merchant_id is not None:
                    _require_merchant(stores, merchant_id)
                keys = range_of_keys(publication, mode, first, last)
                return stores.summaries.series(mode, measure, merchant_id, *keys)

            publication, points = read_current(stores.summaries, read)
            if form == "table" and merchant_id and (names := stores.merchant_names.read().texts(merchant_id)[1:]):
                print_message(f"Merchant {merchant_id}: {', '.join(names)}.")
        fingerprint = publication.fingerprint
        column = Column(measure)
        if measure == "amount":
            column = Column(f"amount {fingerprint.unit(settings.currency)}", fingerprint.amount_scale)
        frame = pl.DataFrame(points, {"key": pl.String, "value": pl.Int64}, orient="row")
        typer.echo(FORMS[form](frame, (Column("period"), column)), nl=False)


def _require_merchant(stores: Stores, merchant_id: str) -> None:
    if stores.summaries.has_merchant(merchant_id):
        return
    names = stores.merchant_names.read()
    called = [one for one in names.by_merchant if folded(merchant_id) in map(folded, names.texts(one))]
    hint = (
        f"The merchant with that name is {' or '.join(called)}."
        if called
        else "Use the id of the merchant in the source."
    )
    raise ServiceError(f"there is no merchant {merchant_id}", hint)
