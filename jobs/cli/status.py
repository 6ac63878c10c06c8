"""``status``: shows the publication and the ledger of runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from core.calendar.zones import rules_source
from core.command_line import edge, opened, print_json, printable
from core.errors import UsageError
from core.instants import duration
from core.stores import wall_clock_ms
from core.stores.condition import Condition, FreshnessLimits, Refreshes
from core.stores.freshness import zone_rules_agree
from core.stores.runs import Run
from core.stores.summaries import Fingerprint
from core.tables import aligned
from jobs.cli.context import amount_words, condition_as_json, publication_as_json, run_as_json
from jobs.runs.signals import signals_as_errors


def run(number: int | None, limit: int, store_url: str | None, as_json: bool) -> None:
    """Print the store's state, or the details of one run."""
    with edge(as_json), signals_as_errors(), opened(store_url) as (settings, stores):
        now_ms = wall_clock_ms()
        condition = Condition.read(stores, now_ms, FreshnessLimits(settings.api_max_age_s, settings.refresh_every_s))
        if number is None:
            runs = stores.runs.recent(limit)
        else:
            found = stores.runs.get(number)
            if found is None:
                raise UsageError(f"there is no run {number}", "status without a number lists the runs.")
            runs = [found]
        publication = None if condition.freshness is None else condition.freshness.publication
        if as_json:
            shown: Any = {
                "published": publication_as_json(publication),
                "zone_rules_agree": None if publication is None else zone_rules_agree(publication.fingerprint),
                **condition_as_json(condition, now_ms),
                "runs": [run_as_json(r) for r in runs],
            }
            print_json(shown if number is None else run_as_json(runs[0]))
        elif number is None:
            _print_state(condition, now_ms)
            _print_runs(runs)
        else:
            _print_run(runs[0])


def _print_state(condition: Condition, now_ms: int) -> None:
    freshness = condition.freshness
    if freshness is None:
        typer.echo("Nothing is published yet.")
    else:
        publication = freshness.publication
        fingerprint = publication.fingerprint
        typer.echo(f"Published: generation {publication.generation} by run {publication.run_id}, ", nl=False)
        typer.echo(f"{_instant(publication.published_at_ms)}")
        typer.echo(f"  days       {publication.first_day_key or '-'} to {publication.last_day_key or '-'}")
        typer.echo(f"  summaries  {publication.rows:,}")
        typer.echo(f"  total      {publication.total_count:,} transactions, amount {amount_words(publication)}")
        filters = ", ".join(f"{path}={value}" for path, value in fingerprint.where) or "none"
        typer.echo(f"  settings   {fingerprint.calendar} calendar, {fingerprint.time_zone}, filters: {filters}")
        if formats := _formats(fingerprint):
            typer.echo(f"  formats    {printable(', '.join(formats))}")
        _print_zone_rules(fingerprint)
        typer.echo(f"  sources    read up to {_instant(freshness.as_of_ms)}, {duration(freshness.age_s(now_ms))} ago")
    if condition.refreshes is not None:
        typer.echo(f"  refreshes  {_refreshes(condition.refreshes, now_ms)}")
    for sentence in _problems(condition, now_ms):
        typer.secho(f"  degraded   {sentence}", fg="yellow")
    last = None if freshness is None else freshness.confirmed_by
    for warning in () if last is None else last.warnings:
        typer.secho(f"  warning    {printable(warning)}", fg="yellow")


def _refreshes(refreshes: Refreshes, now_ms: int) -> str:
    left_s = (refreshes.due_ms - now_ms) / 1000
    due = f"in {duration(left_s)}" if left_s >= 0 else f"{duration(-left_s)} ago"
    return f"every {duration(refreshes.every_s)}, the next due {_instant(refreshes.due_ms)}, {due}"


def _problems(condition: Condition, now_ms: int) -> Iterator[str]:
    """A sentence for each cause of a degraded state; failures also if nothing is published."""
    freshness, refreshes = condition.freshness, condition.refreshes
    if "rejects" in condition.degraded_by and freshness is not None and freshness.confirmed_by is not None:
        run = freshness.confirmed_by
        yield f"{run.counts.rejected:,} documents were rejected; see status {run.id}"
    if condition.failures:
        yield f"{len(condition.failures)} run(s) in a row failed; see status {condition.failures[0].id}"
    if "missed_refreshes" in condition.degraded_by and refreshes is not None:
        yield f"{refreshes.missed(now_ms):,} refreshes were missed; check that their scheduler runs"
    if "age" in condition.degraded_by:
        yield "the sources were last read longer ago than API_MAX_AGE_S allows"


def _print_runs(runs: Sequence[Run]) -> None:
    """Print a table of runs, with errors below their rows."""
    typer.echo("")
    rows = [
        (
            str(r.id),
            "degraded" if r.degraded else str(r.status),
            f"{_instant(r.started_at_ms)[:16]}Z",
            "-" if r.duration_s is None else duration(r.duration_s),
            f"{r.counts.read:,}",
            _speed(r),
            f"{r.counts.counted:,}",
            f"{r.counts.rejected:,}",
            printable(r.command),
        )
        for r in runs
    ]
    headings = ("run", "status", "started", "duration", "read", "docs/s", "counted", "rejected", "command")
    heading, *lines = aligned([headings, *rows], {0, 3, 4, 5, 6, 7}).removesuffix("\n").split("\n")
    typer.echo(heading)
    for r, line in zip(runs, lines, strict=True):
        typer.echo(line)
        if r.error:
            typer.echo(f"       {printable(r.error)}")


def _speed(run: Run) -> str:
    return "-" if not run.documents_per_s else f"{run.documents_per_s:,.0f}"


def _formats(fingerprint: Fingerprint) -> list[str]:
    """The accepted formats besides integers and dates, in words."""
    zone = f" in {fingerprint.text_zone}" if fingerprint.text_zone else ""
    words = {
        f"amounts with {fingerprint.amount_scale} decimal place(s)": fingerprint.amount_scale,
        "amounts as text": fingerprint.amount_text,
        "a decimal comma in CSV": fingerprint.csv_decimal_comma,
        f"times as {fingerprint.time_format}{zone}": fingerprint.time_format,
    }
    return [text for text, is_accepted in words.items() if is_accepted]


def _print_zone_rules(fingerprint: Fingerprint) -> None:
    if fingerprint.zone_rules is None:
        typer.echo("  rules      not recorded; the next run that replaces some days records those of its host")
    elif zone_rules_agree(fingerprint):
        typer.echo(f"  rules      {fingerprint.rules_words()}, the same on this host")
    else:
        others = f"different from those of this host ({rules_source()}), which can only run rebuild --truncate"
        typer.secho(f"  rules      {fingerprint.rules_words()}, {others}", fg="yellow")


def _print_run(r: Run) -> None:
    counts, written = r.counts, r.counts.rejected - r.rejects_not_kept
    days = f"{r.first_day_key or 'the first day'} to {r.last_day_key or 'the last day'}"
    lines = {
        "run": str(r.id),
        "status": ("degraded: published with rejects" if r.degraded else str(r.status)),
        "command": r.command,
        "sources": ", ".join(r.sources),
        "process": f"{r.holder.process_id} on {r.holder.host}",
        "started": _instant(r.started_at_ms),
        "ended": "-" if r.ended_at_ms is None else _instant(r.ended_at_ms),
        "duration": "-" if r.duration_s is None else duration(r.duration_s),
        "heartbeat": _instant(r.heartbeat_at_ms),
        "phase": r.phase,
        "replaced": "everything" if r.first_day_key is None and r.last_day_key is None else days,
        "data as of": "-" if r.as_of_ms is None else _instant(r.as_of_ms),
        "read": f"{counts.read:,}",
        "docs/s": _speed(r),
        "counted": f"{counts.counted:,}",
        "rejected": f"{counts.rejected:,}",
        "filtered": f"{counts.filtered:,}",
        "out of range": f"{counts.out_of_range:,}",
        "days kept": "-" if r.days_kept is None else f"{r.days_kept:,}",
        "generation": "-" if r.generation is None else str(r.generation),
        "quarantine": r.quarantine or "-",
        "quarantined": f"{written:,} of {counts.rejected:,} rejects" if counts.rejected else "-",
        "error": r.error or "-",
    }
    for name, value in lines.items():
        typer.echo(f"{name:<12} {printable(value)}")
    for reason, count in sorted(r.rejects_by_reason.items()):
        typer.echo(f"reject       {count:,} {reason}")
    for warning in r.warnings:
        typer.echo(f"warning      {printable(warning)}")


def _instant(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"
