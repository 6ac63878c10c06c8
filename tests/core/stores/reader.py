"""Read a store from a first line of input to the second, then print the amounts that each read gave, a read a line.

``reader.py STORE_URL``
"""

from __future__ import annotations

import sys
import threading

from core.calendar.periods import Mode
from core.stores import open_stores


def wait_for_line(ended: threading.Event) -> None:
    """Set `ended` when a line comes in."""
    sys.stdin.readline()
    ended.set()


def main(store_url: str) -> None:
    """Read the store at `store_url`."""
    sys.stdin.readline()
    ended = threading.Event()
    seen: list[list[int]] = []
    with open_stores(store_url, timeout_s=10, create=False) as stores:
        threading.Thread(target=wait_for_line, args=(ended,), daemon=True).start()
        stores.summaries.rows(Mode.DAILY)  # the first imports what it needs
        print("reading", flush=True)
        while not ended.is_set():
            seen.append([point.value for point in stores.summaries.series(Mode.DAILY, "amount", None)])
            seen.append(stores.summaries.rows(Mode.DAILY)["amount"].to_list())
    for amounts in seen:
        print(*amounts)


if __name__ == "__main__":
    main(sys.argv[1])
