"""Invalid UTF-8 in documents of a server is handled as in a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from bson import DatetimeMS
from decoded import Decoded
from live_collections import (
    EAGER,
    START_MS,
    BreakingNetwork,
    Document,
    amounts,
    collection_at,
    fill,
    read_at,
    transaction,
)
from mongo_proxy import MongoProxy

from jobs.decode.plan import Fields
from jobs.sources.live.times import TimeRange

COUNT = 60
STORED, SHOWN = b"Wxyz", b"\xff\xfe\xfd\xfc"
FIELDS = Fields(where=(("status", "paid"),))
OPTIONS = replace(EAGER, cursors=1, batch_documents=10)


@pytest.fixture
def proxy(mongo_database_url: str) -> Iterator[MongoProxy]:
    """A way to the server on which "Wxyz" is no UTF-8: FerretDB keeps documents as JSON, which has no such text."""
    with MongoProxy(mongo_database_url) as proxy:
        proxy.replace(STORED, SHOWN)
        yield proxy


def odd(number: int, kind: str) -> Document:
    """Transaction `number` with such text in one place."""
    text = f"{STORED.decode()}{number:03d}"
    document = {"_id": f"{number:03d}"} | transaction(number, status="paid")
    changes: dict[str, Document] = {
        "none": {},
        "_id": {"_id": f"{number:03d}{text}"},
        "_id in a document": {"_id": {"a": number, "b": text}},
        "time": {"createdAt": text},
        "merchant": {"merchantId": text},
        "where": {"status": text},
    }
    return document | changes[kind]


COUNTED = ("_id", "_id in a document")
REJECTED = {"time": "time", "merchant": "merchant"}
LAST_OF_ITS_BATCH, FIRST, LAST = 19, 0, COUNT - 1


@pytest.mark.parametrize("how", ["by _id", "by ranges of _id", "by time"])
@pytest.mark.parametrize("kind", ["_id", "_id in a document", "time", "merchant", "where"])
def test_a_document_with_invalid_utf_8_is_read(mongo_database_url: str, proxy: MongoProxy, kind: str, how: str) -> None:
    odd_ones = {FIRST, LAST_OF_ITS_BATCH, LAST}
    fill(mongo_database_url, [odd(i, kind if i in odd_ones else "none") for i in range(COUNT)])
    times = None
    if how == "by time":
        with collection_at(mongo_database_url) as collection:
            collection.create_index([("createdAt", 1)])
        times = [TimeRange(START_MS)]
    decoded = read_at(proxy.url, FIELDS, times, replace(OPTIONS, cursors=3 if how == "by ranges of _id" else 1))
    require(decoded, kind, odd_ones, found_by_time=how != "by time")


def require(decoded: Decoded, kind: str, odd_ones: set[int], *, found_by_time: bool) -> None:
    usual = [i for i in range(COUNT) if i not in odd_ones]
    assert amounts(decoded) == (list(range(COUNT)) if kind in COUNTED else usual)
    assert decoded.counts.filtered == (len(odd_ones) if kind == "where" else 0)
    read_at_all = kind in REJECTED and (kind != "time" or found_by_time)
    assert [reject.field for reject in decoded.rejects] == ([REJECTED[kind]] * len(odd_ones) if read_at_all else [])
    for reject in decoded.rejects:
        assert reject.document()


@pytest.mark.parametrize("how", ["by _id", "by ranges of _id", "by time"])
def test_a_read_resumes_after_an_id_with_invalid_utf_8(mongo_database_url: str, proxy: MongoProxy, how: str) -> None:
    count = 200
    ids = [f"{STORED.decode()}{i:03d}" if i % 2 else {"a": f"{STORED.decode()}{i:03d}"} for i in range(count)]
    times = [DatetimeMS(START_MS + i // 40) for i in range(count)]
    fill(mongo_database_url, [{"_id": ids[i]} | transaction(i, createdAt=times[i]) for i in range(count)])
    ranges = None
    if how == "by time":
        with collection_at(mongo_database_url) as collection:
            collection.create_index([("createdAt", 1)])
        ranges = [TimeRange(START_MS)]
    with BreakingNetwork(proxy.url, 4_000, 2) as network:
        options = replace(OPTIONS, batch_documents=20, cursors=3 if how == "by ranges of _id" else 1)
        assert amounts(read_at(network.url, times=ranges, options=options)) == list(range(count))
        assert network.left <= 1, "it did not break often enough"
