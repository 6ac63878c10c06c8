"""A loop over decoded documents, as in a usual script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson

from bench.programs import TEHRAN_MS, Totals

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_OFFSET = timedelta(milliseconds=TEHRAN_MS)


def totals(path: Path) -> Totals:
    """A dictionary of [sum, count] by merchant and day."""
    with path.open("rb") as file:
        return totals_of(bson.decode_file_iter(file))


def totals_of(documents: Iterable[Mapping[str, Any]]) -> Totals:
    """The same of decoded documents, all of which are read when this returns."""
    groups: dict[tuple[bson.ObjectId, int], list[int]] = {}
    for document in documents:
        day = (document["createdAt"] + _OFFSET - _EPOCH).days
        group = groups.setdefault((document["merchantId"], day), [0, 0])
        group[0] += document["amount"]
        group[1] += 1
    return lambda: ((str(merchant), day, amount, count) for (merchant, day), (amount, count) in groups.items())
