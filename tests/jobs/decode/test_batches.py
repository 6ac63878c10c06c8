"""Decoding in batches of bounded size."""

from __future__ import annotations

from collections.abc import Callable

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from bson.json_util import dumps
from decoded import read_as_file
from effort import COMPILED

from jobs.decode import decoder
from jobs.decode.classify import Window
from jobs.decode.plan import Fields

COUNT = 300 if COMPILED else 60
DOCUMENTS = [
    {
        "merchantId": f"merchant {i}",
        "amount": i if i % 3 else None,
        "createdAt": DatetimeMS(i),
        "status": "new"[: i % 4],
    }
    for i in range(COUNT)
]


def as_bson() -> bytes:
    return b"".join(map(bson.encode, DOCUMENTS))


def as_json_lines() -> bytes:
    return "\n".join(map(dumps, DOCUMENTS)).encode()


def as_json_array() -> bytes:
    return f"[{','.join(map(dumps, DOCUMENTS))}]".encode()


def as_csv() -> bytes:
    rows = [
        f"{d['merchantId']},{'' if d['amount'] is None else d['amount']},1970-01-01T00:00:00.{i:03d}Z,{d['status']}\n"
        for i, d in enumerate(DOCUMENTS)
    ]
    return ("merchantId,amount,createdAt,status\n" + "".join(rows)).encode()


FORMATS = pytest.mark.parametrize("write", [as_bson, as_json_lines, as_json_array, as_csv])


@FORMATS
@pytest.mark.parametrize(("rows", "rejects"), [(1, 4096), (7, 4096), (32_768, 1), (10, 10)])
def test_the_batch_size_does_not_change_the_result(
    write: Callable[[], bytes], rows: int, rejects: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_as_file(write())
    monkeypatch.setattr(decoder, "ROWS", rows)
    monkeypatch.setattr(decoder, "REJECTS", rejects)
    found = read_as_file(write())
    assert found.rows == whole.rows == [(f"merchant {i}", i, i) for i in range(COUNT) if i % 3]
    assert found.counts == whole.counts
    assert [(r.position, r.unit) for r in found.rejects] == [(r.position, r.unit) for r in whole.rejects]
    assert len(found.rejects) == COUNT // 3


@FORMATS
def test_filtered_and_out_of_range_rows_are_counted(write: Callable[[], bytes]) -> None:
    found = read_as_file(write(), Fields(where=(("status", "ne"),)), window=Window(0, 2**40, COUNT // 9, COUNT // 2))
    chosen = range(2, COUNT, 4)
    assert found.counts.filtered == COUNT - len(chosen)
    assert found.counts.out_of_range == len([i for i in chosen if not COUNT // 9 <= i < COUNT // 2])
    assert [amount for _, amount, _ in found.rows] == [i for i in chosen if COUNT // 9 <= i < COUNT // 2 and i % 3]
