"""``sample``: an export to try the program on."""

from __future__ import annotations

from pathlib import Path

import typer

from core.command_line import edge, print_json
from jobs.runs.signals import signals_as_errors
from jobs.sample import Sample, write_sample


def run(out: Path, transactions: int, merchants: int, seed: int, force: bool, as_json: bool) -> None:
    """Write the sample."""
    with edge(as_json), signals_as_errors():
        written = write_sample(out, Sample(transactions, merchants, seed), replace=force)
    if as_json:
        print_json({"path": str(out), "form": written.form, "bytes": written.size, "transactions": transactions})
    else:
        typer.echo(f"Wrote {transactions:,} transactions to {out} ({written.form}, {written.size:,} bytes).")
