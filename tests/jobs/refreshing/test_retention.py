"""Retention: published days whose documents were purged are kept, or stop the run; none is removed silently."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import json_util
from live_shop import FirstRefresh, JobRunner, Shop, difference, drift_of
from pymongo import MongoClient
from pymongo.database import Database
from rebuilding import AtPhase
from transactions import Rows, Transaction, published_rows, spread, summaries_of, write_bson

from core.errors import NothingCounted, SourceError, WouldShrink, exit_code_of
from core.stores import Stores, open_stores
from core.stores.runs import RunStatus
from jobs.decode.plan import Fields
from jobs.publish.shrinking import LossLimits

pytest_plugins = ["refreshing_fixtures"]

NOW = datetime(2024, 3, 23, 9, tzinfo=UTC)
"""1403/01/04."""
DAY = timedelta(days=1)
FORTY_DAYS = spread(["a", 7], days=40, first=date(2024, 2, 13))
"""From 1402/11/24 to 1403/01/03, the day before `NOW`."""
PURGED_UNTIL = datetime(2024, 3, 13, 12, 30, tzinfo=UTC)
"""In the afternoon of 1402/12/23, after its documents: the oldest that is left is of the day after."""


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


@pytest.fixture
def runner(stores: Stores, shop: Shop, tmp_path: Path) -> JobRunner:
    """The jobs, at `NOW`, on every backend."""
    shop.index()
    return JobRunner(stores, shop, tmp_path, NOW)


@pytest.fixture
def on_sqlite(sqlite_stores: Stores, shop: Shop, first_refresh: FirstRefresh, tmp_path: Path) -> JobRunner:
    """The jobs at `NOW` over a shop of `FORTY_DAYS` that was refreshed."""
    shop.index()
    shop.insert(*FORTY_DAYS)
    runner = JobRunner(sqlite_stores, shop, tmp_path, NOW)
    first_refresh(runner, tmp_path / "summaries.db")
    return runner


def purge(runner: JobRunner, before: datetime = PURGED_UNTIL) -> None:
    """Delete what a TTL index would have deleted by now."""
    assert runner.shop.collection.delete_many({"createdAt": {"$lt": before}}).deleted_count


def many(at: datetime, number: int, merchant: str = "many") -> list[Transaction]:
    return [Transaction(merchant, 100 + i, at + timedelta(seconds=i)) for i in range(number)]


def kept_with(runner: JobRunner, history: Sequence[Transaction], until: datetime) -> Rows:
    """What is published when the days up to that of `until` are kept from `history`, and the others are the shop's."""
    protected = [one for one in history if one.at.date() <= until.date()]
    return summaries_of([*protected, *(one for one in runner.shop.transactions() if one.at.date() > until.date())])


def export(path: Path, transactions: Sequence[Transaction]) -> str:
    """Write a file as mongoexport does."""
    path.write_text("".join(f"{json_util.dumps(one.document())}\n" for one in transactions))
    return str(path)


@pytest.mark.parametrize("how", [{"first_key": "1402/11/24", "last_key": "1403/01/03"}, {"truncate": True}])
def test_published_history_survives_refreshes_after_a_purge(
    runner: JobRunner, tmp_path: Path, how: dict[str, Any]
) -> None:
    """It was loaded from an export; the collection has the last thirty days, of the first of which only a part."""
    old = [*FORTY_DAYS, *many(datetime(2024, 2, 22, 6, tzinfo=UTC), 30)]
    live_from = datetime(2024, 2, 22, 6, 0, 10, tzinfo=UTC)
    recent = [Transaction("new", 5, NOW), *spread(["a"], days=2, first=date(2024, 3, 22), amount=9)]
    runner.rebuild(sources=(export(tmp_path / "old.jsonl", old),), **how)
    runner.shop.insert(*(one for one in old if one.at >= live_from), *recent)
    outcome = runner.refresh()
    expected = kept_with(runner, old, live_from)
    assert published_rows(runner.stores) == expected
    if outcome.plan is None:
        assert outcome.run.days_kept == 10
        assert "10 day(s) from 1402/11/24 to 1402/12/03 keep their 50 published" in outcome.run.warnings[0]
    assert runner.refresh().run.status is RunStatus.UNCHANGED
    assert published_rows(runner.stores) == expected


def test_history_that_ends_before_the_collection_is_kept(runner: JobRunner, tmp_path: Path) -> None:
    runner.rebuild(sources=(export(tmp_path / "old.jsonl", FORTY_DAYS),), truncate=True)
    runner.now += 20 * DAY
    recent = spread(["b"], days=10, first=date(2024, 4, 2))
    runner.shop.insert(*recent)
    outcome = runner.refresh()
    assert published_rows(runner.stores) == summaries_of([*FORTY_DAYS, *recent])
    assert (outcome.run.days_kept, outcome.run.days_changed) == (4, 10)


def forget(store_url: str, *, runs: bool) -> None:
    """Remove the bookmark of a store."""
    if store_url.startswith("sqlite"):
        with closing(sqlite3.connect(store_url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute("UPDATE summary_publications SET complete_until_ms = NULL")
            connection.execute(f"DELETE FROM summary_runs WHERE {int(runs)}")
        return
    client: MongoClient[dict[str, Any]]
    with MongoClient(store_url) as client:
        store: Database[dict[str, Any]] = client.get_default_database()
        store["summary_publications"].update_many({}, {"$unset": {"complete_until": True}})
        if runs:
            store["summary_runs"].delete_many({})


@pytest.mark.parametrize("unknown", ["a clock that was ahead", "a store of an earlier version", "no ledger"])
def test_without_a_bookmark_purged_days_keep_their_totals(runner: JobRunner, unknown: str, store_url: str) -> None:
    """The week and the month of the oldest day hold days that are kept and days that are replaced."""
    runner.shop.insert(*FORTY_DAYS)
    runner.refresh()
    history = runner.shop.transactions()
    purge(runner)
    match unknown:
        case "a clock that was ahead":
            runner.now += timedelta(minutes=10)
            runner.refresh()
            runner.now -= timedelta(minutes=10)
        case "no ledger":
            forget(store_url, runs=True)
        case _:
            forget(store_url, runs=False)
    runner.shop.insert(Transaction("late", 3, NOW - 9 * DAY), Transaction("new", 4, NOW))
    outcome = runner.refresh()
    assert outcome.plan is None
    assert published_rows(runner.stores) == kept_with(runner, history, PURGED_UNTIL)
    assert (outcome.run.days_kept, outcome.run.days_changed) == (30, 2)
    assert runner.stores.runs.recent(1)[0] == outcome.run


@pytest.mark.parametrize("look_back_days", [3, 100])
def test_an_emptied_collection_fails_and_changes_nothing(runner: JobRunner, look_back_days: int) -> None:
    runner.shop.insert(*FORTY_DAYS)
    before = runner.refresh().publication
    runner.shop.collection.delete_many({})
    for limits in (LossLimits(), LossLimits(allow_shrink=True)):
        with pytest.raises(NothingCounted, match=r"^nothing was counted: there are no documents$") as refusal:
            runner.refresh(look_back_days=look_back_days, loss_limits=limits)
        assert exit_code_of(refusal.value) == 1
    assert runner.stores.summaries.published() == before
    assert published_rows(runner.stores) == summaries_of(FORTY_DAYS)
    assert runner.stores.runs.recent(1)[0].status is RunStatus.FAILED


def test_an_emptied_collection_fails_even_if_the_read_days_are_unpublished(
    on_sqlite: JobRunner,
) -> None:
    on_sqlite.now += 90 * DAY
    on_sqlite.refresh()
    on_sqlite.shop.collection.delete_many({})
    with pytest.raises(NothingCounted):
        on_sqlite.refresh()


def test_a_collection_without_counted_documents_fails_like_an_empty_one(on_sqlite: JobRunner) -> None:
    on_sqlite.shop.collection.update_many({}, {"$set": {"amount": "much"}})
    on_sqlite.now += DAY
    with pytest.raises(NothingCounted, match=r"^nothing was counted: of 8 documents 8 rejected$"):
        on_sqlite.refresh(max_reject_ratio=1, look_back_days=3)
    assert published_rows(on_sqlite.stores) == summaries_of(FORTY_DAYS)


def test_a_dropped_collection_fails(runner: JobRunner) -> None:
    runner.shop.insert(*FORTY_DAYS)
    before = runner.refresh().publication
    runner.shop.collection.drop()
    with pytest.raises(SourceError, match="has no collection transaction"):
        runner.refresh()
    assert runner.stores.summaries.published() == before


def test_a_later_day_that_shrinks_too_much_stops_the_run_until_allowed(runner: JobRunner) -> None:
    """Although the days that are read have no older document: the whole collection has."""
    noon = datetime(2024, 3, 21, 12, tzinfo=UTC)
    runner.shop.insert(*FORTY_DAYS[:20], *many(noon, 40))
    before = runner.refresh().publication
    runner.shop.collection.delete_many({"amount": {"$lt": 125}, "merchantId": "many"})
    runner.shop.insert(Transaction("new", 1, NOW))
    with pytest.raises(WouldShrink, match=r": 1403/01/02 \(40 published, 15 counted\)$") as refusal:
        runner.refresh()
    assert exit_code_of(refusal.value) == 5
    assert "The oldest valid document is of 1402/11/24" in refusal.value.hint
    assert runner.stores.summaries.published() == before
    run = runner.stores.runs.recent(1)[0]
    assert (run.status, run.error, run.generation) == (RunStatus.FAILED, refusal.value.sentence, None)
    outcome = runner.refresh(loss_limits=LossLimits(allow_shrink=True))
    assert published_rows(runner.stores) == runner.shop.summaries()
    lost = "1 day(s) lost 25 published transactions: 1403/01/02 (40 published, 15 counted)"
    assert (outcome.run.days_kept, outcome.run.warnings) == (0, (lost,))


@pytest.mark.parametrize(("look_back_days", "emptied"), [(3, 2), (90, 58)])
def test_one_stray_old_document_does_not_allow_gradual_loss_of_days(
    runner: JobRunner, tmp_path: Path, look_back_days: int, emptied: int
) -> None:
    """Sixty days with 15 transactions each are published; the collection has the last two, and a stray document."""
    history = spread(["a", "b", "c", 4, 5] * 3, days=60, first=date(2024, 1, 23))
    runner.rebuild(sources=(export(tmp_path / "old.jsonl", history),), truncate=True)
    before = published_rows(runner.stores)
    runner.shop.insert(*history[-30:], Transaction("stray", 1, datetime(2022, 5, 1, tzinfo=UTC)))
    with pytest.raises(WouldShrink, match=rf"^{emptied} day\(s\) together would lose {15 * emptied}, more than 0.1 of"):
        runner.refresh(look_back_days=look_back_days)
    assert published_rows(runner.stores) == before
    with pytest.raises(WouldShrink, match=r"^58 day\(s\) together would lose 870"):
        runner.verify(repair=True, last_key="1403/01/02")
    assert published_rows(runner.stores) == before


def test_a_smaller_loss_on_a_later_day_is_published(on_sqlite: JobRunner) -> None:
    on_sqlite.shop.collection.delete_many({"createdAt": {"$gte": datetime(2024, 3, 21, tzinfo=UTC)}})
    outcome = on_sqlite.refresh()
    assert published_rows(on_sqlite.stores) == on_sqlite.shop.summaries()
    assert (outcome.run.days_kept, outcome.run.days_changed) == (0, 3)
    assert outcome.run.warnings == (
        "3 day(s) lost 6 published transactions: 1403/01/02 (2 published, 0 counted), 1403/01/03 (2 published, 0 "
        "counted), 1403/01/04 (2 published, 0 counted)",
    )
    assert on_sqlite.stores.runs.recent(1)[0].warnings == outcome.run.warnings


def test_a_purged_day_is_replaced_once_its_count_is_not_lower(on_sqlite: JobRunner) -> None:
    """Of the oldest day one document is left: the day is kept with one and replaced with two."""
    first = on_sqlite.shop.collection.find_one(sort=[("createdAt", 1)])
    assert first is not None
    on_sqlite.shop.delete(first["_id"])
    assert on_sqlite.refresh(look_back_days=60).run.days_kept == 1
    assert published_rows(on_sqlite.stores) == summaries_of(FORTY_DAYS)
    on_sqlite.shop.insert(Transaction("restored", 1, FORTY_DAYS[0].at))
    assert on_sqlite.refresh(look_back_days=60).run.days_kept == 0
    assert published_rows(on_sqlite.stores) == on_sqlite.shop.summaries()


def test_changed_amounts_on_the_oldest_day_are_published(on_sqlite: JobRunner) -> None:
    on_sqlite.shop.collection.update_many({}, {"$set": {"amount": 3}})
    assert on_sqlite.refresh(look_back_days=60).run.days_kept == 0
    assert published_rows(on_sqlite.stores) == on_sqlite.shop.summaries()


def test_uncounted_older_documents_do_not_move_the_oldest_day(on_sqlite: JobRunner) -> None:
    """More of them than the first look has, all older than what is left; and one of another state."""
    purge(on_sqlite)
    shop = on_sqlite.shop
    shop.collection.insert_many(
        [{"merchantId": "a", "amount": "much", "createdAt": NOW - 90 * DAY + timedelta(seconds=i)} for i in range(150)]
    )
    shop.collection.insert_one({"merchantId": "a", "amount": 1, "createdAt": [NOW - 90 * DAY]})
    on_sqlite.refresh(look_back_days=60, max_reject_ratio=1)
    assert published_rows(on_sqlite.stores) == summaries_of(FORTY_DAYS)
    shop.insert(Transaction("a", 1, NOW - 80 * DAY))
    with pytest.raises(WouldShrink, match=r"^30 day\(s\) together would lose 60"):
        on_sqlite.refresh(look_back_days=60, max_reject_ratio=1)
    on_sqlite.refresh(look_back_days=60, max_reject_ratio=1, loss_limits=LossLimits(allow_shrink=True))
    kept_no_more = {key for key in published_rows(on_sqlite.stores) if key[1] == "1402/11/24"}
    assert kept_no_more == set()


def test_the_oldest_document_matches_the_filter(runner: JobRunner) -> None:
    """Documents with another state are older; those that count were purged."""
    paid, shop = Fields(where=(("status", "paid"),)), runner.shop
    shop.insert(*FORTY_DAYS, *many(datetime(2024, 3, 1, 9, tzinfo=UTC), 30), status="paid")
    shop.insert(*spread(["x"], days=3, first=date(2024, 1, 1)), status="open")
    runner.refresh(fields=paid)
    before = published_rows(runner.stores)
    shop.collection.delete_many({"status": "paid", "createdAt": {"$lt": PURGED_UNTIL}})
    outcome = runner.refresh(fields=paid, look_back_days=60)
    assert outcome.run.days_kept == 30
    assert published_rows(runner.stores) == before


def test_days_purged_during_the_read_are_kept(on_sqlite: JobRunner) -> None:
    history = on_sqlite.shop.transactions()
    purge(on_sqlite, PURGED_UNTIL - DAY)
    purging = AtPhase("checking", lambda: purge(on_sqlite))
    outcome = on_sqlite.refresh(purging, look_back_days=60)
    assert published_rows(on_sqlite.stores) == summaries_of(history)
    assert outcome.run.days_kept == 29


def test_older_days_of_changed_documents_are_kept(on_sqlite: JobRunner) -> None:
    """Their other documents were purged."""
    left = on_sqlite.shop.collection.find_one(sort=[("createdAt", 1)])
    assert left is not None
    on_sqlite.shop.collection.delete_many({"createdAt": {"$lt": PURGED_UNTIL}, "_id": {"$ne": left["_id"]}})
    on_sqlite.shop.change(left["_id"], amount=77, updatedAt=NOW)
    outcome = on_sqlite.refresh(updated_field="updatedAt")
    assert (outcome.run.status, outcome.run.days_kept) == (RunStatus.UNCHANGED, 1)
    assert published_rows(on_sqlite.stores) == summaries_of(FORTY_DAYS)


# verify


@pytest.mark.parametrize("repair", [False, True])
def test_purged_days_are_no_drift_and_are_not_repaired(runner: JobRunner, repair: bool) -> None:
    runner.shop.insert(*FORTY_DAYS)
    runner.refresh()
    history = runner.shop.transactions()
    purge(runner)
    outcome = runner.verify(repair=repair)
    assert outcome.drift.is_empty()
    assert len(outcome.protected) == 30
    assert outcome.protected["1402/11/24"][1:] == (2, 0)
    assert outcome.counted.warnings[0].startswith("30 day(s) from 1402/11/24 to 1402/12/23 keep their 60 published")
    if repair:
        run = runner.stores.runs.recent(1)[0]
        assert (run.status, run.days_kept, run.warnings) == (RunStatus.UNCHANGED, 30, outcome.counted.warnings)
    runner.shop.insert(Transaction("late", 5, NOW - 7 * DAY))
    before, after = published_rows(runner.stores), kept_with(runner, history, PURGED_UNTIL)
    assert drift_of(runner.verify(repair=repair)) == difference(before, after)
    assert published_rows(runner.stores) == (after if repair else before)


def test_a_repair_that_shrinks_too_much_stops_and_a_comparison_reports(on_sqlite: JobRunner) -> None:
    shop = on_sqlite.shop
    shop.insert(*many(datetime(2024, 3, 1, 9, tzinfo=UTC), 40))
    on_sqlite.verify(repair=True)
    before = published_rows(on_sqlite.stores)
    shop.collection.delete_many({"merchantId": "many"})
    expected = difference(before, shop.summaries())
    assert drift_of(on_sqlite.verify()) == expected
    with pytest.raises(WouldShrink, match=r": 1402/12/11 \(42 published, 2 counted\)$"):
        on_sqlite.verify(repair=True)
    assert published_rows(on_sqlite.stores) == before
    assert on_sqlite.stores.runs.recent(1)[0].status is RunStatus.FAILED
    outcome = on_sqlite.verify(repair=True, loss_limits=LossLimits(allow_shrink=True))
    assert drift_of(outcome) == expected
    assert published_rows(on_sqlite.stores) == shop.summaries()


@pytest.mark.parametrize("days", [{}, {"first_key": "1402/12/01", "last_key": "1402/12/05"}])
def test_an_emptied_source_is_not_compared(on_sqlite: JobRunner, tmp_path: Path, days: dict[str, Any]) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text("[]")
    on_sqlite.shop.collection.delete_many({})
    for sources in ((on_sqlite.shop.url,), (str(empty),)):
        for repair in (False, True):
            with pytest.raises(NothingCounted, match="there are no documents"):
                on_sqlite.verify(sources=sources, repair=repair, **days)
    assert published_rows(on_sqlite.stores) == summaries_of(FORTY_DAYS)


@pytest.mark.parametrize("of", ["the server", "an export"])
def test_the_oldest_document_may_be_outside_the_compared_days(on_sqlite: JobRunner, tmp_path: Path, of: str) -> None:
    """A day that lost its documents has drifted when there are older ones, and only then."""
    days: dict[str, Any] = {"first_key": "1402/12/01", "last_key": "1402/12/01"}
    on_sqlite.shop.collection.delete_many({"createdAt": datetime(2024, 2, 20, 12, tzinfo=UTC)})

    def verified() -> tuple[int, int]:
        exported = write_bson(tmp_path / "export.bson", on_sqlite.shop.transactions())
        outcome = on_sqlite.verify(sources=(on_sqlite.shop.url if of == "the server" else exported,), **days)
        return outcome.drift.filter(mode="daily").height, len(outcome.protected)

    assert verified() == (3, 0)
    purge(on_sqlite)
    assert verified() == (0, 1)


def test_a_changed_week_is_repaired_from_kept_days(on_sqlite: JobRunner, tmp_path: Path) -> None:
    purge(on_sqlite)
    with closing(sqlite3.connect(tmp_path / "summaries.db")) as connection, connection:
        changed = "UPDATE summary_transaction SET amount = 1 WHERE key = '1402/W49' AND merchant_id = 'a'"
        assert connection.execute(changed).rowcount == 1
    assert on_sqlite.verify(repair=True).drift.height == 1
    assert published_rows(on_sqlite.stores) == summaries_of(FORTY_DAYS)


def test_a_day_without_its_overall_row_is_kept_by_its_merchant_rows(on_sqlite: JobRunner, tmp_path: Path) -> None:
    purge(on_sqlite)
    with closing(sqlite3.connect(tmp_path / "summaries.db")) as connection, connection:
        remove = "DELETE FROM summary_transaction WHERE key = '1402/12/01' AND merchant_id IS NULL"
        assert connection.execute(remove).rowcount == 1
    on_sqlite.verify(repair=True)
    assert published_rows(on_sqlite.stores) == summaries_of(FORTY_DAYS)
