"""``query``: runs the named queries of ``sql/analysis``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import indent

import typer

from core.analysis import Query, all_queries, query_named, query_published
from core.command_line import edge, opened, print_json
from core.csv_cells import spreadsheet_safe
from core.errors import UsageError
from core.tables import aligned
from jobs.cli.output_formats import FORMS, Column
from jobs.runs.signals import signals_as_errors


def run(
    name: str | None,
    arguments: Sequence[str],
    folder: Path | None,
    listing: bool,
    form: str,
    raw: bool,
    store_url: str | None,
) -> None:
    """Print the result of a query as a table, JSON or CSV; or list the queries, or describe one."""
    with edge(form in ("json", "jsonl")), signals_as_errors():
        if raw and form != "csv":
            raise UsageError("--raw is for CSV only", "Tables and JSON are never escaped.")
        if listing:
            queries = all_queries(folder) if name is None else (query_named(name, folder),)
            _describe(queries, form, whole=name is not None)
        elif name is None:
            raise UsageError("no query name is given", "List the queries with: python -m jobs query --list.")
        else:
            query = query_named(name, folder)
            parameters = _parameters(query, arguments)
            with opened(store_url) as (settings, stores):
                names = stores.merchant_names.read()
                publication, answer = query_published(stores.summaries, query.name, parameters, folder, names)
            fingerprint = publication.fingerprint
            if form == "csv" and not raw:
                answer = spreadsheet_safe(answer)
            typer.echo(
                FORMS[form](answer, _columns(query, fingerprint.unit(settings.currency), fingerprint.amount_scale)),
                nl=False,
            )


def _parameters(query: Query, arguments: Sequence[str]) -> Mapping[str, str]:
    """The values of ``--name value`` and ``--name=value``, by name.

    :raises UsageError: an argument has another form, or a parameter is given twice.
    """
    known = ", ".join(f"--{_option(p.name)}" for p in query.parameters) or "none"
    hint = f"Write --NAME VALUE. The parameters of {query.name} are: {known}."
    values: dict[str, str] = {}
    left = iter(arguments)
    for argument in left:
        name, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not name:
            raise UsageError(f"{argument!r} is not the name of a parameter", hint)
        found = value if equals else next(left, None)
        if found is None:
            raise UsageError(f"--{name} has no value", hint)
        if name in values:
            raise UsageError(f"--{name} is given twice", hint)
        values[name] = found
    return values


def _describe(queries: Sequence[Query], form: str, *, whole: bool) -> None:
    if form == "json":
        print_json([asdict(query) for query in queries])
        return
    for query in queries:
        if form == "jsonl":
            print_json(asdict(query))
            continue
        typer.echo(query.name)
        for line in (query.about if whole else query.purpose).splitlines():
            typer.echo(f"  {line}".rstrip())
        rows = [(f"--{_option(p.name)}", p.kind, f"[{p.default}]", p.about) for p in query.parameters]
        if whole and rows:
            typer.echo("  parameters, and their [defaults]")
        typer.echo(indent(aligned(rows), "  "), nl=False)
        if whole:
            typer.echo("  columns")
            typer.echo(indent(aligned([(c.name, c.kind, c.about) for c in query.columns]), "  "), nl=False)


def _option(name: str) -> str:
    return name.replace("_", "-")


def _columns(query: Query, currency: str, scale: int) -> Sequence[Column]:
    return [Column(f"{c.name} {currency}", scale) if c.is_amount else Column(c.name) for c in query.columns]
