"""``refresh``: updates the summaries of a live collection."""

from __future__ import annotations

import time

import typer

from core.command_line import command_settings, edge, print_json, store_named
from core.errors import UsageError
from jobs.cli.context import amount_words, publication_as_json, run_as_json
from jobs.cli.reading_options import ReadingOptions, loss_limits
from jobs.cli.running import print_counts, run_job
from jobs.decode.formats import option_words
from jobs.decode.plan import plan_paths
from jobs.refresh import Refresh, RefreshOutcome, RefreshRequest
from jobs.runs.signals import signals_as_errors
from jobs.sources.url import is_live


def run(
    options: ReadingOptions,
    updated_field: str | None,
    look_back_days: int | None,
    allow_shrink: bool,
    store_url: str | None,
    as_json: bool,
) -> None:
    began = time.monotonic()
    with edge(as_json, after_defect="status shows what is published."), signals_as_errors():
        settings = command_settings()
        fields = options.fields(settings)
        if updated_field is not None:
            plan_paths((updated_field,), b"\0")
        look_back = settings.refresh_look_back_days if look_back_days is None else look_back_days
        own = ["--look-back", str(look_back)]
        own += option_words({"--updated-field": updated_field, "--allow-shrink": allow_shrink})
        with store_named(settings, store_url, create=True) as stores:
            reading = options.completed(settings)
            if len(reading.sources) != 1 or not is_live(reading.sources[0]):
                raise UsageError(
                    f"{reading.sources[-1]} is not a live collection",
                    "refresh reads mongodb://host/database; use rebuild for exports.",
                )
            request = RefreshRequest(
                url=reading.sources[0],
                updated_field=updated_field,
                look_back_days=look_back,
                loss_limits=loss_limits(settings, allow_shrink),
                command=reading.command("refresh", fields.formats, *own),
                **reading.request(fields, settings),
            )
            outcome = run_job(Refresh, request, reading, stores, settings, as_json)
        if as_json:
            print_json({"run": run_as_json(outcome.run), "published": publication_as_json(outcome.publication)})
        else:
            _print(outcome, time.monotonic() - began)


def _print(outcome: RefreshOutcome, seconds: float) -> None:
    run, publication, plan = outcome.run, outcome.publication, outcome.plan
    older = "" if plan is None or not plan.older_days else f" and {plan.older_days:,} older day(s)"
    which = "all days" if plan is None else f"the days since {run.first_day_key}{older}"
    typer.echo(f"Read {run.counts.read:,} documents of {which} from {', '.join(run.sources)}.")
    print_counts(run)
    total = f"{publication.total_count:,} transactions, {amount_words(publication)}"
    if publication.run_id == run.id:
        did = f"{run.days_changed:,} day(s) changed. Published generation {publication.generation} (run {run.id})"
    else:
        did = f"Nothing has changed; generation {publication.generation} is still current (run {run.id})"
    typer.echo(f"{did}: {total}, in {seconds:.2f} s.")
