"""Read a store until it has been in so many states; print how many amounts it gave, and which, at each change.

``reader.py STORE_URL STATES``
"""

from __future__ import annotations

import sys

from core.calendar.periods import Mode
from core.stores import open_stores


def main(store_url: str, states: int) -> None:
    """Read the store at `store_url`."""
    reads: list[list[int]] = []
    met: set[int] = set()
    with open_stores(store_url, timeout_s=10, create=False) as stores:
        stores.summaries.rows(Mode.DAILY)  # the first imports what it needs
        print("reading", flush=True)
        while len(met) < states:
            reads.append([point.value for point in stores.summaries.series(Mode.DAILY, "amount", None)])
            reads.append(stores.summaries.rows(Mode.DAILY)["amount"].to_list())
            met.add(max(reads[-1], default=0))
    before = ""
    for amounts in reads:
        line = " ".join(map(str, [len(amounts), *sorted(set(amounts))]))
        if line != before:  # few lines: nobody may be reading them yet
            print(line)
        before = line


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
