"""``rebuild``: summaries from exports."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import dataclass

import typer

from core.calendar import calendar_named
from core.calendar.days import LocalDays
from core.command_line import edge, print_json, settings_and_store
from core.errors import UsageError
from core.settings import Settings
from core.stores import wall_clock_ms
from jobs.commands.context import publication_as_json, run_as_json
from jobs.commands.progress import Bar, Silent
from jobs.commands.signals import ignore_signals, signals_as_errors
from jobs.decode.jit import is_compiled
from jobs.decode.plan import Fields, plan_paths
from jobs.rebuild import Outcome, Rebuild, Request


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ``rebuild`` as they were typed."""

    sources: tuple[str, ...]
    truncate: bool
    first: str | None
    last: str | None
    collection: str | None
    merchant_field: str
    amount_field: str
    time_field: str
    where: tuple[str, ...]
    max_reject_ratio: float
    threads: int | None
    store: str | None
    as_json: bool


def run(options: Options) -> None:
    """Rebuild, and say what was done."""
    began = time.monotonic()
    with edge(options.as_json, after_defect="status tells what is published."), signals_as_errors():
        request_fields = _fields(options)
        settings, stores = settings_and_store(options.store, create=True)
        if not is_compiled():
            typer.echo("Compiling the decoders, which happens once and takes half a minute or so.", err=True)
        with stores:
            job = Rebuild(
                stores,
                calendar_named(settings.calendar),
                LocalDays(settings.time_zone),
                settings.quarantine_dir,
                wall_clock_ms,
            )
            with _watcher(options) as watcher:
                outcome = job.run(_request(options, settings, request_fields), watcher)
        if options.as_json:
            run_json = run_as_json(outcome.run) | {"forms": outcome.forms}
            print_json({"run": run_json, "published": publication_as_json(outcome.publication)})
        else:
            _print(outcome, settings, time.monotonic() - began)


def _fields(options: Options) -> Fields:
    where: dict[str, str] = {}
    for condition in options.where:
        path, separator, value = condition.partition("=")
        if not separator or not path:
            raise UsageError(f"--where {condition} is no condition", "Write it as PATH=VALUE, such as status=paid.")
        if path in where:
            raise UsageError(f"--where names {path} twice", "A document cannot have two values in one field.")
        where[path] = value
    fields = Fields(options.merchant_field, options.amount_field, options.time_field, tuple(where.items()))
    if len({fields.merchant, fields.amount, fields.time}) < 3:
        raise UsageError("merchant, amount and time must be three different fields", "Change one of the options.")
    plan_paths(fields.paths(), b"\0")  # refuses what is no path before a run begins
    return fields


def _request(options: Options, settings: Settings, fields: Fields) -> Request:
    usable_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Request(
        sources=options.sources,
        truncate=options.truncate,
        first_key=options.first,
        last_key=options.last,
        fields=fields,
        collection=options.collection,
        max_reject_ratio=options.max_reject_ratio,
        threads=options.threads or settings.threads or usable_cores,
        command=_command(options),
    )


def _command(options: Options) -> str:
    """What the ledger calls the run: all that decides what is counted. The store's URL may hold a password."""
    words = ["rebuild", *options.sources]
    if options.truncate:
        words.append("--truncate")
    given = {"--from": options.first, "--to": options.last, "--collection": options.collection}
    fields = {
        "--merchant-field": (options.merchant_field, Fields().merchant),
        "--amount-field": (options.amount_field, Fields().amount),
        "--time-field": (options.time_field, Fields().time),
    }
    given |= {name: value for name, (value, default) in fields.items() if value != default}
    words += [word for name, value in given.items() if value is not None for word in (name, value)]
    words += [word for condition in options.where for word in ("--where", condition)]
    if options.max_reject_ratio:
        words += ["--max-reject-ratio", f"{options.max_reject_ratio:g}"]
    return shlex.join(words)


def _watcher(options: Options) -> Silent:
    watching = not options.as_json and sys.stderr.isatty()
    return Bar(ignore_signals) if watching else Silent(ignore_signals)


def _print(outcome: Outcome, settings: Settings, seconds: float) -> None:
    run, publication = outcome.run, outcome.publication
    counts = run.counts
    typer.echo(f"Read {counts.read:,} documents from {len(run.sources)} source(s): {', '.join(outcome.forms)}.")
    typer.echo(
        f"Counted {counts.counted:,}, rejected {counts.rejected:,}, filtered out {counts.filtered:,}, "
        f"out of range {counts.out_of_range:,}."
    )
    for reason, count in sorted(run.rejects_by_reason.items()):
        typer.echo(f"  {count:,} rejected: {reason}")
    if run.quarantine:
        typer.echo(f"The rejects are in {run.quarantine}.")
    for warning in run.warnings:
        typer.echo(f"Warning: {warning}.", err=True)
    days = f"{publication.first_day_key} to {publication.last_day_key}" if publication.rows else "no day"
    typer.echo(
        f"Published {publication.rows:,} summaries of {days} as generation {publication.generation} (run {run.id}): "
        f"{publication.total_count:,} transactions, {publication.total_amount:,} {settings.currency}, "
        f"in {seconds:.2f} s."
    )
