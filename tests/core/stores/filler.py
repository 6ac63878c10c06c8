"""Publish more than a limit on the size of files allows; print the error and what is still read: ``filler.py URL``."""

from __future__ import annotations

import resource
import sys

from examples import publication, uniform

from core.calendar.periods import Mode
from core.errors import StoreUnavailable
from core.stores import open_stores

LIMIT_BYTES = 1_000_000


def main(store_url: str) -> None:
    """Publish to the store at `store_url`."""
    with open_stores(store_url, timeout_s=20) as stores:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
        rows = uniform(2, merchants=3_000)
        try:
            stores.summaries.publish(publication(2, rows), rows)
        except StoreUnavailable as error:
            print(error.sentence)
            print(error.hint)
        print({point.value for point in stores.summaries.series(Mode.DAILY, "amount", None)})


if __name__ == "__main__":
    main(sys.argv[1])
