"""``export``: all summaries of a mode as Parquet, CSV or Arrow."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from core.calendar import calendar_named
from core.calendar.dates import period_named
from core.calendar.periods import Mode
from core.command_line import edge, print_json, print_message, printable, settings_and_store
from core.errors import ServiceError, UsageError
from core.stores.summaries import SummaryStore
from jobs.cli.progress import counter
from jobs.export import STANDARD_OUTPUT, Exported, ExportRequest, Format, export, require_possible
from jobs.runs.signals import signals_as_errors


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ``export``, unparsed."""

    out: str
    mode: str
    form: str | None
    first: str | None
    last: str | None
    partitioned: bool
    overall: bool
    raw: bool
    force: bool
    store: str | None
    as_json: bool


def run(options: Options) -> None:
    """Export, and print what was written."""
    with edge(options.as_json), signals_as_errors():
        form = _format(options)
        if options.as_json and options.out == STANDARD_OUTPUT:
            raise UsageError("--json and - both write to standard output", "Name a file.")
        mode = Mode(options.mode)
        request = ExportRequest(
            options.out, form, mode, None, None, options.partitioned, options.overall, options.raw, options.force
        )
        require_possible(request)
        settings, stores = settings_and_store(options.store, create=False)
        with stores:
            first_key, last_key = _keys(stores.summaries, mode, options)
            request = ExportRequest(
                options.out, form, mode, first_key, last_key, options.partitioned, options.overall, options.raw,
                options.force, settings.currency,
            )  # fmt: skip
            with counter("exporting", "summaries", shown=not options.as_json and sys.stderr.isatty()) as written:
                exported = export(stores.summaries, request, written)
        if options.as_json:
            print_json({"out": options.out, "format": form, **exported.dictionary})
        elif options.out == STANDARD_OUTPUT:
            print_message(_sentence(exported, "standard output"))
        else:
            typer.echo(_sentence(exported, printable(options.out)))
            typer.echo(f"What its columns mean is in {printable(str(exported.dictionary_path))}.")


def _format(options: Options) -> Format:
    """The format of the option or of the file's extension.

    :raises UsageError: neither names one.
    """
    if options.form is not None:
        return Format(options.form)
    if options.partitioned:
        return Format.PARQUET
    ending = Path(options.out).suffix.removeprefix(".").lower()
    try:
        return Format({"feather": "arrow", "ipc": "arrow", "pq": "parquet"}.get(ending, ending))
    except ValueError:
        raise UsageError(
            f"the name {options.out} does not say what to write", f"Choose with --format: {', '.join(Format)}."
        ) from None


def _keys(summaries: SummaryStore, mode: Mode, options: Options) -> tuple[str | None, str | None]:
    publication = summaries.published()
    if publication is None:
        raise ServiceError("nothing is published yet", "Run rebuild first.")
    calendar = calendar_named(publication.fingerprint.calendar)
    try:
        first = None if options.first is None else period_named(calendar, mode, options.first).key
        last = None if options.last is None else period_named(calendar, mode, options.last).key
    except ValueError as error:
        raise UsageError(str(error), f"--from and --to are {mode} keys, or Gregorian dates in them.") from None
    if first is not None and last is not None and first > last:
        raise UsageError(f"--from {first} is after --to {last}", "Exchange them.")
    return first, last


def _sentence(exported: Exported, where: str) -> str:
    about = exported.dictionary
    first, last = about["first_key"], about["last_key"]
    range_ = "" if first is None and last is None else f" from {first or 'the first'} to {last or 'the last'}"
    return (
        f"Wrote {exported.rows:,} {about['mode']} summaries{range_} of generation {about['generation']} "
        f"(run {about['run']}) to {where}."
    )
