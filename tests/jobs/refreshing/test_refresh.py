"""A refresh after changes of the collection gives the totals of the whole collection, computed in plain Python."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from bson import DatetimeMS, ObjectId, json_util
from effort import THOROUGH
from foreign_writer import ForeignWriter
from live_shop import FirstRefresh, JobRunner, Shop, clock_changes, ms_of
from transactions import Transaction, published_rows, spread, summaries_of, write_bson

from core.calendar.zones import rules_digest_here
from core.errors import FingerprintMismatch, SourceError, TooManyRejects
from core.stores import Stores
from core.stores.runs import RunStatus
from jobs.decode.formats import Formats
from jobs.decode.plan import Fields

pytest_plugins = ["refreshing_fixtures"]

FORTY_DAYS = spread(["a", 7, "فروشگاه"], days=40, first=date(2024, 2, 12))
"""Up to the day before that of `runner`, over two months, two years and a week that belongs to both."""

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def require_right(runner: JobRunner) -> None:
    """Require that the publication equals the content of the collection."""
    assert published_rows(runner.stores) == runner.shop.summaries()


@pytest.fixture
def filled(runner: JobRunner, first_refresh: FirstRefresh, tmp_path: Path) -> JobRunner:
    """A shop of `FORTY_DAYS`, an hour after its first refresh."""
    runner.shop.index()
    runner.shop.insert(*FORTY_DAYS)
    first_refresh(runner, tmp_path / "summaries.db")
    runner.now += HOUR
    return runner


def insert_at(runner: JobRunner, at: datetime, amount: int = 5) -> ObjectId:
    return runner.shop.insert(Transaction("a", amount, at))[0]


def test_a_refresh_of_an_empty_store_counts_everything(runner: JobRunner) -> None:
    runner.shop.insert(*FORTY_DAYS)
    outcome = runner.refresh()
    require_right(runner)
    assert outcome.plan is None
    assert (outcome.run.status, outcome.run.generation) == (RunStatus.PUBLISHED, 1)
    assert outcome.run.counts.read == outcome.publication.total_count == len(FORTY_DAYS)
    assert (outcome.run.incremental, outcome.run.first_day_key, outcome.run.days_changed) == (True, None, 40)
    assert outcome.run.as_of_ms == ms_of(runner.now)
    assert outcome.run.warnings == ()
    assert outcome.publication == runner.stores.summaries.published()


def test_an_empty_collection_publishes_nothing(runner: JobRunner) -> None:
    assert runner.refresh().publication.rows == 0
    assert runner.refresh().run.status is RunStatus.UNCHANGED
    runner.shop.insert(*FORTY_DAYS)
    assert runner.refresh().publication.generation == 2
    require_right(runner)


def test_only_days_since_the_last_read_and_the_look_back_are_read(filled: JobRunner) -> None:
    filled.now += 2 * DAY
    filled.shop.insert(*spread(["a"], days=2, first=date(2024, 3, 24)))
    outcome = filled.refresh()
    require_right(filled)
    assert outcome.run.first_day_key == "1403/01/01"
    assert outcome.run.counts.read == 3 * 3 + 2
    assert outcome.run.days_changed == 2
    assert outcome.run.incremental


def test_inserts_changes_and_deletions_inside_the_look_back_are_counted_correctly(filled: JobRunner) -> None:
    """Of the three days, in a week and a month that begin before, one loses a merchant and one everything."""
    shop = filled.shop
    first_day = datetime(2024, 3, 19, 20, 30, tzinfo=UTC)  # in Tehran the first instant of 1403
    ids = {
        (one["createdAt"].day, one["merchantId"]): one["_id"]
        for one in shop.collection.find()
        if one["createdAt"] >= first_day
    }
    insert_at(filled, first_day)
    insert_at(filled, filled.now)
    shop.insert(Transaction("new", 2**53, first_day + 30 * HOUR))
    shop.change(ids[20, "a"], amount=-4)
    shop.change(ids[20, 7], merchantId="a")
    shop.change(ids[22, "a"], createdAt=first_day + 10 * HOUR)
    shop.delete(ids[21, 7], ids[22, 7], ids[22, "فروشگاه"])
    outcome = filled.refresh()
    require_right(filled)
    assert outcome.run.days_changed == 4
    assert outcome.publication.generation == 2


@pytest.mark.parametrize("look_back_days", [0, pytest.param(3, marks=pytest.mark.thorough), 5, 36_500])
def test_weeks_and_months_across_the_window_edge_are_correct(filled: JobRunner, look_back_days: int) -> None:
    begin = filled.now - look_back_days * DAY
    for days in range(min(look_back_days, 39) + 1):
        insert_at(filled, filled.now - days * DAY, 10**6 + days)
    outcome = filled.refresh(look_back_days=look_back_days)
    require_right(filled)
    assert outcome.plan is not None
    if look_back_days < 1000:
        assert outcome.plan.times[0].start_ms == ms_of(begin.replace(hour=20, minute=30)) - 86_400_000


def test_changes_that_are_older_than_the_look_back_are_left_to_verify(filled: JobRunner) -> None:
    before_it = datetime(2024, 3, 19, 20, 29, 59, tzinfo=UTC)
    before = published_rows(filled.stores)
    late = insert_at(filled, before_it)
    assert filled.refresh().run.status is RunStatus.UNCHANGED
    assert published_rows(filled.stores) == before != filled.shop.summaries()
    filled.shop.change(late, createdAt=before_it + timedelta(seconds=1))
    assert filled.refresh().run.status is RunStatus.PUBLISHED
    require_right(filled)


@pytest.mark.parametrize("indexed", [True, False])
def test_with_an_updated_at_field_older_changed_days_are_recounted(filled: JobRunner, indexed: bool) -> None:
    shop, old = filled.shop, datetime(2024, 2, 20, 12, tzinfo=UTC)
    if indexed:
        shop.index("meta.updatedAt")
    older = {one["createdAt"].date(): one["_id"] for one in shop.collection.find({"merchantId": "a"})}
    shop.insert(Transaction("late", 17, old), meta={"updatedAt": filled.now})
    shop.insert(Transaction("very late", 17, datetime(1970, 1, 1, tzinfo=UTC)), meta={"updatedAt": filled.now})
    shop.change(older[date(2024, 3, 1)], amount=1, meta={"updatedAt": filled.now - HOUR})
    shop.insert(Transaction("no date", 1, filled.now), meta={"updatedAt": "2024-03-22"})
    outcome = filled.refresh(updated_field="meta.updatedAt")
    require_right(filled)
    assert outcome.plan is not None
    assert outcome.plan.older_days == 3
    assert outcome.run.days_changed == 4
    assert outcome.run.counts.read == 4 + 3 + 1 + 3 * 3 + 1


def test_deletions_in_older_days_are_not_seen_with_an_updated_at_field(filled: JobRunner) -> None:
    oldest = filled.shop.collection.find_one(sort=[("createdAt", 1)])
    assert oldest is not None
    filled.shop.delete(oldest["_id"])
    assert filled.refresh(updated_field="updatedAt").run.status is RunStatus.UNCHANGED


def test_a_second_refresh_changes_nothing_and_publishes_nothing(filled: JobRunner) -> None:
    insert_at(filled, filled.now)
    published = filled.refresh().publication
    outcome = filled.refresh()
    assert outcome.publication == published == filled.stores.summaries.published()
    assert (outcome.run.status, outcome.run.generation) == (RunStatus.UNCHANGED, 2)
    assert (outcome.run.days_changed, outcome.run.phase) == (0, "done")
    require_right(filled)


def test_a_refresh_without_changes_moves_the_window(filled: JobRunner) -> None:
    filled.now += 20 * DAY
    assert filled.refresh().run.first_day_key == "1403/01/01"
    filled.now += HOUR
    assert filled.refresh().run.first_day_key == "1403/01/21"


def test_the_next_refresh_catches_up_after_a_missed_one(filled: JobRunner) -> None:
    filled.shop.insert(*spread(["a"], days=60, first=date(2024, 3, 20)))
    filled.now += 60 * DAY
    filled.refresh(look_back_days=0)
    assert published_rows(filled.stores) != filled.shop.summaries(), "three days were not to be looked at"
    filled.refresh(look_back_days=70)
    require_right(filled)


def test_the_next_refresh_reads_what_a_failed_one_did_not(filled: JobRunner) -> None:
    filled.now += 10 * DAY
    insert_at(filled, filled.now - 8 * DAY)
    filled.shop.collection.insert_one({"merchantId": "a", "createdAt": filled.now})
    with pytest.raises(TooManyRejects):
        filled.refresh()
    filled.shop.collection.delete_one({"amount": None})
    filled.now += DAY
    filled.refresh()
    require_right(filled)


def test_a_clock_set_back_loses_no_transactions(filled: JobRunner) -> None:
    filled.now += 300 * DAY
    filled.refresh()
    filled.now -= 299 * DAY
    insert_at(filled, filled.now - 12 * HOUR)
    filled.refresh()
    require_right(filled)
    assert filled.stores.runs.recent(1)[0].first_day_key is None, "everything is counted"


def test_documents_dated_in_the_future_are_counted_and_updated(filled: JobRunner) -> None:
    late = [insert_at(filled, filled.now + span) for span in (DAY, 400 * DAY, 30_000 * DAY)]
    filled.refresh()
    require_right(filled)
    filled.shop.change(late[1], amount=6)
    filled.shop.delete(late[2])
    filled.refresh()
    require_right(filled)


def test_documents_of_1970_are_counted_by_a_full_read(runner: JobRunner) -> None:
    insert_at(runner, datetime(1970, 1, 1, tzinfo=UTC))
    insert_at(runner, runner.now)
    runner.refresh()
    require_right(runner)
    insert_at(runner, datetime(1970, 1, 1, tzinfo=UTC))
    assert runner.refresh().run.status is RunStatus.UNCHANGED
    runner.refresh(look_back_days=36_500)
    require_right(runner)


def test_documents_outside_of_the_calendar_are_rejected(filled: JobRunner) -> None:
    stray = {"merchantId": "a", "amount": 1, "createdAt": DatetimeMS(2**52), "updatedAt": filled.now}
    filled.shop.collection.insert_many([stray.copy(), stray | {"createdAt": DatetimeMS(-(2**52))}])
    outcome = filled.refresh(updated_field="updatedAt", max_reject_ratio=0.5)
    assert outcome.run.rejects_by_reason == {"time: outside the calendar": 1}
    assert (outcome.run.status, outcome.run.degraded) == (RunStatus.UNCHANGED, True)


@pytest.mark.parametrize(("zone", "years"), [("Asia/Tehran", (1977, 2022)), ("America/St_Johns", (2000, 2012))])
def test_dst_changes_inside_the_look_back_are_counted_correctly(
    shop: Shop, sqlite_stores: Stores, tmp_path: Path, zone: str, years: tuple[int, int]
) -> None:
    """All of them, or some by chance; read by time from the first day on, and by `updatedAt` in days of single ones."""
    shop.index()
    runner = JobRunner(sqlite_stores, shop, tmp_path, datetime(years[0], 1, 3, tzinfo=UTC), zone)
    insert_at(runner, runner.now)
    runner.refresh()
    changes = list(clock_changes(zone, *years))
    if not THOROUGH:
        changes = sorted(random.sample(changes, 10))
    spans = [sign * minutes * timedelta(minutes=1) for minutes in (1, 59, 61, 1439, 1441) for sign in (-1, 1)]
    around = [change + span for change in changes for span in (timedelta(0), *spans)]
    shop.insert(*(Transaction(number % 2, number, at) for number, at in enumerate(around)))
    runner.refresh()
    assert published_rows(sqlite_stores) == shop.summaries(zone)
    runner.now = datetime(2023, 1, 1, tzinfo=UTC)
    runner.refresh()
    for change in changes[::5]:
        shop.insert(Transaction("late", 1, change - timedelta(seconds=30)), updatedAt=runner.now)
    runner.refresh(updated_field="updatedAt")
    assert published_rows(sqlite_stores) == shop.summaries(zone)


def test_a_day_with_very_many_late_documents_is_counted(filled: JobRunner) -> None:
    number = 100_000 if THOROUGH else 1_000
    chance, midnight = random.Random(1403), datetime(2024, 3, 20, 20, 30, tzinfo=UTC)
    late = [
        Transaction(
            f"m{chance.randrange(50)}", 10**9 + i, midnight + timedelta(milliseconds=chance.randrange(86_400_000))
        )
        for i in range(number)
    ]
    filled.shop.insert(*late)
    outcome = filled.refresh()
    assert outcome.run.days_changed == 1
    assert outcome.run.counts.counted == number + 9
    require_right(filled)


def test_few_rejects_are_quarantined_and_the_run_is_degraded(filled: JobRunner) -> None:
    filled.shop.collection.insert_one({"merchantId": "a", "amount": "much", "createdAt": filled.now})
    insert_at(filled, filled.now)
    outcome = filled.refresh(max_reject_ratio=0.5)
    assert outcome.run.degraded
    assert outcome.run.counts.rejected == sum(outcome.run.rejects_by_reason.values()) == 1
    assert outcome.run.quarantine is not None
    (line,) = Path(outcome.run.quarantine).read_text().splitlines()
    assert json_util.loads(line)["source"] == f"{filled.shop.place}.transaction"
    filled.shop.collection.delete_one({"amount": "much"})
    require_right(filled)


def test_too_many_rejects_publish_nothing(filled: JobRunner) -> None:
    before = filled.stores.summaries.published()
    filled.shop.collection.insert_one({"merchantId": "a", "amount": "much", "createdAt": filled.now})
    with pytest.raises(TooManyRejects, match="1 of 10 documents were rejected"):
        filled.refresh()
    run = filled.stores.runs.recent(1)[0]
    assert (run.status, run.counts.rejected) == (RunStatus.FAILED, 1)
    assert filled.stores.summaries.published() == before


def test_a_store_with_another_fingerprint_is_refused(filled: JobRunner) -> None:
    for fields in (Fields(amount="total"), Fields(where=(("status", "paid"),))):
        with pytest.raises(FingerprintMismatch):
            filled.refresh(fields=fields)
    assert [run.id for run in filled.stores.runs.recent(9)] == [1]


def test_a_refresh_without_changes_records_the_time_zone_rules_once(filled: JobRunner, tmp_path: Path) -> None:
    ForeignWriter(f"sqlite:///{tmp_path / 'summaries.db'}").set_zone_rules(None)
    adopting, again = filled.refresh(), filled.refresh()
    assert (adopting.run.status, adopting.run.days_changed) == (RunStatus.PUBLISHED, 0)
    assert "had no recorded time zone rules of Asia/Tehran" in "".join(adopting.run.warnings)
    assert adopting.publication.fingerprint.zone_rules == rules_digest_here("Asia/Tehran", "jalali")
    assert (again.run.status, again.run.generation) == (RunStatus.UNCHANGED, adopting.publication.generation)
    assert "rules" not in "".join(again.run.warnings)


def test_a_refresh_without_a_currency_sets_none(filled: JobRunner, tmp_path: Path) -> None:
    ForeignWriter(f"sqlite:///{tmp_path / 'summaries.db'}").forget_currency()
    outcome = filled.refresh()
    assert (outcome.run.status, outcome.publication.fingerprint.currency) == (RunStatus.UNCHANGED, None)
    named = filled.refresh(currency="USD")
    assert (named.run.status, named.publication.fingerprint.currency) == (RunStatus.PUBLISHED, "USD")


def test_only_documents_that_match_the_filter_are_counted(runner: JobRunner) -> None:
    paid = Fields(where=(("status", "paid"),))
    runner.shop.insert(*FORTY_DAYS, status="paid")
    runner.refresh(fields=paid)
    expected = published_rows(runner.stores)
    runner.shop.insert(Transaction("a", 1, runner.now), status="open")
    outcome = runner.refresh(fields=paid)
    assert (outcome.run.status, outcome.run.counts.filtered) == (RunStatus.UNCHANGED, 1)
    assert published_rows(runner.stores) == expected
    runner.shop.collection.update_one({"status": "open"}, {"$set": {"status": "paid"}})
    runner.refresh(fields=paid)
    require_right(runner)


def test_a_missing_index_gives_a_warning_with_the_command_to_create_it(runner: JobRunner) -> None:
    runner.shop.insert(*FORTY_DAYS)
    runner.refresh()
    warnings = {path: runner.refresh(updated_field=path).run.warnings for path in (None, "updatedAt")}
    assert len(warnings[None]) == 1
    database = runner.shop.collection.database.name
    command = f'db.getSiblingDB("{database}").getCollection("transaction").createIndex({{"createdAt": 1}})'
    assert warnings[None][0].endswith(command)
    assert [warning.partition(", so ")[0] for warning in warnings["updatedAt"]] == [
        f"{runner.shop.place}.transaction has no index on {path}" for path in ("createdAt", "updatedAt")
    ]
    assert runner.stores.runs.recent(1)[0].warnings == warnings["updatedAt"]
    runner.shop.index()
    runner.shop.index("updatedAt")
    assert runner.refresh(updated_field="updatedAt").run.warnings == ()


def test_a_refresh_after_a_rebuild_from_an_export_begins_with_its_last_day(runner: JobRunner, tmp_path: Path) -> None:
    export = write_bson(tmp_path / "export.bson", FORTY_DAYS[:-30])
    runner.rebuild(sources=(export,))
    runner.shop.insert(*FORTY_DAYS)
    assert runner.refresh().run.first_day_key == "1402/12/19"
    require_right(runner)


def test_rebuilding_some_days_does_not_move_the_bookmark(filled: JobRunner) -> None:
    filled.now += 20 * DAY
    filled.shop.insert(*spread(["a"], days=20, first=date(2024, 3, 23)))
    filled.rebuild(first_key="1403/01/15", last_key="1403/01/24")
    filled.refresh()
    require_right(filled)


def test_a_refresh_after_a_live_rebuild_continues_from_it(filled: JobRunner) -> None:
    filled.now += 20 * DAY
    insert_at(filled, filled.now)
    filled.rebuild(truncate=True)
    filled.now += HOUR
    insert_at(filled, filled.now)
    assert filled.refresh().run.first_day_key == "1403/01/21"
    require_right(filled)


def test_a_missing_collection_fails_and_changes_nothing(filled: JobRunner) -> None:
    before = filled.stores.summaries.published()
    with pytest.raises(SourceError):
        filled.refresh(collection="sales")
    assert filled.stores.summaries.published() == before
    assert filled.stores.runs.recent(1)[0].status is RunStatus.FAILED


def test_with_text_times_everything_is_read_and_changed_days_published(runner: JobRunner) -> None:
    fields = Fields(formats=Formats(2, time_format="%Y/%m/%d %H:%M:%S", text_zone="Asia/Tehran", takes_earlier=True))
    for one in FORTY_DAYS:
        local = one.at.astimezone(ZoneInfo("Asia/Tehran"))
        runner.shop.insert(one, createdAt=f"{local:%Y/%m/%d %H:%M:%S}")
    assert runner.refresh(fields=fields).run.warnings == ()
    expected = {which: (amount * 100, *rest) for which, (amount, *rest) in summaries_of(FORTY_DAYS).items()}
    assert published_rows(runner.stores) == expected
    again = runner.refresh(fields=fields)
    assert (again.run.status, again.run.counts.read) == (RunStatus.UNCHANGED, len(FORTY_DAYS))
    assert "so the whole collection was read" in "".join(again.run.warnings)
    runner.shop.insert(Transaction("a", 5, runner.now), createdAt="2024/02/20 12:00:00")
    changed = runner.refresh(fields=fields)
    assert (changed.run.status, changed.run.days_changed) == (RunStatus.PUBLISHED, 1)
    assert len(runner.verify(fields=fields, first_key="1402/12/01", last_key="1402/12/02").drift) == 0
    partial = runner.rebuild(fields=fields, first_key="1402/12/01", last_key="1402/12/01")
    assert (partial.run.counts.counted, partial.run.days_changed) == (4, 0)


def test_a_purged_day_is_kept_with_numeric_times_too(runner: JobRunner) -> None:
    fields = Fields(formats=Formats(time_format="epoch-ms"))
    ids = [runner.shop.insert(one, createdAt=ms_of(one.at))[0] for one in FORTY_DAYS]
    runner.refresh(fields=fields)
    before = published_rows(runner.stores)
    runner.shop.delete(*ids[:6])
    outcome = runner.refresh(fields=fields)
    assert published_rows(runner.stores) == before
    assert outcome.run.days_kept == 2
    assert len(runner.verify(fields=fields, last_key="1403/01/02").drift) == 0
