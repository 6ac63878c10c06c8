"""``prune``: old files of rejects, runs and publications are removed."""

from __future__ import annotations

from typing import Final

import typer

from core.command_line import edge, print_json, settings_and_store
from core.instants import iso_instant, to_the_second
from core.stores import wall_clock_ms
from jobs.prune import find_prunable, remove
from jobs.runs.signals import signals_as_errors

_DAY_MS: Final = 86_400_000


def run(older_than_days: int, dry_run: bool, store_url: str | None, as_json: bool) -> None:
    """Remove what is so many days old; with `dry_run` only say what that would be."""
    with edge(as_json), signals_as_errors():
        settings, stores = settings_and_store(store_url, create=False)
        with stores:
            before_ms = wall_clock_ms() - older_than_days * _DAY_MS
            prunable = find_prunable(stores, settings.quarantine_dir, before_ms)
            if not dry_run:
                remove(stores, prunable)
        if as_json:
            counts = {"files": len(prunable.files), "bytes": prunable.size, "runs": len(prunable.runs)}
            counts["publications"] = len(prunable.publications)
            print_json({**counts, "before": iso_instant(before_ms), "dry_run": dry_run})
        else:
            typer.echo(
                f"{'Would remove' if dry_run else 'Removed'} {len(prunable.files):,} files of rejects "
                f"({prunable.size:,} bytes), "
                f"{len(prunable.runs):,} runs and {len(prunable.publications):,} publications of before "
                f"{to_the_second(before_ms)}."
            )
