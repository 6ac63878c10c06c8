"""``rebuild``: summaries from exports and live collections."""

from __future__ import annotations

import time

import typer

from core.command_line import command_settings, edge, print_json, store_named
from jobs.cli.context import amount_words, publication_as_json, run_as_json
from jobs.cli.live_options import remote_options
from jobs.cli.reading_options import ReadingOptions
from jobs.cli.running import print_counts, run_job
from jobs.decode.formats import option_words
from jobs.rebuild import Rebuild, RebuildOutcome, RebuildRequest
from jobs.runs.signals import signals_as_errors


def run(
    options: ReadingOptions,
    truncate: bool,
    first: str | None,
    last: str | None,
    allow_empty: bool,
    allow_shrink: bool,
    checkpoint: str | None,
    keep_checkpoint: bool,
    cluster: str | None,
    store_url: str | None,
    as_json: bool,
) -> None:
    began = time.monotonic()
    with edge(as_json, after_defect="status shows what is published."), signals_as_errors():
        settings = command_settings()
        fields = options.fields(settings)
        days = option_words({"--truncate": truncate, "--from": first, "--to": last})
        own = (*days, *option_words({"--allow-empty": allow_empty, "--allow-shrink": allow_shrink}))
        with store_named(settings, store_url, create=True) as stores:
            reading = options.completed(settings)
            request = RebuildRequest(
                sources=reading.sources,
                truncate=truncate,
                first_key=first,
                last_key=last,
                allow_empty=allow_empty,
                allow_shrink=allow_shrink,
                remote=remote_options(settings),
                command=reading.command("rebuild", fields.formats, *own),
                checkpoint=checkpoint,
                keep_checkpoint=keep_checkpoint,
                cluster=cluster,
                **reading.request(fields, settings),
            )
            outcome = run_job(Rebuild, request, reading, stores, settings, as_json)
        if as_json:
            run_json = run_as_json(outcome.run) | {
                "forms": outcome.file_formats,
                "partitions_reused": outcome.partitions_reused,
            }
            print_json({"run": run_json, "published": publication_as_json(outcome.publication)})
        else:
            _print(outcome, time.monotonic() - began)


def _print(outcome: RebuildOutcome, seconds: float) -> None:
    run, publication = outcome.run, outcome.publication
    typer.echo(
        f"Read {run.counts.read:,} documents from {len(run.sources)} source(s): "
        f"{'; '.join(dict.fromkeys(outcome.file_formats))}."
    )
    if outcome.partitions_reused:
        typer.echo(f"Reused the results of {outcome.partitions_reused:,} partition(s) from the checkpoint.")
    print_counts(run)
    days = f"{publication.first_day_key} to {publication.last_day_key}" if publication.rows else "no day"
    typer.echo(
        f"Published {publication.rows:,} summaries of {days} as generation {publication.generation} (run {run.id}): "
        f"{publication.total_count:,} transactions, {amount_words(publication)}, "
        f"in {seconds:.2f} s."
    )
