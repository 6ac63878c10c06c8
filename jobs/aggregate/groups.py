"""The compiled group-by: sums and counts by merchant and day, updated row by row.

A sum has two halves, so that it needs no overflow check: an amount is high * 2**32 + low with -2**31 <= high < 2**31
and 0 <= low < 2**32. After n additions both halves are below n * 2**32 in size, which fits int64 up to n = `MAX_ROWS`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.decode.jit import Int, Int32s, Int64s, helper, kernel

MAX_ROWS: Final = 2**30
"""The most rows that may be added to one table."""
EMPTY: Final = 0
KEY: Final = 0
COUNT: Final = 1
HIGH: Final = 2
LOW: Final = 3

_DAY_MS: Final = 86_400_000
_DAY_ZERO: Final = 2**31  # added to days, so that the keys of days before 1970 are positive
_LOW_HALF: Final = 0xFFFFFFFF
_END_OF_TIME: Final = 2**63 - 1
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


def codes_and_days(keys: Int64s) -> tuple[Int64s, Int64s]:
    """The merchant codes and days of the keys of used cells."""
    return keys >> 32, (keys & _LOW_HALF) - _DAY_ZERO


@helper
def _bucket(key: Int, mask: np.uint64) -> np.uint64:
    hash_ = np.uint64(key) * _MIX
    return (hash_ >> np.uint64(32)) & mask


@helper
def _find_cell(cells: Int64s, key: Int) -> Int:
    """The index of the cell with `key`, or of the empty cell to insert it."""
    mask = np.uint64(cells.shape[0] - 1)
    bucket = _bucket(key, mask)
    while cells[bucket, KEY] != EMPTY and cells[bucket, KEY] != key:
        bucket = (bucket + np.uint64(1)) & mask
    return np.int64(bucket)


@kernel
def add_rows(
    first: Int,
    codes: Int32s,
    amounts: Int64s,
    instants: Int64s,
    starts_ms: Int64s,
    days: Int64s,
    cells: Int64s,
    capacity: Int,
) -> tuple[Int, Int]:
    """Add rows from `first` on: (number of rows added, number of cells that they filled).

    Stops early at a row that needs a new cell after `capacity` cells were filled.

    :param starts_ms: ascending; from ``starts_ms[i]`` on the local day is ``days[i]``. No instant precedes the first.
    :param cells: a hash table of shape (power of two, 4): `KEY`, `COUNT`, `HIGH`, `LOW`.
    """
    used = 0
    last = starts_ms.size - 1
    segment = 0
    segment_start = starts_ms[0]
    segment_end = segment_start  # empty, so that the first row searches
    for row in range(first, codes.size):
        instant = instants[row]
        # Transactions are mostly in the order of time, so most have the day of the previous one.
        if instant < segment_start or instant >= segment_end:
            segment = min(max((instant - starts_ms[0]) // _DAY_MS, 0), last)
            while starts_ms[segment] > instant:
                segment -= 1
            while segment < last and starts_ms[segment + 1] <= instant:
                segment += 1
            segment_start = starts_ms[segment]
            segment_end = starts_ms[segment + 1] if segment < last else _END_OF_TIME
        key = np.int64(codes[row]) << 32 | (days[segment] + _DAY_ZERO)
        cell = _find_cell(cells, key)
        if cells[cell, KEY] == EMPTY:
            if used == capacity:
                return row - first, used
            used += 1
            cells[cell, KEY] = key
        amount = amounts[row]
        cells[cell, COUNT] += 1
        cells[cell, HIGH] += amount >> 32
        cells[cell, LOW] += amount & _LOW_HALF
    return codes.size - first, used


@kernel
def move_cells(previous: Int64s, new: Int64s) -> None:
    """Copy every used cell of `previous` into the larger, empty table `new`."""
    for i in range(previous.shape[0]):
        if previous[i, KEY] != EMPTY:
            cell = _find_cell(new, previous[i, KEY])
            for column in range(4):
                new[cell, column] = previous[i, column]
