"""Begins a run at a first line of input, prints the result, and stays alive until the second: ``beginner.py URL``."""

from __future__ import annotations

import sys

from examples import run

from core.errors import RunHeld
from core.stores import open_stores, wall_clock_ms


def main(store_url: str) -> None:
    """Begin a run in the store at `store_url`."""
    print("ready", flush=True)
    sys.stdin.readline()
    with open_stores(store_url, timeout_s=20) as stores:
        try:
            print("began", stores.runs.begin(run(at_ms=wall_clock_ms())).id, flush=True)
        except RunHeld as error:
            print("held:", error.sentence, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1])
