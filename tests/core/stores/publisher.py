"""Publish generation after generation until killed, printing each number once it is published.

``publisher.py URL [amend]``
"""

from __future__ import annotations

import itertools
import sys

from examples import publication, uniform

from core.calendar.periods import Mode
from core.stores import open_stores
from core.stores.summaries import KeyRange

DAYS = KeyRange(Mode.DAILY, "1403/01/01", "1403/12/30")


def main(store_url: str, how: str = "publish") -> None:
    """Publish to the store at `store_url`, or amend all that it holds."""
    with open_stores(store_url, timeout_s=20) as stores:
        found = stores.summaries.published()
        for generation in itertools.count(found.generation + 1 if found else 1):
            rows = uniform(generation, merchants=400)
            if how == "amend":
                stores.summaries.amend(publication(generation, rows), rows, [DAYS])
            else:
                stores.summaries.publish(publication(generation, rows), rows)
            print(generation, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
