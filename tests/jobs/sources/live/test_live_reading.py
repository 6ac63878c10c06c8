"""Live collections: every document is read once, whatever its `_id`, also during writes."""

from __future__ import annotations

import os
import threading

import pytest
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from counted import count_all
from decoded import EVER
from live_collections import EAGER, amounts, collection_at, fill, instant, read, read_at, transaction

from core.errors import SourceError
from jobs.decode.plan import Fields
from jobs.sources.chunks import Buffer
from jobs.sources.live.collection import open_collection, open_live
from jobs.sources.live.options import LiveOptions
from jobs.sources.partition import ReadOptions
from jobs.sources.url import redacted_url

REAL = bool(os.environ.get("MONGO_URL"))

ONE_OF_EACH_TYPE = [
    ObjectId(), 5, Int64(2**40), 2.5, -7, "", "a", "تراکنش", instant(2020, 1, 1), DatetimeMS(-(2**60)),
    Binary(b"x" * 16, 4), Binary(b"y"), Binary(b"yz", 128), True, False, None, {"a": 1}, {"a": 2, "b": "x"},
    Timestamp(1, 2),
]  # fmt: skip
ONLY_ON_MONGODB = [float("nan"), float("inf"), Decimal128("1.5"), MinKey(), MaxKey(), Code("f"), Code("g", {"a": 1})]


@pytest.mark.parametrize("cursors", [1, 3])
def test_documents_with_every_type_of_id_are_read_once(mongo_database_url: str, cursors: int) -> None:
    ids = ONE_OF_EACH_TYPE + (ONLY_ON_MONGODB if REAL else [])
    fill(mongo_database_url, [{"_id": one} | transaction(i) for i, one in enumerate(ids)])
    options = LiveOptions(cursors=cursors, batch_documents=2, split_from=1)
    assert amounts(read_at(mongo_database_url, options=options)) == list(range(len(ids)))


@pytest.mark.parametrize(
    "ids",
    [
        [ObjectId() for _ in range(200)],
        [i * 1.5 if i % 3 else i - 100 for i in range(200)],
        [f"t{i}" for i in range(200)],
        [Binary(os.urandom(16), 4) for _ in range(200)],
        [{"shop": i % 2, "number": i} for i in range(200)],
        [i if i % 2 else f"{i}" for i in range(200)],
    ],
    ids=["ObjectId", "number", "string", "UUID", "document", "mixed"],
)
def test_ranges_of_ids_meet_without_gap_or_overlap(mongo_database_url: str, ids: list[object]) -> None:
    fill(mongo_database_url, [{"_id": one} | transaction(i) for i, one in enumerate(ids)])
    with open_collection(mongo_database_url, None, EAGER) as live:
        decoded, warnings = read(live)
    assert amounts(decoded) == list(range(200))
    assert warnings == ()


def test_documents_inserted_during_a_run_cause_no_loss_or_duplicate(
    mongo_database_url: str,
) -> None:
    count = 300
    fill(mongo_database_url, [{"_id": i} | transaction(i) for i in range(count)])
    stop = threading.Event()

    def write() -> None:
        with collection_at(mongo_database_url) as collection:
            number = count
            while not stop.is_set():
                collection.insert_many(
                    [{"_id": one} | transaction(number + i) for i, one in enumerate((number, -number, f"{number}"))]
                )
                number += 3
                stop.wait(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for cursors in (1, 3):
            options = LiveOptions(cursors=cursors, batch_documents=20, split_from=1)
            with open_collection(mongo_database_url, None, options) as live:
                decoded, _ = read(live)
            found = amounts(decoded)
            assert len(found) == len(set(found))
            assert set(found) >= set(range(count))
    finally:
        stop.set()
        writer.join(60)


def test_the_query_contains_filter_and_projection(mongo_database_url: str) -> None:
    documents = [
        {"pay": {"amount": i, "at": DatetimeMS(i), "note": "x" * 50}, "_id": {"merchant": f"m{i % 2}", "n": i}}
        | {"status": ["paid", "open"][i % 2], "other": "x" * 50}
        for i in range(100)
    ]
    fill(mongo_database_url, documents)
    fields = Fields("_id.merchant", "pay.amount", "pay.at", (("status", "paid"),))
    decoded = read_at(mongo_database_url, fields)
    assert decoded.rows[0][0] == "m0"
    assert amounts(decoded) == list(range(0, 100, 2))
    assert decoded.counts.filtered == 50
    with open_collection(mongo_database_url, None, EAGER) as live:
        (partition, *_) = live.source(fields).partitions
        opened = partition.open(ReadOptions(fields, EVER), threading.Event())
        chunk = opened.chunks.next(Buffer(0))
        opened.close()
    assert chunk is not None
    assert b"note" not in bytes(chunk.data[: chunk.end])
    assert b"other" not in bytes(chunk.data[: chunk.end])


def test_huge_documents_and_values_are_read(mongo_database_url: str) -> None:
    fill(mongo_database_url, [{"_id": i} | transaction(i, pad="x" * 3_000_000) for i in range(1)])
    fill(mongo_database_url, [{"_id": i} | transaction(i, merchantId="m" * 3_000_000) for i in range(1, 2)])
    decoded = read_at(mongo_database_url)
    assert amounts(decoded) == [0, 1]
    assert max(len(merchant) for merchant, _, _ in decoded.rows) == 3_000_000


@pytest.mark.parametrize("threads", [1, 3])
def test_rejects_are_quarantined_with_source_and_id(mongo_database_url: str, threads: int) -> None:
    wrong: list[dict[str, object]] = [{"amount": 1.5}, {"merchantId": None}, {"createdAt": "2024"}]
    fill(mongo_database_url, [{"_id": i} | transaction(i) | (wrong[i % 3] if i < 60 else {}) for i in range(200)])
    source = open_live(mongo_database_url, Fields(), None, EAGER)
    try:
        found = count_all([source], threads=threads)
    finally:
        source.close()
    assert sorted(reject["_id"] for reject in found.rejects) == list(range(60))
    assert len({reject["position"]["byte"] for reject in found.rejects}) == 60
    assert {reject["source"] for reject in found.rejects} == {f"{redacted_url(mongo_database_url)}.transaction"}
    assert (found.counts.read, found.counts.rejected) == (200, 60)
    assert found.daily["count"].sum() == 140


def test_the_progress_total_is_an_estimate_of_the_size(mongo_database_url: str) -> None:
    fill(mongo_database_url, [{"_id": i} | transaction(i) for i in range(300)])
    with open_collection(mongo_database_url, None, EAGER) as live:
        source = live.source(Fields())
        assert source.expected_bytes(0, 0) is None
        assert source.expected_bytes(5000, 50) == pytest.approx(30_000, rel=0.1)
        assert source.expected_bytes(50_000, 500) == pytest.approx(50_000)


def test_a_source_can_be_read_several_times(mongo_database_url: str) -> None:
    fill(mongo_database_url, [{"_id": i} | transaction(i) for i in range(100)])
    with open_collection(mongo_database_url, None, EAGER) as live:
        for _ in range(2):
            assert amounts(read(live)[0]) == list(range(100))


def test_an_invalid_field_name_is_refused_by_the_server(mongo_database_url: str) -> None:
    fill(mongo_database_url, [{"_id": i} | transaction(i) for i in range(10)])
    with pytest.raises(SourceError, match=r"transaction refuses the request: .*\$") as caught:
        read_at(mongo_database_url, Fields(amount="$amount"))
    assert "names of fields" in caught.value.hint
