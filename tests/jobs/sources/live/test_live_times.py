"""Live collections read between instants, with and without an index on the time; and which days were changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from bson import DatetimeMS, Timestamp
from live_collections import EAGER, START_MS, amounts, collection_at, fill, read, read_at, transaction

from bench.mongo_urls import database_of
from jobs.decode.plan import Fields
from jobs.sources.live.collection import open_collection
from jobs.sources.live.times import TimeRange

COUNT = 200


def at(second: int) -> int:
    return START_MS + 1000 * second


@pytest.fixture(params=["index", "no index"])
def url(request: pytest.FixtureRequest, mongo_database_url: str) -> str:
    """A collection of transactions one second apart, and of some whose time is none."""
    odd = [{"createdAt": one} for one in (None, 5, "2024", Timestamp(1, 2), [DatetimeMS(at(5))], {"a": 1})]
    documents = [transaction(i) for i in range(COUNT)] + [transaction(1000) | one for one in odd]
    fill(mongo_database_url, [{"_id": (i * 7919) % 1009} | one for i, one in enumerate(documents)])
    if request.param == "index":
        with collection_at(mongo_database_url) as collection:
            collection.create_index([("createdAt", 1)])
    return mongo_database_url


@pytest.mark.parametrize(
    ("ranges", "wanted"),
    [
        ([TimeRange(at(150))], range(150, COUNT)),
        ([TimeRange(at(10), at(20))], range(10, 20)),
        ([TimeRange(at(3) + 1, at(5) + 1)], range(4, 6)),
        (
            [TimeRange(at(190)), TimeRange(at(10), at(20)), TimeRange(at(15), at(25))],
            [*range(10, 25), *range(190, COUNT)],
        ),
        ([TimeRange(0)], range(COUNT)),
        ([TimeRange(at(COUNT))], []),
        ([TimeRange(at(5), at(5))], []),
        ([], []),
    ],
    ids=["open end", "closed", "between", "overlapping", "everything", "after all", "empty", "none"],
)
def test_only_dates_inside_the_ranges_are_read_once(
    url: str, ranges: Sequence[TimeRange], wanted: Sequence[int]
) -> None:
    decoded = read_at(url, times=ranges)
    assert amounts(decoded) == list(wanted)
    assert decoded.counts.read == len(wanted)


def test_an_index_on_the_time_field_is_detected(url: str, request: pytest.FixtureRequest) -> None:
    with open_collection(url, None, EAGER) as live:
        assert live.time_index_exists("createdAt") == ("no index" not in request.node.callspec.id)
        assert not live.time_index_exists("amount")


def test_an_index_must_begin_with_the_time_field(mongo_database_url: str) -> None:
    fill(mongo_database_url, [transaction(1)])
    with collection_at(mongo_database_url) as collection:
        collection.create_index([("merchantId", 1), ("createdAt", 1)])
        with open_collection(mongo_database_url, None, EAGER) as live:
            assert not live.time_index_exists("createdAt")
            collection.create_index([("createdAt", -1), ("merchantId", 1)])
            assert live.time_index_exists("createdAt")


def test_the_command_that_creates_the_index_is_quoted_correctly(mongo_database_url: str) -> None:
    fill(mongo_database_url, [transaction(1)], "pay-ments")
    with open_collection(mongo_database_url, "pay-ments", EAGER) as live:
        database = database_of(mongo_database_url)
        command = f'db.getSiblingDB("{database}").getCollection("pay-ments").createIndex({{"at.time": 1}})'
        assert live.create_index_command("at.time") == command


@pytest.mark.parametrize("path", ["createdAt", "at.created"])
def test_the_times_of_changed_documents_are_reported(mongo_database_url: str, path: str) -> None:
    nest: Callable[[DatetimeMS], dict[str, object]] = (
        (lambda time: {"createdAt": time}) if path == "createdAt" else (lambda time: {"at": {"created": time}})
    )
    documents = [transaction(i) | nest(DatetimeMS(at(i // 2))) | {"updatedAt": DatetimeMS(at(i))} for i in range(90)]
    documents += [transaction(1) | {"updatedAt": DatetimeMS(at(89)), "createdAt": None, "at": 5}]
    documents += [transaction(1) | {"updatedAt": one} for one in (None, "x", 2**50, [DatetimeMS(at(89))])]
    fill(mongo_database_url, documents)
    options = EAGER.__class__(cursors=1, batch_documents=10)
    with open_collection(mongo_database_url, None, options) as live:
        found = list(live.changed_since("updatedAt", path, at(51)))
        assert list(live.changed_since("updatedAt", path, at(1000))) == []
    assert max(map(len, found)) <= 10
    assert {one for batch in found for one in batch} == {at(i) for i in range(25, 45)}


def test_a_nested_time_field_is_searched_too(mongo_database_url: str) -> None:
    fill(mongo_database_url, [transaction(i) | {"at": {"time": DatetimeMS(at(i))}} for i in range(50)])
    for index in (False, True):
        if index:
            with collection_at(mongo_database_url) as collection:
                collection.create_index([("at.time", 1)])
        with open_collection(mongo_database_url, None, EAGER) as live:
            decoded, _ = read(live, Fields(time="at.time"), [TimeRange(at(40))])
        assert amounts(decoded) == list(range(40, 50))
