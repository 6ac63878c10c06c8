"""The ``refresh`` command: output, options and exit codes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import CommandLine
from live_shop import Shop
from mongo_ways import with_option, with_user
from transactions import Transaction, published_rows, write_bson

from bench.mongo_urls import database_of
from core.stores import Stores
from core.stores.runs import RunStatus

pytest_plugins = ["refreshing_fixtures"]

DAY = timedelta(days=1)


def now() -> datetime:
    """By the clock of the command line."""
    return datetime.now(UTC).replace(microsecond=0)


def ten_days() -> list[Transaction]:
    """Two transactions a day up to today."""
    return [Transaction(merchant, 10 * days + 1, now() - days * DAY) for days in range(10) for merchant in ("a", 7)]


@pytest.fixture
def jobs(shop: Shop, sqlite_stores: Stores, tmp_path: Path) -> CommandLine:
    """A command line with a store and a source; the latter is filled and has an index."""
    shop.index()
    shop.insert(*ten_days())
    return CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path / 'summaries.db'}", SOURCE_URL=shop.url)


def test_the_output_shows_what_was_refreshed(jobs: CommandLine, shop: Shop, sqlite_stores: Stores) -> None:
    result = jobs("refresh")
    assert (result.code, result.err) == (0, "")
    first, counted, did = result.out.splitlines()
    assert first == f"Read 20 documents of all days from {shop.place}.transaction."
    assert counted == "Counted 20, rejected 0, filtered out 0, out of range 0."
    amount = sum(one.amount for one in ten_days())
    assert did.startswith(f"10 day(s) changed. Published generation 1 (run 1): 20 transactions, {amount:,} IRR, in "), (
        did
    )
    shop.insert(Transaction("new", 5, now()))
    result = jobs("refresh", "--look-back", "1")
    run = sqlite_stores.runs.recent(1)[0]
    assert f"Read 5 documents of the days since {run.first_day_key} from " in result.out
    assert "1 day(s) changed. Published generation 2 (run 2): 21 transactions" in result.out
    result = jobs("refresh", shop.url, "--updated-field", "updatedAt")
    assert result.code == 0
    assert "Nothing has changed; generation 2 is still current (run 3): 21 transactions" in result.out
    assert "has no index on updatedAt" in result.err
    commands = [run.command for run in sqlite_stores.runs.recent(9)]
    assert commands == [
        f"refresh {shop.place} --look-back 3 --updated-field updatedAt",
        f"refresh {shop.place} --look-back 1",
        f"refresh {shop.place} --look-back 3",
    ]
    assert published_rows(sqlite_stores) == shop.summaries()


def test_json_output_has_the_run_and_the_publication(jobs: CommandLine, shop: Shop) -> None:
    assert jobs("refresh", "--json").json["run"]["incremental"] is True
    answer = jobs("refresh", "--json", shop.url).json
    assert answer["run"]["status"] == "unchanged"
    assert answer["run"]["generation"] == answer["published"]["generation"] == 1
    assert answer["run"]["days_changed"] == 0
    assert answer["run"]["counts"]["read"] == 8
    assert answer["run"]["incremental"] is True


def test_the_look_back_is_a_setting(jobs: CommandLine, shop: Shop, sqlite_stores: Stores) -> None:
    jobs("refresh")
    shop.insert(Transaction("late", 5, now() - 6 * DAY))
    assert "Nothing has changed" in jobs("refresh").out
    assert jobs("refresh", REFRESH_LOOK_BACK_DAYS="7").code == 0
    assert published_rows(sqlite_stores) == shop.summaries()


def test_the_output_counts_older_changed_days(jobs: CommandLine, shop: Shop, sqlite_stores: Stores) -> None:
    jobs("refresh")
    for days in (7, 8, 9):
        shop.insert(Transaction("late", 5, now() - days * DAY), updatedAt=now())
    assert " and 3 older day(s) from " in jobs("refresh", "--updated-field", "updatedAt").out
    assert published_rows(sqlite_stores) == shop.summaries()


def test_a_missing_index_is_reported_with_the_command_to_create_it(jobs: CommandLine, shop: Shop) -> None:
    jobs("refresh")
    shop.collection.drop_indexes()
    result = jobs("refresh")
    assert result.code == 0
    database = shop.collection.database.name
    command = f'db.getSiblingDB("{database}").getCollection("transaction").createIndex({{"createdAt": 1}})'
    assert result.err.startswith(f"Warning: {shop.place}.transaction has no index on createdAt, so every document")
    assert command in result.err
    assert command in jobs("status", "2").out


def test_few_rejects_degrade_a_refresh_and_more_fail_it(jobs: CommandLine, shop: Shop, sqlite_stores: Stores) -> None:
    jobs("refresh")
    shop.collection.insert_one({"merchantId": "a", "amount": "much", "createdAt": now()})
    err = jobs("refresh").require_failure(3, "1 of 9 documents were rejected (1 amount: text)")
    quarantine = err.partition("The rejects are in ")[2].partition(";")[0]
    assert len((jobs.folder / quarantine).read_text().splitlines()) == 1
    result = jobs("refresh", "--max-reject-ratio", "0.5", "--json")
    assert result.code == 0
    assert result.json["run"]["degraded"] is True
    assert [run.status for run in sqlite_stores.runs.recent(2)] == [RunStatus.UNCHANGED, RunStatus.FAILED]


def test_a_day_that_shrinks_too_much_has_its_own_exit_code(
    jobs: CommandLine, shop: Shop, sqlite_stores: Stores
) -> None:
    lost = shop.insert(*(Transaction("many", 1, now() - DAY) for _ in range(30)))
    jobs("refresh")
    shop.delete(*lost[:25])
    key = sorted({key for mode, key, _ in published_rows(sqlite_stores) if mode == "daily"})[-2]
    err = jobs("refresh").require_failure(5, f"transactions and more than 20: {key} (32 published, 7 counted)")
    assert "--allow-shrink" in err
    assert f"{key} (32 published, 7 counted)" in jobs("status").out
    assert jobs("refresh", REFRESH_MAX_LOSS_COUNT="25").code == 0
    shop.delete(*lost[25:27])
    result = jobs("refresh", REFRESH_MAX_LOSS_RATIO="0.2", REFRESH_MAX_LOSS_COUNT="0")
    result.require_failure(5, "lose more than 0.2 of their published transactions and more than 0:")
    result = jobs("refresh", "--allow-shrink", "--json", REFRESH_MAX_LOSS_COUNT="0")
    assert (result.code, result.json["run"]["days_kept"]) == (0, 0)
    assert sqlite_stores.runs.recent(1)[0].command == f"refresh {shop.url} --look-back 3 --allow-shrink"
    assert published_rows(sqlite_stores) == shop.summaries()


def test_days_that_are_kept_are_reported(jobs: CommandLine, shop: Shop, sqlite_stores: Stores) -> None:
    jobs("refresh")
    before = published_rows(sqlite_stores)
    shop.collection.delete_many({"createdAt": {"$lt": now() - 2.5 * DAY}})
    result = jobs("refresh")
    key = sorted({key for mode, key, _ in before if mode == "daily"})[-4]
    protected = (
        f"1 day(s) from {key} to {key} keep their 2 published transactions, although the source has 0 of them now"
    )
    assert result.code == 0
    assert result.err.startswith(f"Warning: {protected}")
    assert f"  warning    {protected}" in jobs("status").out
    assert "days kept    1" in jobs("status", "2").out
    assert published_rows(sqlite_stores) == before
    result = jobs("verify")
    assert result.code == 0
    assert "No drift: generation 1 equals the source, except 6 day(s) that keep their totals, in " in result.out
    assert result.err.startswith("Warning: 6 day(s) from ")
    output = jobs("verify", "--json", "--to", sorted(key for mode, key, _ in before if mode == "daily")[-1]).json
    assert [set(one.values()) - {2, 0} for one in output["days_kept"]] == [{one["key"]} for one in output["days_kept"]]
    assert (output["drifted"], len(output["days_kept"]), len(output["warnings"])) == (0, 7, 1)


@pytest.mark.parametrize("source", ["export.bson", "-", "missing.bson"])
def test_an_export_cannot_be_the_source_of_a_refresh(jobs: CommandLine, sqlite_stores: Stores, source: str) -> None:
    write_bson(jobs.folder / "export.bson", ten_days())
    err = jobs("refresh", source).require_failure(2, f"{source} is not a live collection")
    assert "use rebuild for exports" in err
    assert sqlite_stores.runs.recent(1) == []


def test_a_missing_source_is_a_usage_error(jobs: CommandLine) -> None:
    jobs("refresh", SOURCE_URL="").require_failure(2, "no SOURCE is given, and SOURCE_URL is not set")


@pytest.mark.parametrize(
    "options",
    [("--updated-field", "a..b"), ("--where", "paid"), ("--amount-field", "createdAt")],
)
def test_meaningless_options_are_refused_before_the_run(
    jobs: CommandLine, sqlite_stores: Stores, options: tuple[str, ...]
) -> None:
    jobs("refresh", *options).require_failure(2)
    assert sqlite_stores.runs.recent(1) == []


def test_changed_field_options_are_refused(jobs: CommandLine, sqlite_stores: Stores) -> None:
    jobs("refresh")
    jobs("refresh", "--where", "status=paid").require_failure(1, "the store was built with other settings: where")
    assert len(sqlite_stores.runs.recent(9)) == 1


def test_the_filter_is_that_of_the_store(jobs: CommandLine, shop: Shop, sqlite_stores: Stores) -> None:
    shop.insert(Transaction("paid", 5, now()), status="paid")
    paid = ("refresh", "--where", "status=paid")
    assert "Counted 1, rejected 0, filtered out 20" in jobs(*paid).out
    shop.insert(Transaction("paid", 6, now()), status="paid")
    assert jobs(*paid).code == 0
    assert {merchant for _, _, merchant in published_rows(sqlite_stores)} == {"paid", None}
    assert sqlite_stores.runs.recent(1)[0].command == f"refresh {shop.place} --look-back 3 --where status=paid"


def test_no_password_is_ever_shown(jobs: CommandLine, shop: Shop, sqlite_stores: Stores) -> None:
    """Neither the password of a user nor those in options of the URL, on success and failure."""
    shop.collection.drop_indexes()
    optioned = with_option(shop.url, "appName=s3cret")
    assert jobs("refresh", optioned).code == 0
    shop.collection.insert_one({"merchantId": "a", "amount": "much", "createdAt": now() - 2 * DAY})
    result = [jobs("refresh", optioned, "--max-reject-ratio", "1"), jobs("refresh", optioned)]
    assert [one.code for one in result] == [0, 3]
    verify = ("verify", optioned, "--look-back", "0")
    result += [jobs(*verify, "--max-reject-ratio", "1"), jobs(*verify, "--repair")]
    assert [one.code for one in result] == [0, 3, 0, 3]
    of_user = with_user(shop.url, "reader:s3cret")
    not_right = [
        of_user.replace("s3cret", "s3cret/@"),
        of_user.replace(f"/{database_of(shop.url)}", "/"),
        f"{optioned}&x",
    ]
    quickly = {"SOURCE_TIMEOUT_S": "1", "SOURCE_RETRIES": "0"}
    failed = [jobs("refresh", url, **quickly) for url in (of_user, *not_right)]
    failed.append(jobs("refresh", "--json", SOURCE_URL=of_user, **quickly))
    assert {one.code for one in failed} == {1, 2}
    result += failed
    result += [jobs("status"), jobs("status", "--json")]
    assert len(sqlite_stores.runs.recent(9)) > 4
    output = [*(one.out + one.err for one in result), repr(sqlite_stores.runs.recent(99))]
    quarantined = list((jobs.folder / "quarantine").iterdir())
    assert len(quarantined) == 3
    output += [file.name + file.read_text() for file in quarantined]
    assert not [one for one in output if "s3cret" in one]


def test_a_missing_server_is_reported_and_recorded(jobs: CommandLine, sqlite_stores: Stores) -> None:
    quick = {"SOURCE_TIMEOUT_S": "0.3", "SOURCE_RETRIES": "0"}
    jobs("refresh", "mongodb://127.0.0.1:1/shop", **quick).require_failure(1, "mongodb://127.0.0.1:1/shop")
    run = sqlite_stores.runs.recent(1)[0]
    assert (run.status, run.generation) == (RunStatus.FAILED, None)
    assert sqlite_stores.summaries.published() is None
