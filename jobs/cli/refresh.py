"""``refresh``: updates the summaries of a live collection."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass

import typer

from core.command_line import command_settings, edge, print_json, store_named
from core.errors import UsageError
from jobs.cli.advice import advised
from jobs.cli.context import amount_words, publication_as_json, run_as_json
from jobs.cli.reading_options import ReadingOptions, job_of, loss_limits, print_compiling, print_counts, watcher
from jobs.decode.plan import Fields, plan_paths
from jobs.refresh import Refresh, RefreshOutcome, RefreshRequest
from jobs.runs.signals import signals_as_errors
from jobs.sources.url import is_live

REJECT_RATIO = 0.001


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ``refresh``, unparsed."""

    reading: ReadingOptions
    updated_field: str | None
    look_back_days: int | None
    allow_shrink: bool
    store: str | None
    as_json: bool


def run(options: Options) -> None:
    """Refresh, and print the result."""
    began = time.monotonic()
    with edge(options.as_json, after_defect="status shows what is published."), signals_as_errors():
        settings = command_settings()
        fields = options.reading.fields(settings)
        if options.updated_field is not None:
            plan_paths((options.updated_field,), b"\0")
        with store_named(settings, options.store, create=True) as stores:
            reading = options.reading.completed(settings)
            if len(reading.sources) != 1 or not is_live(reading.sources[0]):
                raise UsageError(
                    f"{reading.sources[-1]} is no live collection",
                    "refresh reads mongodb://host/database; use rebuild for exports.",
                )
            print_compiling()
            look_back = settings.refresh_look_back_days if options.look_back_days is None else options.look_back_days
            request = RefreshRequest(
                url=reading.sources[0],
                collection=reading.collection,
                fields=fields,
                updated_field=options.updated_field,
                look_back_days=look_back,
                max_reject_ratio=reading.max_reject_ratio,
                loss_limits=loss_limits(settings, options.allow_shrink),
                max_quarantine_bytes=reading.max_quarantine_bytes(settings),
                threads=reading.threads or 1,
                live=reading.live(settings),
                currency=settings.currency,
                command=_command(reading, fields, options, look_back),
            )
            job = job_of(Refresh, stores, settings)
            with watcher(options.as_json) as watching, advised(reading, settings):
                outcome = job.run(request, watching)
        if options.as_json:
            print_json({"run": run_as_json(outcome.run), "published": publication_as_json(outcome.publication)})
        else:
            _print(outcome, time.monotonic() - began)


def _command(reading: ReadingOptions, fields: Fields, options: Options, look_back_days: int) -> str:
    own = ["--look-back", str(look_back_days)]
    if options.updated_field is not None:
        own += ["--updated-field", options.updated_field]
    own += ["--allow-shrink"] if options.allow_shrink else []
    return shlex.join(["refresh", *reading.words(fields.formats, *own, usual_reject_ratio=REJECT_RATIO)])


def _print(outcome: RefreshOutcome, seconds: float) -> None:
    run, publication, plan = outcome.run, outcome.publication, outcome.plan
    older = "" if plan is None or not plan.older_days else f" and {plan.older_days:,} older day(s)"
    which = "all days" if plan is None else f"the days from {run.first_day_key} on{older}"
    typer.echo(f"Read {run.counts.read:,} documents of {which} from {', '.join(run.sources)}.")
    print_counts(run.counts, run.rejects_by_reason, run.quarantine, run.rejects_kept, run.warnings)
    total = f"{publication.total_count:,} transactions, {amount_words(publication)}"
    if publication.run_id == run.id:
        did = f"{run.days_changed:,} day(s) changed. Published generation {publication.generation} (run {run.id})"
    else:
        did = f"Nothing has changed: generation {publication.generation} is still right (run {run.id})"
    typer.echo(f"{did}: {total}, in {seconds:.2f} s.")
