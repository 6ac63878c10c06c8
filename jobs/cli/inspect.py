"""``inspect``: shows the fields of a source, and the command that builds summaries from it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import typer
from rich.cells import cell_len, set_cell_size

from core.calendar import calendar_named
from core.calendar.days import LocalDays
from core.command_line import command_settings, edge, print_json, print_message, printable
from core.settings import Settings
from core.tables import aligned
from jobs.cli.live_options import live_options, remote_options, sources_or_setting
from jobs.cli.reading_options import FormatOptions, announce_compilation
from jobs.inspection.candidates import ROLES, Candidate, name_score, role_of
from jobs.inspection.fields import FieldFound, example
from jobs.inspection.first_documents import read_first
from jobs.inspection.formats import Context
from jobs.inspection.report import URL_VARIABLE, Report, inspect, shell_quoted
from jobs.runs.signals import signals_as_errors

_MOST_FIELDS: Final = 200
_OTHERS: Final = 3
_NARROWEST: Final = 60
_NEEDED: Final = {
    "merchant": "an ObjectId, a non-empty string or an integer",
    "amount": "a whole number",
    "time": "a date",
}


def run(source: str | None, collection: str | None, documents: int, csv_delimiter: str | None, as_json: bool) -> None:
    """Print the fields of the first `documents` of the source."""
    with edge(as_json), signals_as_errors():
        settings = command_settings()
        [argument] = sources_or_setting(() if source is None else (source,), settings)
        context = context_of(settings, FormatOptions(csv_delimiter=csv_delimiter))
        delimiter = context.formats.csv_delimiter
        live, remote = live_options(settings), remote_options(settings)
        announce_compilation()
        report = inspect(read_first(argument, collection, live, documents, remote, delimiter), context)
        command = report.command(argument, collection)
        if as_json:
            print_json(_as_json(report, command))
        else:
            _print(report, command, context)


def context_of(settings: Settings, formats: FormatOptions) -> Context:
    """The settings that affect reading and proposals."""
    named_ms = LocalDays(settings.time_zone).named_range_ms(calendar_named(settings.calendar))
    return Context(named_ms, settings.time_zone, formats.formats(settings))


def _as_json(report: Report, command: Sequence[str] | None) -> dict[str, Any]:
    documents = len(report.sample.documents)
    return {
        "source": report.sample.name,
        "form": report.sample.file_format,
        "documents": documents,
        "has_more": report.sample.has_more,
        "damage": report.sample.damage,
        "fields": [
            {
                "path": field.path,
                "reachable": field.is_reachable,
                "documents": len(field.values),
                "types": dict(field.types.most_common()),
                "examples": field.examples(),
            }
            for field in report.fields[:_MOST_FIELDS]
        ],
        "fields_left_out": max(0, len(report.fields) - _MOST_FIELDS),
        "roles": {
            role: None
            if taken is None
            else {"option": f"--{role}-field", **asdict(taken), "others": [asdict(one) for one in report.others[role]]}
            for role, taken in report.roles.items()
        },
        "filters": [asdict(one) for one in report.filters],
        "rejected": report.rejected,
        "command": command,
        "command_line": None if command is None else shell_quoted(command),
    }


def _print(report: Report, command: Sequence[str] | None, context: Context) -> None:
    sample = report.sample
    documents = len(sample.documents)
    which = f"its first {documents:,} documents" if sample.has_more else f"all of its {documents:,} documents"
    typer.echo(f"{printable(sample.name)}: {sample.file_format}, {which}.")
    if sample.damage is not None:
        print_message(f"{sample.damage}.", "warning")
    if not documents:
        return
    typer.echo()
    typer.echo(_fields_table(report), nl=False)
    if len(report.fields) > _MOST_FIELDS:
        typer.echo(f"and {len(report.fields) - _MOST_FIELDS:,} other fields")
    typer.echo()
    typer.echo(_roles_table(report.roles, documents), nl=False)
    for role in ROLES:
        if report.roles[role] is None:
            typer.echo(
                f"No field is suitable as the {role}, which must be {_NEEDED[role]}{_nearest(role, report, context)}."
            )
        if others := [printable(one.path) for one in report.others[role][:_OTHERS]]:
            typer.echo(f"The {role} could also be {' or '.join(others)}.")
    for filtering in report.filters[:_OTHERS]:
        values = ", ".join(f"{printable(example(value))} {count:,}" for value, count in filtering.values.items())
        chosen = shell_quoted(["--where", f"{filtering.path}={filtering.proposed or next(iter(filtering.values))}"])
        typer.echo(f"To count only some of them: {printable(chosen)} ({values}).")
    typer.echo()
    if command is None:
        typer.echo("No command can be suggested while a field is missing.")
        return
    typer.echo("To build summaries from it (--truncate replaces all summaries of the store):")
    typer.echo(f"  {printable(shell_quoted(command))}")
    if report.rejected:
        typer.echo(
            f"This command would reject {report.rejected:,} of these {documents:,} documents, and publish nothing. To "
            f"publish without them, add --max-reject-ratio {report.rejected / documents:.4g} or slightly more."
        )
    if f"${URL_VARIABLE}" in command:
        typer.echo(f"Set {URL_VARIABLE} to the URL, which is not shown because it may contain a password.")


def _fields_table(report: Report) -> str:
    width = max(_NARROWEST, shutil.get_terminal_size((80, 24)).columns)
    documents = len(report.sample.documents)
    rows = [("field", "in", "types", "examples")]
    for field in report.fields[:_MOST_FIELDS]:
        path = field.path if field.is_reachable else f"{field.path} (cannot be named in an option)"
        share = f"{100 * len(field.values) / documents:.4g} %"
        rows.append((printable(path), share, printable(_types(field)), printable(", ".join(field.examples()))))
    *named, examples = zip(*rows, strict=True)
    limits = (width * 3 // 10, 8, width * 3 // 10)
    columns = [[_cut(cell, limit) for cell in column] for column, limit in zip(named, limits, strict=True)]
    used = sum(max(map(cell_len, column)) + 2 for column in columns)
    columns.append([_cut(cell, width - used) for cell in examples])
    return aligned(zip(*columns, strict=True), {1})


def _types(field: FieldFound) -> str:
    types = field.types
    if len(types) == 1:
        return next(iter(types))
    return ", ".join(f"{name} {100 * count / len(field.values):.2g} %" for name, count in types.most_common())


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"


def _roles_table(roles: Mapping[str, Candidate | None], documents: int) -> str:
    rows = [("", "option", "counted", "rejected")]
    for role, taken in roles.items():
        if taken is not None:
            why = ", ".join(f"{count:,} {reason}" for reason, count in taken.rejected.items())
            option = printable(shell_quoted([f"--{role}-field", taken.path, *taken.options]))
            rows.append((role, option, f"{taken.counted:,} of {documents:,}", why))
    return aligned(rows, {2})


def _nearest(role: str, report: Report, context: Context) -> str:
    """A sentence on why the fields with names typical of the role are unsuitable."""
    documents = len(report.sample.documents)
    found = []
    for field in report.fields:
        if name_score(role, field.path) > 1:
            rejected = role_of(field.path, role, report.fields, documents, context).rejected
            found.append(f"{printable(field.path)} is {next(iter(rejected), 'not of a suitable type')}")
    return f": {', '.join(found[:_OTHERS])}" if found else ""
