"""Documents without a valid date: a rebuild or check of some days rejects them, a refresh counts them."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, DatetimeMS, ObjectId, Regex, Timestamp
from live_shop import Document, FirstRefresh, JobRunner
from mongo_proxy import MongoProxy
from pymongo import MongoClient
from transactions import published_rows, spread, write_bson

from bench.mongo_urls import database_of
from core.errors import TooManyRejects
from core.stores.runs import Run, RunStatus
from jobs.decode.plan import Fields
from jobs.partitions import counting
from jobs.sources.live.collection import open_collection
from jobs.sources.live.connecting import AS_STORED
from jobs.sources.live.times import TimeRange

pytest_plugins = ["refreshing_fixtures"]

FORTY_DAYS = spread(["a", 7], days=40, first=date(2024, 2, 12))
SOME_DAYS: dict[str, Any] = {"first_key": "1402/12/10", "last_key": "1402/12/19"}
INSIDE, OUTSIDE = datetime(2024, 3, 2, 12, tzinfo=UTC), datetime(2024, 2, 14, 12, tzinfo=UTC)
NO_DAY: list[Any] = [
    None, "2024-03-02", 5, 2.5, True, ObjectId(), Binary(b"x"), Timestamp(1, 2), Regex("x"), {"a": INSIDE}, [],
    [INSIDE], [INSIDE, "x"], ["x"], [OUTSIDE, None], DatetimeMS(2**52), DatetimeMS(-(2**52)),
]  # fmt: skip


def undated_documents(**more: Any) -> list[Document]:
    """A document for each of `NO_DAY`, and one without a time."""
    base = {"merchantId": "a", "amount": 1, "where": {"time": INSIDE}} | more
    return [{"_id": f"no day {i}"} | base | {"createdAt": one} for i, one in enumerate(NO_DAY)] + [
        {"_id": "no time"} | base
    ]


@pytest.fixture(params=["index", "no index"])
def filled(runner: JobRunner, first_refresh: FirstRefresh, tmp_path: Path, request: pytest.FixtureRequest) -> JobRunner:
    """A shop of `FORTY_DAYS`, refreshed an hour ago; the first refresh does not ask for an index."""
    if request.param == "index":
        runner.shop.index()
    runner.shop.insert(*FORTY_DAYS)
    first_refresh(runner, tmp_path / "summaries.db")
    runner.now += timedelta(hours=1)
    return runner


def test_a_rebuild_of_some_days_queries_only_those_days(filled: JobRunner) -> None:
    late = filled.shop.insert(*spread(["late"], days=40, first=date(2024, 2, 12)))
    run = filled.rebuild(**SOME_DAYS).run
    assert (run.counts.read, run.counts.counted, run.counts.out_of_range) == (30, 30, 0)
    filled.shop.delete(*late[:17], *late[27:])
    assert published_rows(filled.stores) == filled.shop.summaries()


def test_rejects_outside_the_requested_days_do_not_fail_the_run(
    filled: JobRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have no day, and a server gives them with any days, here with one that has no others."""
    monkeypatch.setattr(counting, "_LEADING_REJECTS", 15)
    documents = [{"_id": i, "merchantId": "a", "amount": 1} for i in range(20)]
    filled.shop.collection.insert_many(documents)
    for read in (filled.rebuild, filled.verify):
        with pytest.raises(TooManyRejects, match=r"^20 of 20 documents were rejected"):
            read(first_key="1403/05/01", last_key="1403/05/01")
    export = write_bson(tmp_path / "export.bson", documents)
    with pytest.raises(TooManyRejects, match=r"^the first 15 documents of .* were all rejected for one reason"):
        filled.rebuild(sources=(export,), first_key="1403/05/01", last_key="1403/05/01")


@pytest.mark.parametrize("where", [pytest.param((), marks=pytest.mark.thorough), (("status", "paid"),)])
def test_documents_without_a_date_are_rejected_as_in_an_export(
    filled: JobRunner, tmp_path: Path, where: tuple[tuple[str, str], ...]
) -> None:
    collection = filled.shop.collection
    collection.update_many({}, {"$set": {"status": "paid"}})
    collection.insert_many([*undated_documents(status="paid"), {"_id": "open", "status": "open", "createdAt": "x"}])
    fields = Fields(where=where)
    export = write_bson(tmp_path / "export.bson", list(collection.with_options(AS_STORED).find()))
    filled.rebuild(sources=(export,), fields=fields, truncate=True, max_reject_ratio=1)
    runs: list[Run] = []
    for sources in ((export,), (filled.shop.url,)):
        with pytest.raises(TooManyRejects):
            filled.rebuild(sources=sources, fields=fields, **SOME_DAYS)
        runs.append(filled.rebuild(sources=sources, fields=fields, max_reject_ratio=1, **SOME_DAYS).run)
    of_export, of_server = runs
    assert of_server.rejects_by_reason == of_export.rejects_by_reason
    assert of_server.counts.rejected == len(undated_documents()) + (not where)
    assert of_server.counts.counted == of_export.counts.counted == 20
    assert (of_server.counts.out_of_range, of_export.counts.out_of_range) == (0, 60)
    checked = filled.verify(fields=fields, max_reject_ratio=1, **SOME_DAYS)
    assert checked.counted.rejects_by_reason == of_export.rejects_by_reason
    assert checked.drift.is_empty()


def test_the_reject_limit_for_some_days_is_relative_to_everything_published(filled: JobRunner) -> None:
    filled.shop.collection.insert_many(undated_documents()[:4])
    days: dict[str, Any] = {"first_key": "1402/12/10", "last_key": "1402/12/10"}
    assert filled.rebuild(max_reject_ratio=0.05, **days).run.counts.rejected == 4
    assert filled.verify(max_reject_ratio=0.05, **days).counted.counts.rejected == 4
    filled.now += timedelta(minutes=1)
    with pytest.raises(TooManyRejects, match="allows 3, compared with 80 published transactions"):
        filled.verify(max_reject_ratio=0.0499, **days)


def test_a_refresh_warns_of_documents_that_it_never_reads(filled: JobRunner) -> None:
    quiet = filled.refresh().run.warnings
    filled.shop.collection.insert_many(undated_documents())
    run = filled.refresh(max_reject_ratio=1).run
    (output,) = [one for one in run.warnings if one not in quiet]
    # The date far ahead is read, as a refresh reads on without end; by an index the array of one date is not found.
    never_read = len(undated_documents()) - (2 if "MONGO_URL" in os.environ else 1)
    assert output == (
        f"{never_read} documents of {filled.shop.place}.transaction were not read: they have no date within "
        "the calendar in createdAt. verify and rebuild reject them"
    )
    assert run.status is RunStatus.UNCHANGED
    assert run.counts.rejected == 1


@pytest.mark.parametrize(
    ("value", "stored"),
    [("paid", "paid"), ("7", 7), ("7", 7.0), ("true", True), ("null", None), ("0" * 24, ObjectId("0" * 24))],
)
def test_filtered_documents_without_a_date_are_not_counted(runner: JobRunner, value: str, stored: object) -> None:
    statuses: list[Document] = [{"status": stored}, {"status": "other"}, {"status": 8}, {"status": False}, {}]
    runner.shop.collection.insert_many([{"createdAt": "x"} | one for one in statuses])
    with open_collection(runner.shop.url, None) as live:
        assert live.count_undated(Fields(where=(("status", value),)), [TimeRange(0)], (0, 1)) == 1
        assert live.count_undated(Fields(), [TimeRange(0)], (0, 1)) == len(statuses)


@pytest.mark.parametrize("code", [pytest.param(13, marks=pytest.mark.thorough), 166])
def test_a_refresh_of_a_view_without_listed_indexes_warns(runner: JobRunner, code: int) -> None:
    runner.shop.index()
    runner.shop.insert(*FORTY_DAYS)
    runner.refresh()
    runner.now += timedelta(hours=1)
    runner.shop.insert(*spread(["new"], days=2, first=date(2024, 3, 22)))
    with MongoProxy(runner.shop.url) as proxy:
        proxy.refuse("listIndexes", code, "Namespace shop.transaction is a view, not a collection")
        run = runner.refresh(url=proxy.url).run
        (output,) = [one for one in run.warnings if "the previous refresh read" not in one]
        assert "it is unknown whether" in output
        assert runner.rebuild(sources=(proxy.url,), **SOME_DAYS).run.status is RunStatus.PUBLISHED
        assert runner.rebuild(sources=(proxy.url,), truncate=True).run.status is RunStatus.PUBLISHED
    assert run.counts.read < 20
    assert published_rows(runner.stores) == runner.shop.summaries()


@pytest.mark.skipif("MONGO_URL" not in os.environ, reason="FerretDB has no views: set MONGO_URL to a MongoDB")
def test_a_view_can_be_a_source(runner: JobRunner) -> None:
    runner.shop.index()
    runner.shop.insert(*FORTY_DAYS)
    client: MongoClient[Document]
    with MongoClient(runner.shop.url) as client:
        client[database_of(runner.shop.url)].create_collection("seen", viewOn="transaction", pipeline=[])
    runner.rebuild(collection="seen")
    runner.now += timedelta(hours=1)
    runner.shop.insert(*spread(["new"], days=2, first=date(2024, 3, 22)))
    run = runner.refresh(collection="seen").run
    assert "seen is a view" in run.warnings[0]
    assert published_rows(runner.stores) == runner.shop.summaries()
    assert runner.verify(collection="seen").drift.is_empty()
