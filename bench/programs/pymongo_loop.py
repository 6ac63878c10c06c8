"""The loop over decoded documents that the original uses."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bson

from bench.programs import TEHRAN_MS, Row, Totals

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_OFFSET = timedelta(milliseconds=TEHRAN_MS)


def totals(path: Path) -> Totals:
    """A dictionary of [sum, count] by merchant and day."""
    groups: dict[tuple[bson.ObjectId, int], list[int]] = {}
    with path.open("rb") as file:
        for document in bson.decode_file_iter(file):
            day = (document["createdAt"] + _OFFSET - _EPOCH).days
            group = groups.setdefault((document["merchantId"], day), [0, 0])
            group[0] += document["amount"]
            group[1] += 1
    return lambda: _rows(groups)


def _rows(groups: dict[tuple[bson.ObjectId, int], list[int]]) -> Iterable[Row]:
    return ((str(merchant), day, amount, count) for (merchant, day), (amount, count) in groups.items())
