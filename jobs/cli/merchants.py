"""``merchants``: imports, lists and removes names of merchants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import typer

from core.calendar.periods import Locale
from core.command_line import edge, opened, print_json, print_message, print_result, printable
from core.errors import UsageError
from core.merchant_names import folded
from core.stores import Stores, wall_clock_ms
from core.stores.summaries import require_published
from core.tables import aligned
from jobs.cli.live_options import live_options, remote_options
from jobs.decode.formats import delimiter_named
from jobs.merchant_names import NameChange, NameFields, NameRows, change_names, read_names
from jobs.runs.signals import signals_as_errors

_MOST_WRONG: Final = 20
_MOST_WRONG_JSON: Final = 1000
_MOST_UNKNOWN: Final = 5

__all__ = ["NameFields", "import_names", "remove", "show"]


def import_names(
    source: str,
    collection: str | None,
    fields: NameFields,
    replace: bool,
    csv_delimiter: str | None,
    dry_run: bool,
    store_url: str | None,
    as_json: bool,
) -> None:
    """Import the names of `source`, or with `dry_run` only print the changes."""
    with edge(as_json), signals_as_errors():
        with opened(store_url, create=not dry_run) as (settings, stores):
            delimiter = delimiter_named(settings.csv_delimiter if csv_delimiter is None else csv_delimiter) or None
            found = read_names(
                source, collection, fields, live_options(settings), remote_options(settings), delimiter
            )  # fmt: skip
            _show_wrong(found, as_json)
            found.require_right()
            removed = None if replace else frozenset[str]()
            change = NameChange(removed, fields.one_language, found.names)
            changes, names = change_names(stores.merchant_names, change, wall_clock_ms, dry_run=dry_run)
            known = _published_ids(stores)
        unknown = [] if known is None else sorted(found.names.keys() - known)
        unnamed = None if known is None else len(known - names.keys())
        if as_json:
            counts = {"rows": found.rows, **changes._asdict(), "merchants": len(names)}
            of_summaries = {"unknown": None if known is None else len(unknown), "unnamed": unnamed}
            print_json({"source": found.source, **counts, **of_summaries, "dry_run": dry_run})
            return
        typer.echo(
            f"{'Would import' if dry_run else 'Imported'} {found.rows:,} names of {len(found.names):,} merchants from "
            f"{printable(found.source)}: {changes.added:,} new, {changes.changed:,} changed, "
            f"{changes.unchanged:,} unchanged, {changes.removed:,} removed."
        )
        if unknown:
            shown = ", ".join(unknown[:_MOST_UNKNOWN]) + (", …" if len(unknown) > _MOST_UNKNOWN else "")
            print_message(f"{len(unknown):,} of these merchants have no summaries: {shown}.", "warning")
        if unnamed:
            print_message(
                f"{unnamed:,} merchants with summaries have no name. List them with: merchants list --unnamed."
            )


def show(search: str | None, unnamed: bool, store_url: str | None, as_json: bool) -> None:
    """List names, or the merchants without a name."""
    with edge(as_json), signals_as_errors(), opened(store_url) as (_, stores):
        names = stores.merchant_names.read()
        known = require_published(_published_ids(stores)) if unnamed else frozenset[str]()
        wanted = folded(search or "")
        ids = sorted(known - names.by_merchant.keys() if unnamed else names.by_merchant)
        rows = [
            (one, language, name)
            for one in ids
            if any(wanted in folded(text) for text in names.texts(one))
            for language, name in names.by_merchant.get(one, {"": ""}).items()
        ]
        if as_json:
            for one, language, name in rows:
                print_json({"id": one} if unnamed else {"id": one, "name": name, "language": language})
        elif rows:
            _print(rows, unnamed)
        else:
            print_message("All merchants with summaries have a name." if unnamed else "No merchant matches.")


def remove(
    ids: Sequence[str], every: bool, language: Locale | None, dry_run: bool, store_url: str | None, as_json: bool
) -> None:
    """Remove the names of the merchants `ids`, or of all."""
    with edge(as_json), signals_as_errors():
        if every == bool(ids):
            raise UsageError("give either ids of merchants or --all", "--all removes the names of all merchants.")
        with opened(store_url) as (_, stores):
            change = NameChange(None if every else frozenset(ids), language)
            changes, names = change_names(stores.merchant_names, change, wall_clock_ms, dry_run=dry_run)
        removed = "Names that would be removed" if dry_run else "Names removed"
        print_result(
            as_json,
            {"removed": changes.removed, "merchants": len(names), "dry_run": dry_run},
            f"{removed}: {changes.removed:,}. Merchants with a name: {len(names):,}.",
        )


def _published_ids(stores: Stores) -> frozenset[str] | None:
    """The ids of the merchants with summaries; None if nothing is published."""
    if stores.summaries.published() is None:
        return None
    return frozenset(one.merchant_id for one in stores.summaries.merchants())


def _show_wrong(found: NameRows, as_json: bool) -> None:
    if as_json and found.wrong:
        print_json({"wrong_rows": [one._asdict() for one in found.wrong[:_MOST_WRONG_JSON]]})
    for place, reason in found.wrong[:_MOST_WRONG]:
        print_message(f"{found.source}, {place}: {reason}.", "warning")
    if len(found.wrong) > _MOST_WRONG:
        print_message(f"{len(found.wrong) - _MOST_WRONG:,} more rows are invalid.", "warning")


def _print(rows: Sequence[tuple[str, str, str]], unnamed: bool) -> None:
    heads = ("merchant",) if unnamed else ("merchant", "language", "name")
    cells = [[printable(cell) for cell in row[: len(heads)]] for row in rows]
    typer.echo(aligned([heads, *cells]), nl=False)
