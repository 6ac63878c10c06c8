"""``export``: all summaries of a mode as Parquet, CSV or Arrow."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import typer

from core.calendar.periods import Mode
from core.command_line import edge, opened, print_json, print_message, printable
from core.errors import UsageError
from core.stores.summaries import require_published
from jobs.cli.context import range_of_keys
from jobs.cli.progress import counter
from jobs.export import STANDARD_OUTPUT, Exported, ExportRequest, Format, export, require_possible
from jobs.runs.signals import signals_as_errors


def run(
    out: str,
    mode_name: str,
    form: str | None,
    first: str | None,
    last: str | None,
    partitioned: bool,
    overall: bool,
    raw: bool,
    force: bool,
    store_url: str | None,
    as_json: bool,
) -> None:
    with edge(as_json), signals_as_errors():
        mode, file_format = Mode(mode_name), _format(out, form, partitioned)
        if as_json and out == STANDARD_OUTPUT:
            raise UsageError("--json and - both write to standard output", "Name a file.")
        request = ExportRequest(out, file_format, mode, None, None, partitioned, overall, raw, force)
        require_possible(request)
        with opened(store_url) as (settings, stores):
            first_key, last_key = range_of_keys(require_published(stores.summaries.published()), mode, first, last)
            request = replace(request, first_key=first_key, last_key=last_key, currency=settings.currency)
            with counter("exporting", "summaries", shown=not as_json and sys.stderr.isatty()) as written:
                exported = export(stores.summaries, request, written)
        if as_json:
            print_json({"out": out, "format": file_format, **exported.dictionary})
        elif out == STANDARD_OUTPUT:
            print_message(_sentence(exported, "standard output"))
        else:
            typer.echo(_sentence(exported, printable(out)))
            typer.echo(f"{printable(str(exported.dictionary_path))} describes its columns.")


def _format(out: str, named: str | None, partitioned: bool) -> Format:
    """The format of the option or of the file's extension.

    :raises UsageError: neither names one.
    """
    if named is not None:
        return Format(named)
    if partitioned:
        return Format.PARQUET
    ending = Path(out).suffix.removeprefix(".").lower()
    try:
        return Format({"feather": "arrow", "ipc": "arrow", "pq": "parquet"}.get(ending, ending))
    except ValueError:
        raise UsageError(
            f"the name {out} does not determine the format", f"Choose with --format: {', '.join(Format)}."
        ) from None


def _sentence(exported: Exported, where: str) -> str:
    about = exported.dictionary
    first, last = about["first_key"], about["last_key"]
    range_ = "" if first is None and last is None else f" from {first or 'the first'} to {last or 'the last'}"
    return (
        f"Wrote {exported.rows:,} {about['mode']} summaries{range_} of generation {about['generation']} "
        f"(run {about['run']}) to {where}."
    )
