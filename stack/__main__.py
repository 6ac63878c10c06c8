"""The command line: ``python -m stack``.

Exit codes: 0 stopped by Ctrl-C or a signal, 1 a program ended by itself or could not start, 2 usage.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":
    # Until the programs are started, Ctrl-C ends this one by itself: no traceback out of the middle of an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from pathlib import Path
from typing import Annotated

import typer

from core.command_line import Version, command_group, edge


def run(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the API; 0 for any free port.")] = 8000,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port of the worker's metrics. [default: the next one]")
    ] = None,
    data: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder of the store, the queue and quarantine files.")
    ] = Path("run-data"),
    as_json: Annotated[bool, typer.Option("--json", help="Print log lines unchanged.")] = False,
    version: Version = False,
) -> None:
    """Run the API, a worker, beat and Redis on loopback until Ctrl-C.

    The store is an SQLite file in the folder of --data, unless STORE_URL is set. Other settings also apply.
    """
    from stack.service import serve

    with edge():
        code = serve(port, metrics_port, data, as_json=as_json)
    raise typer.Exit(code)


if __name__ == "__main__":
    app = command_group("")
    app.command(name="python -m stack")(run)
    app()
