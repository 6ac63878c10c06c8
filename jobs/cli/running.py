"""Runs the job of a verb that reads transactions, and prints its counts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol, TypeVar

import typer

from core.calendar import Calendar, calendar_named
from core.calendar.days import LocalDays
from core.command_line import print_message
from core.settings import Settings
from core.stores import Clock, Stores, wall_clock_ms
from core.stores.runs import Run
from jobs.cli.advice import advised
from jobs.cli.progress import Silent, bar
from jobs.cli.reading_options import ReadingOptions, announce_compilation
from jobs.job import Watcher
from jobs.partitions.counting import Counted
from jobs.runs.quarantine import describe_quarantine

RequestT = TypeVar("RequestT")
OutcomeT = TypeVar("OutcomeT", covariant=True)


class _Job(Protocol[OutcomeT]):
    def run(self) -> OutcomeT: ...


def run_job(
    kind: Callable[[Stores, Calendar, LocalDays, Path, Clock, RequestT, Watcher], _Job[OutcomeT]],
    request: RequestT,
    reading: ReadingOptions,
    stores: Stores,
    settings: Settings,
    as_json: bool,
) -> OutcomeT:
    """Run a job of `kind`, with a progress bar if standard error is a terminal.

    :param reading: see `jobs.cli.advice.advised`.
    """
    announce_compilation()
    calendar, local_days = calendar_named(settings.calendar), LocalDays(settings.time_zone)
    shown = bar() if sys.stderr.isatty() and not as_json else nullcontext(Silent())
    with shown as watcher, advised(reading, settings):
        job = kind(stores, calendar, local_days, settings.quarantine_dir, wall_clock_ms, request, watcher)
        return job.run()


def print_counts(run: Run | Counted) -> None:
    """Print the numbers of counted, rejected and skipped documents, and the warnings."""
    counts = run.counts
    typer.echo(
        f"Counted {counts.counted:,}, rejected {counts.rejected:,}, filtered out {counts.filtered:,}, "
        f"out of range {counts.out_of_range:,}."
    )
    for reason, count in sorted(run.rejects_by_reason.items()):
        typer.echo(f"  {count:,} rejected: {reason}")
    if counts.rejected:
        typer.echo(f"{describe_quarantine(run.quarantine, run.rejects_kept, counts.rejected)}.")
    for warning in run.warnings:
        print_message(f"{warning}.", "warning")
