"""Runs the job of a verb that reads transactions, and prints its counts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import typer

from core.calendar import Calendar, calendar_named
from core.calendar.days import LocalDays
from core.command_line import print_message
from core.settings import Settings
from core.stores import Clock, Stores, wall_clock_ms
from core.stores.runs import Counts
from jobs.cli.advice import advised
from jobs.cli.progress import Bar, Silent
from jobs.cli.reading_options import ReadingOptions
from jobs.decode.jit import is_compiled
from jobs.job import Watcher
from jobs.runs.quarantine import describe_quarantine
from jobs.runs.signals import ignore_signals

RequestT = TypeVar("RequestT", contravariant=True)
OutcomeT = TypeVar("OutcomeT", covariant=True)


class _Job(Protocol[RequestT, OutcomeT]):
    def run(self, request: RequestT, watcher: Watcher) -> OutcomeT: ...


def run_job(
    kind: Callable[[Stores, Calendar, LocalDays, Path, Clock], _Job[RequestT, OutcomeT]],
    request: RequestT,
    reading: ReadingOptions,
    stores: Stores,
    settings: Settings,
    as_json: bool,
) -> OutcomeT:
    """Run a job of `kind`, with a progress bar if standard error is a terminal.

    :param reading: see `jobs.cli.advice.advised`.
    """
    if not is_compiled():
        print_message("Compiling the decoders, which happens once and takes five to fifteen seconds.")
    calendar, local_days = calendar_named(settings.calendar), LocalDays(settings.time_zone)
    job = kind(stores, calendar, local_days, settings.quarantine_dir, wall_clock_ms)
    watcher = (Silent if as_json or not sys.stderr.isatty() else Bar)(ignore_signals)
    with watcher, advised(reading, settings):
        return job.run(request, watcher)


def print_counts(
    counts: Counts,
    rejects_by_reason: dict[str, int],
    quarantine: object | None,
    rejects_kept: int | None,
    warnings: tuple[str, ...],
) -> None:
    """Print the numbers of counted, rejected and skipped documents."""
    typer.echo(
        f"Counted {counts.counted:,}, rejected {counts.rejected:,}, filtered out {counts.filtered:,}, "
        f"out of range {counts.out_of_range:,}."
    )
    for reason, count in sorted(rejects_by_reason.items()):
        typer.echo(f"  {count:,} rejected: {reason}")
    if counts.rejected:
        typer.echo(f"{describe_quarantine(quarantine, rejects_kept, counts.rejected)}.")
    for warning in warnings:
        print_message(f"{warning}.", "warning")
