"""Publish generation after generation until killed, printing each number once it is published: ``publisher.py URL``."""

from __future__ import annotations

import itertools
import sys

from examples import publication, uniform

from core.stores import open_stores


def main(store_url: str) -> None:
    """Publish to the store at `store_url`."""
    with open_stores(store_url, timeout_s=20) as stores:
        found = stores.summaries.published()
        for generation in itertools.count(found.generation + 1 if found else 1):
            rows = uniform(generation, merchants=400)
            stores.summaries.publish(publication(generation, rows), rows)
            print(generation, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
