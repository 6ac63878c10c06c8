"""Verification: drift between store and source, and its repair."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from live_shop import FirstRefresh, JobRunner, Shop, difference, drift_of, ms_of
from mongo_ways import with_option
from rebuilding import AtPhase
from transactions import Transaction, published_rows, spread, summaries_of, write_bson

from core.errors import FingerprintMismatch, RunHeld, ServiceError, SourceError, StoreBusy, TooManyRejects, UsageError
from core.stores import Stores, open_stores
from core.stores.runs import RunStatus
from jobs.decode.plan import Fields
from jobs.publish.replacing import Change, replace_days
from jobs.verify import DRIFT_COLUMNS

pytest_plugins = ["refreshing_fixtures"]

FORTY_DAYS = spread(["a", 7], days=40, first=date(2024, 2, 12))
"""From Monday 1402/11/23 to Friday 1403/01/03, the day before that of `runner`."""
DAY = timedelta(days=1)
_FIRST_DAY = (date(2024, 2, 12) - date(1970, 1, 1)).days
LATE = datetime(2024, 2, 20, 12, tzinfo=UTC)
"""1402/12/01, in 1402/W49, long before every look-back."""


@pytest.fixture
def filled(runner: JobRunner, first_refresh: FirstRefresh, tmp_path: Path) -> JobRunner:
    """A shop of `FORTY_DAYS` that was refreshed."""
    runner.shop.index()
    runner.shop.insert(*FORTY_DAYS)
    first_refresh(runner, tmp_path / "summaries.db")
    return runner


def change_store(folder: Path, statement: str) -> None:
    """Change the summaries as another program might."""
    with closing(sqlite3.connect(folder / "summaries.db")) as connection, connection:
        assert connection.execute(statement).rowcount == 1


def drift_by_hand(runner: JobRunner) -> dict[tuple[str, str, str | None], tuple[int, int, int, int]]:
    """The expected drift between publication and collection."""
    found = difference(published_rows(runner.stores), runner.shop.summaries())
    assert found
    return found


def test_an_unchanged_store_has_no_drift(filled: JobRunner) -> None:
    outcome = filled.verify()
    assert outcome.drift.is_empty()
    assert outcome.drift.columns == list(DRIFT_COLUMNS)
    assert (outcome.first_key, outcome.last_key, outcome.left_to_refresh) == (None, "1402/12/29", True)
    assert (outcome.counted.counts.read, outcome.counted.counts.out_of_range) == (len(FORTY_DAYS), 2 * 3)
    assert outcome.compared == filled.stores.summaries.published()
    assert (outcome.counted.warnings, outcome.counted.quarantine, outcome.repaired_by) == ((), None, None)


def test_verify_finds_late_changed_and_deleted_documents(filled: JobRunner) -> None:
    ids = {(one["createdAt"].date(), one["merchantId"]): one["_id"] for one in filled.shop.collection.find()}
    filled.shop.insert(Transaction("late", 17, LATE))
    filled.shop.change(ids[date(2024, 2, 14), "a"], amount=-1)
    filled.shop.change(ids[date(2024, 2, 15), "a"], createdAt=LATE)
    filled.shop.delete(ids[date(2024, 3, 1), 7])
    assert filled.refresh().run.status is RunStatus.UNCHANGED
    outcome = filled.verify()
    assert drift_of(outcome) == drift_by_hand(filled)
    modes_and_keys = [(mode, key) for mode, key, *_ in outcome.drift.iter_rows()]
    assert modes_and_keys == sorted(modes_and_keys, key=lambda one: (["daily", "weekly", "monthly"].index(one[0]), one))
    assert outcome.drift.row(0)[:3] == ("daily", "1402/11/25", None)
    assert outcome.drift.row(1)[:3] == ("daily", "1402/11/25", "a")
    assert [run.id for run in filled.stores.runs.recent(9)] == [2, 1], "nothing was to be written"
    filled.verify(repair=True)
    assert published_rows(filled.stores) == filled.shop.summaries()
    assert filled.verify().drift.is_empty()


@pytest.mark.parametrize(
    ("mode", "key", "of"),
    [
        ("daily", "1402/12/01", "merchant_id = 'a'"),
        pytest.param("daily", "1402/12/01", "merchant_id IS NULL", marks=pytest.mark.thorough),
        pytest.param("weekly", "1402/W49", "merchant_id = '7'", marks=pytest.mark.thorough),
        ("weekly", "1402/W49", "merchant_id IS NULL"),
        ("monthly", "1402/12", "merchant_id = 'a'"),
        pytest.param("monthly", "1402/12", "merchant_id IS NULL", marks=pytest.mark.thorough),
    ],
)
def test_a_summary_changed_by_another_program_is_repaired(
    filled: JobRunner, tmp_path: Path, mode: str, key: str, of: str
) -> None:
    changes = "SET amount = amount + 5, count = count - 1"
    change_store(tmp_path, f"UPDATE summary_transaction {changes} WHERE mode = '{mode}' AND key = '{key}' AND {of}")
    by_hand = drift_by_hand(filled)
    assert len(by_hand) == 1
    assert drift_of(filled.verify()) == by_hand
    outcome = filled.verify(repair=True)
    assert drift_of(outcome) == by_hand
    assert outcome.repaired_by is not None
    assert outcome.repaired_by.days_changed == (1 if mode == "daily" else 0)
    assert published_rows(filled.stores) == filled.shop.summaries()
    assert filled.verify().drift.is_empty()


def test_a_summary_removed_or_added_by_another_program_is_repaired(filled: JobRunner, tmp_path: Path) -> None:
    change_store(
        tmp_path, "DELETE FROM summary_transaction WHERE mode = 'weekly' AND key = '1402/W49' AND merchant_id = '7'"
    )
    change_store(
        tmp_path,
        "INSERT INTO summary_transaction (mode, key, merchant_id, amount, count, period_start, period_end) "
        "SELECT mode, key, 'made up', 3, 2, period_start, period_end "
        "FROM summary_transaction WHERE mode = 'monthly' AND key = '1402/12' AND merchant_id = 'a'",
    )
    expected = filled.shop.summaries()["weekly", "1402/W49", "7"]
    assert drift_of(filled.verify(repair=True)) == {
        ("weekly", "1402/W49", "7"): (0, expected[0], 0, expected[1]),
        ("monthly", "1402/12", "made up"): (3, 0, 2, 0),
    }
    assert filled.verify().drift.is_empty()
    assert published_rows(filled.stores) == filled.shop.summaries()


def test_a_repair_is_a_ledger_run_and_replaces_only_drifted_days(filled: JobRunner) -> None:
    filled.shop.insert(Transaction("late", 17, LATE), Transaction("later", 18, filled.now))
    filled.now += DAY
    outcome = filled.verify(repair=True, first_key="1402/12/01", last_key="1402/12/02", command="verify of mine")
    run = outcome.repaired_by
    assert run is not None
    assert run == filled.stores.runs.recent(1)[0]
    assert (run.id, run.command, run.status, run.generation) == (2, "verify of mine", RunStatus.PUBLISHED, 2)
    assert (run.first_day_key, run.last_day_key, run.days_changed) == ("1402/12/01", "1402/12/02", 1)
    assert run.sources == (filled.shop.place,)
    assert {key for _, key, _ in drift_of(outcome)} == {"1402/12/01", "1402/W49", "1402/12"}
    published = filled.stores.summaries.published()
    assert published is not None
    assert (published.generation, published.run_id, published.total_count) == (2, 2, len(FORTY_DAYS) + 1)
    assert published_rows(filled.stores) == summaries_of([*FORTY_DAYS, Transaction("late", 17, LATE)])


def test_a_repair_without_drift_publishes_nothing(filled: JobRunner) -> None:
    outcome = filled.verify(repair=True)
    assert outcome.drift.is_empty()
    assert outcome.repaired_by is not None
    assert (outcome.repaired_by.status, outcome.repaired_by.generation) == (RunStatus.UNCHANGED, 1)
    assert filled.stores.summaries.published() == outcome.compared


def test_only_the_requested_days_are_compared(filled: JobRunner) -> None:
    filled.shop.insert(Transaction("late", 17, LATE), Transaction("late", 1, LATE + 10 * DAY))
    assert filled.verify(first_key="1402/12/02", last_key="1402/12/10").drift.is_empty()
    until = filled.verify(last_key="1402/12/05")
    assert [key for _, key, _ in drift_of(until)].count("1402/12/01") == 2
    assert "1402/12/11" not in {key for _, key, _ in drift_of(until)}
    one_day = filled.verify(first_key="1402/12/01", last_key="1402/12/01")
    assert one_day.counted.counts.read == 3
    assert drift_of(one_day) == drift_of(until)
    assert filled.verify(first_key="1402/12/02").last_key == "1402/12/29"
    assert not until.left_to_refresh


@pytest.mark.parametrize("look_back_days", [0, pytest.param(3, marks=pytest.mark.thorough), 5])
def test_days_of_the_next_refresh_are_compared_only_on_request(filled: JobRunner, look_back_days: int) -> None:
    """Documents of the look-back, of the day of the last reading and later."""
    last_reading = filled.now
    filled.now += 5 * DAY
    filled.shop.insert(*(Transaction("a", 1, last_reading + days * DAY) for days in range(-look_back_days, 6)))
    outcome = filled.verify(look_back_days=look_back_days)
    assert outcome.drift.is_empty()
    assert outcome.left_to_refresh
    day_before = filled.verify(last_key=outcome.last_key)
    assert day_before.drift.is_empty()
    assert filled.verify(last_key="1403/01/09").drift.filter(mode="daily")["key"].n_unique() == look_back_days + 6
    filled.refresh(look_back_days=look_back_days)
    assert filled.verify(last_key="1403/01/09").drift.is_empty()
    filled.shop.insert(Transaction("a", 1, last_reading - (look_back_days + 1) * DAY))
    filled.refresh(look_back_days=look_back_days)
    assert filled.verify(look_back_days=look_back_days).drift.filter(mode="daily")["merchant_id"].to_list() == [
        None,
        "a",
    ]


def test_a_clock_that_was_ahead_does_not_extend_the_comparison(filled: JobRunner) -> None:
    filled.now += 300 * DAY
    filled.refresh()
    filled.now -= 300 * DAY
    assert filled.verify().last_key == "1402/12/29"


def test_a_repeated_day_is_compared_together_with_the_next(shop: Shop, sqlite_stores: Stores, tmp_path: Path) -> None:
    """In St. John's the sixth of November 2010 ended twice, at 02:31 and at 03:30 UTC."""
    midnight = datetime(2010, 11, 7, 2, 30, tzinfo=UTC)
    runner = JobRunner(sqlite_stores, shop, tmp_path, midnight + DAY / 2, "America/St_Johns", "gregorian")
    shop.insert(*(Transaction("a", 1, midnight + timedelta(minutes=minutes)) for minutes in range(-3000, 200, 7)))
    runner.refresh()
    for days, last_key in ((0, "2010-11-05"), (1, "2010-11-07"), (2, "2010-11-08")):
        runner.now = midnight + DAY / 2 + days * DAY
        runner.refresh()
        outcome = runner.verify(look_back_days=0)
        assert (outcome.last_key, outcome.drift.height) == (last_key, 0)


def test_days_after_the_bookmark_need_an_explicit_end(filled: JobRunner) -> None:
    with pytest.raises(UsageError) as refusal:
        filled.verify(first_key="1403/01/04")
    assert "the days up to 1402/12/29 are compared" in refusal.value.hint


@pytest.mark.parametrize(("first", "last"), [("1403/01/02", "1403/01/01"), ("1403-01-02", None), (None, "1403/13/01")])
def test_invalid_days_are_refused(filled: JobRunner, first: str | None, last: str | None) -> None:
    with pytest.raises(UsageError):
        filled.verify(first_key=first, last_key=last)


def test_without_a_publication_there_is_nothing_to_compare(runner: JobRunner) -> None:
    for repair in (False, True):
        with pytest.raises(ServiceError, match="nothing is published yet"):
            runner.verify(repair=repair)
    assert runner.stores.runs.recent(9) == []


def test_a_store_with_another_fingerprint_is_not_compared(filled: JobRunner) -> None:
    with pytest.raises(FingerprintMismatch):
        filled.verify(fields=Fields(amount="total"))


def test_several_exports_are_compared_together(runner: JobRunner, tmp_path: Path) -> None:
    parts = [write_bson(tmp_path / f"{i}.bson", FORTY_DAYS[i::2]) for i in range(2)]
    runner.rebuild(sources=tuple(parts))
    outcome = runner.verify(sources=tuple(parts))
    assert outcome.drift.is_empty()
    assert (outcome.first_key, outcome.last_key) == (None, None)
    one_of_two = runner.verify(sources=(parts[0],))
    # Of the first day, too, one of two transactions is missing: its documents may have been purged.
    assert one_of_two.protected == {"1402/11/23": (_FIRST_DAY, 2, 1)}
    recounted = summaries_of([FORTY_DAYS[1], *FORTY_DAYS[::2]])
    assert drift_of(one_of_two) == difference(summaries_of(FORTY_DAYS), recounted)
    assert runner.verify(sources=(parts[0],), first_key="1403/01/02").drift["key"].n_unique() == 2 + 1 + 1


@pytest.mark.parametrize("days_of_it", [40, 30])
def test_a_repair_from_an_older_export_hides_nothing_from_the_next_refresh(
    filled: JobRunner, tmp_path: Path, days_of_it: int
) -> None:
    """Also where it takes away days that were published."""
    export = write_bson(tmp_path / "export.bson", FORTY_DAYS[: 2 * days_of_it])
    filled.now += 20 * DAY
    filled.shop.insert(Transaction("a", 1, filled.now - 10 * DAY))
    assert filled.verify(sources=(export,), repair=True).repaired_by is not None
    filled.refresh()
    assert published_rows(filled.stores) == filled.shop.summaries()


def test_a_repair_of_older_days_does_not_change_the_next_refresh(filled: JobRunner) -> None:
    filled.shop.insert(Transaction("late", 17, LATE))
    published = filled.stores.summaries.published()
    filled.now += 20 * DAY
    assert filled.verify(repair=True).compared == published
    repaired = filled.stores.summaries.published()
    assert published is not None
    assert repaired is not None
    assert repaired.complete_until_ms == published.complete_until_ms == ms_of(filled.now - 20 * DAY)
    assert filled.refresh().run.first_day_key == "1403/01/01"


def test_too_many_rejects_fail_the_verification(filled: JobRunner) -> None:
    filled.shop.collection.insert_one({"merchantId": "a", "amount": "much", "createdAt": LATE})
    with pytest.raises(TooManyRejects, match="1 of 81 documents"):
        filled.verify()
    filled.now += timedelta(seconds=1)
    outcome = filled.verify(max_reject_ratio=0.1)
    assert outcome.drift.is_empty()
    assert outcome.counted.rejects_by_reason == {"amount: text": 1}
    assert outcome.counted.quarantine is not None
    assert outcome.counted.quarantine.name.startswith("verify-")
    assert len(outcome.counted.quarantine.read_text().splitlines()) == 1
    repaired = filled.verify(max_reject_ratio=0.1, repair=True).repaired_by
    assert repaired is not None
    assert repaired.degraded
    assert repaired.quarantine is not None
    assert Path(repaired.quarantine).name.startswith("run-000002-")


def test_an_unreadable_source_fails_the_repair_and_changes_nothing(filled: JobRunner, tmp_path: Path) -> None:
    before = filled.stores.summaries.published()
    for sources in ((str(tmp_path / "missing.bson"),), (with_option(filled.shop.url, "collection=x"),)):
        with pytest.raises((SourceError, UsageError)):
            filled.verify(sources=sources, collection="sales", repair=True)
        assert filled.stores.runs.recent(1)[0].status is RunStatus.FAILED
    assert filled.stores.summaries.published() == before


def test_a_concurrent_refresh_is_reported(filled: JobRunner, tmp_path: Path) -> None:
    """What the refresh published in between is compared, not what was published before."""
    filled.shop.insert(Transaction("late", 17, LATE), updatedAt=filled.now)
    with open_stores(f"sqlite:///{tmp_path / 'summaries.db'}", timeout_s=10) as others:
        other = JobRunner(others, filled.shop, tmp_path, filled.now)
        healed = filled.verify(AtPhase("checking", lambda: other.refresh(updated_field="updatedAt")))
        assert healed.drift.is_empty()
        assert (healed.compared.generation, healed.counted.warnings) == (2, ())

        def another_late_document() -> None:
            filled.shop.insert(Transaction("later", 17, LATE), updatedAt=filled.now)
            other.refresh(updated_field="updatedAt")

        outcome = filled.verify(AtPhase("checking", another_late_document))
        assert {merchant for _, _, merchant in drift_of(outcome)} == {None, "later"}
        assert [warning.partition(",")[0] for warning in outcome.counted.warnings] == [
            "generation 3 was published during this verification"
        ]


def test_constant_publications_fail_the_verification(filled: JobRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_and_refresh(*arguments: Any) -> Change:
        change = replace_days(*arguments)
        filled.shop.insert(Transaction("a", 1, filled.now))
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr("jobs.job.replace_days", replace_days)
            filled.refresh()
        return change

    monkeypatch.setattr("jobs.job.replace_days", find_and_refresh)
    with pytest.raises(StoreBusy, match="other runs kept publishing"):
        filled.verify()


def test_no_refresh_starts_during_a_repair(filled: JobRunner, tmp_path: Path) -> None:
    filled.shop.insert(Transaction("late", 17, LATE))
    filled.now = datetime.now(UTC)  # the ledger has a clock of its own, by which no run may be silent for long
    refused = []
    with open_stores(f"sqlite:///{tmp_path / 'summaries.db'}", timeout_s=10) as others:
        other = JobRunner(others, filled.shop, tmp_path, filled.now)

        def refresh() -> None:
            with pytest.raises(RunHeld) as refusal:
                other.refresh()
            refused.append(refusal.value)

        filled.verify(AtPhase("checking", refresh), repair=True)
    assert "run 2 (verify) is active" in refused[0].sentence
    assert published_rows(filled.stores) == filled.shop.summaries()
