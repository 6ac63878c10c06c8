"""Exports more and more days in one process: ``python export_memory.py STORE_URL FORMAT FOLDER LAST_KEY…``.

``folder`` as FORMAT is partitioned Parquet. Prints as JSON the peak of the memory, in KiB, after each export.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from core.calendar.periods import Mode
from core.stores import open_stores
from jobs.export import ExportRequest, Format, export


def _peak_kib() -> int:
    """Since the process began its program; ``ru_maxrss`` includes what it was forked from."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])


def main(store_url: str, form: str, folder: str, *last_keys: str) -> None:
    """Export up to each of `last_keys`."""
    is_folder = form == "folder"
    peaks = []
    with open_stores(store_url, timeout_s=10, create=False) as stores:
        for number, key in enumerate(last_keys):
            out = f"{folder}/{form}-{number}"
            kind = Format.PARQUET if is_folder else Format(form)
            request = ExportRequest(out, kind, Mode.DAILY, last_key=key, partitioned=is_folder)
            export(stores.summaries, request, lambda _: None)
            peaks.append(_peak_kib())
    print(json.dumps(peaks))


if __name__ == "__main__":
    main(*sys.argv[1:])
