"""``rebuild``: summaries from exports and live collections."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass

import typer

from core.command_line import command_settings, edge, print_json, store_named
from jobs.cli.advice import advised
from jobs.cli.context import amount_words, publication_as_json, run_as_json
from jobs.cli.live_options import remote_options
from jobs.cli.reading_options import ReadingOptions, job_of, print_compiling, print_counts, watcher
from jobs.decode.plan import Fields
from jobs.rebuild import Rebuild, RebuildOutcome, RebuildRequest
from jobs.runs.signals import signals_as_errors


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ``rebuild``, unparsed."""

    reading: ReadingOptions
    truncate: bool
    first: str | None
    last: str | None
    allow_empty: bool
    allow_shrink: bool
    store: str | None
    as_json: bool
    checkpoint: str | None = None
    keep_checkpoint: bool = False
    cluster: str | None = None


def run(options: Options) -> None:
    """Rebuild, and print the result."""
    began = time.monotonic()
    with edge(options.as_json, after_defect="status shows what is published."), signals_as_errors():
        settings = command_settings()
        fields = options.reading.fields(settings)
        with store_named(settings, options.store, create=True) as stores:
            reading = options.reading.completed(settings)
            print_compiling()
            request = RebuildRequest(
                sources=reading.sources,
                truncate=options.truncate,
                first_key=options.first,
                last_key=options.last,
                fields=fields,
                collection=reading.collection,
                max_reject_ratio=reading.max_reject_ratio,
                allow_empty=options.allow_empty,
                allow_shrink=options.allow_shrink,
                max_quarantine_bytes=reading.max_quarantine_bytes(settings),
                threads=reading.threads or 1,
                live=reading.live(settings),
                currency=settings.currency,
                remote=remote_options(settings),
                command=_command(reading, fields, options),
                checkpoint=options.checkpoint,
                keep_checkpoint=options.keep_checkpoint,
                cluster=options.cluster,
            )
            job = job_of(Rebuild, stores, settings)
            with watcher(options.as_json) as watching, advised(reading, settings):
                outcome = job.run(request, watching)
        if options.as_json:
            run_json = run_as_json(outcome.run) | {
                "forms": outcome.file_formats,
                "partitions_reused": outcome.partitions_reused,
            }
            print_json({"run": run_json, "published": publication_as_json(outcome.publication)})
        else:
            _print(outcome, time.monotonic() - began)


def _command(reading: ReadingOptions, fields: Fields, options: Options) -> str:
    own = ["--truncate"] if options.truncate else []
    own += [word for name, key in (("--from", options.first), ("--to", options.last)) if key for word in (name, key)]
    own += ["--allow-empty"] if options.allow_empty else []
    own += ["--allow-shrink"] if options.allow_shrink else []
    return shlex.join(["rebuild", *reading.words(fields.formats, *own, usual_reject_ratio=0)])


def _print(outcome: RebuildOutcome, seconds: float) -> None:
    run, publication = outcome.run, outcome.publication
    typer.echo(
        f"Read {run.counts.read:,} documents from {len(run.sources)} source(s): {', '.join(outcome.file_formats)}."
    )
    if outcome.partitions_reused:
        typer.echo(f"Took the results of {outcome.partitions_reused:,} partition(s) from the checkpoint.")
    print_counts(run.counts, run.rejects_by_reason, run.quarantine, run.rejects_kept, run.warnings)
    days = f"{publication.first_day_key} to {publication.last_day_key}" if publication.rows else "no day"
    typer.echo(
        f"Published {publication.rows:,} summaries of {days} as generation {publication.generation} (run {run.id}): "
        f"{publication.total_count:,} transactions, {amount_words(publication)}, "
        f"in {seconds:.2f} s."
    )
