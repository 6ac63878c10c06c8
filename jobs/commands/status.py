"""``status``: what is published, and the ledger of runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import typer

from core.calendar.zones import rules_source
from core.command_line import edge, print_json, printable, settings_and_store
from core.errors import UsageError
from core.stores.freshness import Standing, zone_rules_agree
from core.stores.runs import Run
from core.stores.summaries import Meaning, Publication
from jobs.commands.context import publication_as_json, run_as_json
from jobs.commands.signals import signals_as_errors


def run(number: int | None, limit: int, store_url: str | None, as_json: bool) -> None:
    """Show the store's state, or all about one run."""
    with edge(as_json), signals_as_errors():
        _, stores = settings_and_store(store_url, create=False)
        with stores:
            standing = Standing.read(stores)
            publication = None if standing is None else standing.publication
            last = None if standing is None else standing.confirmed_by
            if number is None:
                runs = stores.runs.recent(limit)
            else:
                found = stores.runs.get(number)
                if found is None:
                    raise UsageError(f"there is no run {number}", "status without a number lists the runs.")
                runs = [found]
        if as_json:
            shown: Any = {
                "published": publication_as_json(publication),
                "zone_rules_agree": None if publication is None else zone_rules_agree(publication.meaning),
                "runs": [run_as_json(r) for r in runs],
            }
            print_json(shown if number is None else run_as_json(runs[0]))
        elif number is None:
            _print_state(publication, last, runs)
        else:
            _print_run(runs[0])


def _print_state(publication: Publication | None, last: Run | None, runs: list[Run]) -> None:
    """Print what is published, and of the `last` run that published it or found it right what it warned of."""
    if publication is None:
        typer.echo("Nothing is published yet.")
    else:
        meaning = publication.meaning
        typer.echo(f"Published: generation {publication.generation} by run {publication.run_id}, ", nl=False)
        typer.echo(f"{_instant(publication.published_at_ms)}")
        typer.echo(f"  days       {publication.first_day_key or '-'} to {publication.last_day_key or '-'}")
        typer.echo(f"  summaries  {publication.rows:,}")
        typer.echo(f"  total      {publication.total_count:,} transactions, amount {publication.total_amount:,}")
        filters = ", ".join(f"{path}={value}" for path, value in meaning.where) or "none"
        typer.echo(f"  meaning    {meaning.calendar} calendar, {meaning.time_zone}, filters: {filters}")
        _print_zone_rules(meaning)
        if last is not None and last.degraded:
            typer.secho(
                f"  degraded   {last.counts.rejected:,} documents were rejected; see status {last.id}",
                fg="yellow",
            )
        for warning in () if last is None else last.warnings:
            typer.secho(f"  warning    {printable(warning)}", fg="yellow")
    typer.echo("")
    typer.echo(f"{'run':>5}  {'status':<11}  {'began':<20}  {'read':>13}  {'counted':>13}  {'rejected':>9}  command")
    for r in runs:
        status = "degraded" if r.degraded else str(r.status)
        typer.echo(
            f"{r.id:>5}  {status:<11}  {_instant(r.started_at_ms):<20}  {r.counts.read:>13,}  "
            f"{r.counts.counted:>13,}  {r.counts.rejected:>9,}  {printable(r.command)}"
        )
        if r.error:
            typer.echo(f"       {printable(r.error)}")


def _print_zone_rules(meaning: Meaning) -> None:
    if meaning.zone_rules is None:
        typer.echo("  rules      not recorded; the next run that replaces some days records those it uses")
    elif zone_rules_agree(meaning):
        typer.echo(f"  rules      {meaning.rules_words()}, the same as here")
    else:
        others = f"not those of this host ({rules_source()}), which may only rebuild --truncate"
        typer.secho(f"  rules      {meaning.rules_words()}, {others}", fg="yellow")


def _print_run(r: Run) -> None:
    counts = r.counts
    days = f"{r.first_day_key or 'the first day'} to {r.last_day_key or 'the last day'}"
    lines = {
        "run": str(r.id),
        "status": ("degraded: published with rejects" if r.degraded else str(r.status)),
        "command": r.command,
        "sources": ", ".join(r.sources),
        "process": f"{r.holder.process_id} on {r.holder.host}",
        "began": _instant(r.started_at_ms),
        "ended": "-" if r.ended_at_ms is None else _instant(r.ended_at_ms),
        "last sign": _instant(r.heartbeat_at_ms),
        "phase": r.phase,
        "replaced": "everything" if r.first_day_key is None and r.last_day_key is None else days,
        "read": f"{counts.read:,}",
        "counted": f"{counts.counted:,}",
        "rejected": f"{counts.rejected:,}",
        "filtered": f"{counts.filtered:,}",
        "off range": f"{counts.out_of_range:,}",
        "days kept": "-" if r.days_kept is None else f"{r.days_kept:,}",
        "generation": "-" if r.generation is None else str(r.generation),
        "quarantine": r.quarantine or "-",
        "kept": f"{counts.rejected - r.rejects_not_kept:,} of {counts.rejected:,} rejects" if counts.rejected else "-",
        "error": r.error or "-",
    }
    for name, value in lines.items():
        typer.echo(f"{name:<11} {printable(value)}")
    for reason, count in sorted(r.rejects_by_reason.items()):
        typer.echo(f"reject      {count:,} {reason}")
    for warning in r.warnings:
        typer.echo(f"warning     {printable(warning)}")


def _instant(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"
