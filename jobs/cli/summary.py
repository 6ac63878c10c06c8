"""``summary``: prints a series like the API's."""

from __future__ import annotations

import csv
import io
import json
from typing import get_args

import typer

from core.calendar.periods import Mode
from core.command_line import edge, print_message, settings_and_store
from core.errors import ServiceError
from core.merchant_names import folded
from core.money import grouped
from core.stores import Stores
from core.stores.summaries import Measure, SeriesPoint, require_published
from core.tables import aligned
from jobs.cli.context import range_of_keys
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
        settings, stores = settings_and_store(store_url, create=False)
        with stores:
            publication = require_published(stores.summaries.published())
            keys = range_of_keys(publication, mode, first, last)
            if merchant_id is not None:
                _require_merchant(stores, merchant_id)
                if form == "table" and (names := stores.merchant_names.read().texts(merchant_id)[1:]):
                    print_message(f"Merchant {merchant_id}: {', '.join(names)}.")
            points = stores.summaries.series(mode, measure, merchant_id, *keys)
        fingerprint = publication.fingerprint
        if measure == "count":
            typer.echo(_FORMS[form](points, measure, 0), nl=False)
        else:
            heading = f"amount {fingerprint.unit(settings.currency)}"
            typer.echo(_FORMS[form](points, heading, fingerprint.amount_scale), nl=False)


def _require_merchant(stores: Stores, merchant_id: str) -> None:
    if stores.summaries.has_merchant(merchant_id):
        return
    names = stores.merchant_names.read()
    called = [one for one in names.by_merchant if folded(merchant_id) in map(folded, names.texts(one))]
    hint = f"The merchant of that name is {' or '.join(called)}." if called else "Merchants are named as in the source."
    raise ServiceError(f"there is no merchant {merchant_id}", hint)


def _table(points: list[SeriesPoint], heading: str, scale: int) -> str:
    return aligned([("period", heading), *((point.key, grouped(point.value, scale)) for point in points)], {1})


def _json(points: list[SeriesPoint], heading: str, scale: int) -> str:
    return json.dumps([point._asdict() for point in points]) + "\n"


def _json_lines(points: list[SeriesPoint], heading: str, scale: int) -> str:
    return "".join(json.dumps(point._asdict()) + "\n" for point in points)


def _csv(points: list[SeriesPoint], heading: str, scale: int) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(SeriesPoint._fields)
    writer.writerows(points)
    return out.getvalue()


_FORMS = {"table": _table, "json": _json, "jsonl": _json_lines, "csv": _csv}
