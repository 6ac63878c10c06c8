"""``verify``: compares the published summaries with a recount of the source."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, Final

import polars as pl
import typer

from core.command_line import command_settings, edge, print_json, printable, store_named
from core.money import grouped
from core.stores.summaries import Fingerprint
from core.tables import aligned
from jobs.cli.context import publication_as_json, run_as_json
from jobs.cli.live_options import remote_options
from jobs.cli.reading_options import ReadingOptions, loss_limits
from jobs.cli.running import print_counts, run_job
from jobs.decode.formats import option_words
from jobs.runs.signals import signals_as_errors
from jobs.verify import Verify, VerifyOutcome, VerifyRequest

DRIFT: Final = 4
"""The exit code of a verification that found drift and did not repair it."""


def run(
    options: ReadingOptions,
    first: str | None,
    last: str | None,
    look_back_days: int | None,
    repair: bool,
    allow_shrink: bool,
    limit: int,
    cluster: str | None,
    store_url: str | None,
    as_json: bool,
) -> None:
    """Compare, print the drift, and exit with the code for drift unless it was repaired."""
    began = time.monotonic()
    with edge(as_json, after_defect="status shows what is published.") as result, signals_as_errors():
        settings = command_settings()
        fields = options.fields(settings)
        look_back = None if look_back_days is None else str(look_back_days)
        own = option_words({"--from": first, "--to": last, "--look-back": look_back, "--repair": repair})
        own += option_words({"--allow-shrink": allow_shrink})
        with store_named(settings, store_url, create=False) as stores:
            reading = options.completed(settings)
            request = VerifyRequest(
                sources=reading.sources,
                first_key=first,
                last_key=last,
                look_back_days=settings.refresh_look_back_days if look_back_days is None else look_back_days,
                repair=repair,
                loss_limits=loss_limits(settings, allow_shrink),
                remote=remote_options(settings),
                cluster=cluster,
                command=reading.command("verify", fields.formats, *own),
                **reading.request(fields, settings),
            )
            outcome = run_job(Verify, request, reading, stores, settings, as_json)
        result.exit_code = DRIFT if len(outcome.drift) and outcome.repaired_by is None else 0
        if as_json:
            print_json(_as_json(outcome, limit))
        else:
            _print(outcome, limit, settings.currency, time.monotonic() - began)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _as_json(outcome: VerifyOutcome, limit: int) -> dict[str, Any]:
    counted = outcome.counted
    return {
        "drifted": len(outcome.drift),
        "drift": outcome.drift.head(limit).to_dicts(),
        "days_kept": [
            {"key": key, "count": loss.published, "recounted_count": loss.counted}
            for key, loss in outcome.protected.items()
        ],
        "first_day_key": outcome.first_key,
        "last_day_key": outcome.last_key,
        "left_to_refresh": outcome.left_to_refresh,
        "counts": asdict(counted.counts),
        "rejects_by_reason": counted.rejects_by_reason,
        "quarantine": None if counted.quarantine is None else str(counted.quarantine),
        "rejects_kept": counted.rejects_kept,
        "rejects_not_kept": counted.counts.rejected - counted.rejects_kept,
        "warnings": counted.warnings,
        "compared_with": publication_as_json(outcome.compared),
        "repaired_by": None if outcome.repaired_by is None else run_as_json(outcome.repaired_by),
    }


def _print(outcome: VerifyOutcome, limit: int, currency: str, seconds: float) -> None:
    days = f"{outcome.first_key or 'the first day'} to {outcome.last_key or 'the last'}"
    typer.echo(f"Recounted {outcome.counted.counts.read:,} documents and compared the days from {days}.")
    if outcome.left_to_refresh:
        typer.echo("Later days are not compared, because the next refresh recomputes them. --to compares them too.")
    print_counts(outcome.counted)
    generation = outcome.compared.generation
    if not len(outcome.drift):
        except_protected = (
            f", except {len(outcome.protected):,} day(s) that keep their totals" if outcome.protected else ""
        )
        typer.echo(f"No drift: generation {generation} equals the source{except_protected}, in {seconds:.2f} s.")
        return
    typer.echo(_table(outcome.drift.head(limit), outcome.compared.fingerprint, currency), nl=False)
    if len(outcome.drift) > limit:
        typer.echo(f"… and {len(outcome.drift) - limit:,} more; see them with --limit {len(outcome.drift)}.")
    typer.echo(f"{len(outcome.drift):,} summaries of generation {generation} have drifted, found in {seconds:.2f} s.")
    if outcome.repaired_by is None:
        typer.echo("Correct them with the same command and --repair.")
    else:
        run = outcome.repaired_by
        typer.echo(f"Repaired: {run.days_changed:,} day(s) changed by generation {run.generation} (run {run.id}).")


def _table(drift: pl.DataFrame, fingerprint: Fingerprint, currency: str) -> str:
    unit = fingerprint.unit(currency)
    headings = ("mode", "period", "merchant", f"published {unit}", f"recounted {unit}", "published count", "recounted")
    modes, keys, merchants, *numbers = (column.to_list() for column in drift)
    named = ["all together" if merchant is None else printable(merchant) for merchant in merchants]
    scales = (fingerprint.amount_scale, fingerprint.amount_scale, 0, 0)
    shown = ([grouped(number, scale) for number in column] for column, scale in zip(numbers, scales, strict=True))
    return aligned([headings, *zip(modes, keys, named, *shown, strict=True)], range(3, len(headings)))
