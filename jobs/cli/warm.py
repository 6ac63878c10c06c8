"""``warm``: the decoders compiled before the first run."""

from __future__ import annotations

import time

import typer

from core.command_line import edge, print_json
from jobs.runs.signals import signals_as_errors
from jobs.warm import warm


def run(as_json: bool) -> None:
    """Compile what is not compiled yet."""
    began = time.monotonic()
    with edge(as_json), signals_as_errors():
        forms = warm()
    seconds = time.monotonic() - began
    if as_json:
        print_json({"forms": forms, "seconds": round(seconds, 3)})
    else:
        typer.echo(f"Ready to read {', '.join(forms)}, after {seconds:.1f} s.")
