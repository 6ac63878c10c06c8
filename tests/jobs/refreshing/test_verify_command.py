"""The ``verify`` command: drift, repair and exit codes."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from command_line import CommandLine
from live_shop import JobRunner, Shop
from transactions import Transaction, bson_of, published_rows, spread, write_bson

from core.stores import Stores
from core.stores.runs import RunStatus

pytest_plugins = ["refreshing_fixtures"]

DAY = timedelta(days=1)
DRIFT = 4


def now() -> datetime:
    """By the clock of the command line."""
    return datetime.now(UTC).replace(microsecond=0)


def ten_days() -> list[Transaction]:
    """Two transactions a day up to today."""
    return [Transaction(merchant, 10 * days + 1, now() - days * DAY) for days in range(10) for merchant in ("a", 7)]


@pytest.fixture
def jobs(shop: Shop, sqlite_stores: Stores, tmp_path: Path) -> CommandLine:
    """A command line whose store is what its source holds."""
    shop.index()
    shop.insert(*ten_days())
    JobRunner(sqlite_stores, shop, tmp_path, now()).refresh()
    return CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path / 'summaries.db'}", SOURCE_URL=shop.url)


def day_before_the_look_back(stores: Stores) -> str:
    """The key of the last day that is compared by itself: three before the last one that is published are not."""
    keys = [key for mode, key, _ in published_rows(stores) if mode == "daily"]
    return sorted(set(keys))[-5]


def test_a_store_without_drift_is_reported(jobs: CommandLine, sqlite_stores: Stores) -> None:
    result = jobs("verify")
    assert (result.code, result.err) == (0, "")
    last_key = day_before_the_look_back(sqlite_stores)
    assert result.out.splitlines()[:2] == [
        f"Recounted 20 documents and compared the days from the first day to {last_key}.",
        "Later days are not compared, because the next refresh recomputes them. --to compares them too.",
    ]
    assert "No drift: generation 1 equals the source, in " in result.out
    assert len(sqlite_stores.runs.recent(9)) == 1


def test_standard_input_that_must_be_read_twice_is_refused(tmp_path: Path) -> None:
    """Whether a day that lost documents has drifted depends on older documents, which were not counted."""
    history = spread(["a", "b"], days=20, first=date(2024, 4, 1))
    write_bson(tmp_path / "all.bson", history)
    less = bson_of(history[:-1])
    write_bson(tmp_path / "less.bson", history[:-1])
    write_bson(tmp_path / "old.bson", history[:4])
    jobs = CommandLine(tmp_path)
    assert jobs("rebuild", "all.bson").code == 0
    last_day = ["--from", "1403/02/01", "--to", "1403/02/01"]
    assert jobs("verify", "-", *last_day, stdin=bson_of(history)).code == 0
    assert jobs("verify", "less.bson", *last_day).code == DRIFT
    for more in ([], ["--repair"], ["old.bson"]):
        result = jobs("verify", "-", *more, *last_day, stdin=less)
        assert "Save it to a file first" in result.require_failure(2, "standard input cannot be read again")
    assert jobs("verify", "-", stdin=less).code == DRIFT
    assert jobs("summary", "--mode", "daily", "--type", "count", "--from", "1403/02/01").out.count(" 2\n") == 1


def test_drift_is_printed_as_a_table_with_its_own_exit_code(
    jobs: CommandLine, shop: Shop, sqlite_stores: Stores
) -> None:
    shop.insert(Transaction("late", 1234, now() - 9 * DAY))
    before = published_rows(sqlite_stores)
    result = jobs("verify")
    assert (result.code, result.err) == (DRIFT, "")
    lines = result.out.splitlines()
    heading = lines.index(next(line for line in lines if line.startswith("mode")))
    assert lines[heading].split("  ")[0] == "mode"
    table = lines[heading + 1 : heading + 7]
    assert [line.split()[0] for line in table] == ["daily"] * 2 + ["weekly"] * 2 + ["monthly"] * 2
    (day, (amount, count)), *_ = sorted(
        (key, sums) for (mode, key, of), sums in before.items() if mode == "daily" and not of
    )
    assert table[0].split() == [
        "daily", day, "all", "together", f"{amount:,}", f"{amount + 1234:,}", f"{count}", f"{count + 1}",
    ]  # fmt: skip
    assert table[1].split() == ["daily", day, "late", "0", "1,234", "0", "1"]
    assert lines[-2].startswith("6 summaries of generation 1 have drifted, found in ")
    assert lines[-1] == "Correct them with the same command and --repair."
    assert published_rows(sqlite_stores) == before


def test_a_repair_makes_the_next_verification_clean(jobs: CommandLine, shop: Shop, sqlite_stores: Stores) -> None:
    shop.insert(Transaction("late", 1234, now() - 9 * DAY))
    result = jobs("verify", "--repair", "--limit", "2")
    assert (result.code, result.err) == (0, "")
    assert "… and 4 more; see them with --limit 6." in result.out
    assert result.out.rstrip().endswith("Repaired: 1 day(s) changed by generation 2 (run 2).")
    run = sqlite_stores.runs.recent(1)[0]
    assert (run.status, run.command) == (RunStatus.PUBLISHED, f"verify {shop.place} --repair")
    assert published_rows(sqlite_stores) == shop.summaries()
    assert "No drift: generation 2 equals the source" in jobs("verify", "--repair").out
    assert sqlite_stores.runs.recent(1)[0].status is RunStatus.UNCHANGED


def test_json_output_has_the_drift(jobs: CommandLine, shop: Shop, sqlite_stores: Stores) -> None:
    clean = jobs("verify", "--json").json
    assert (clean["drifted"], clean["drift"], clean["repaired_by"]) == (0, [], None)
    assert (clean["last_day_key"], clean["left_to_refresh"]) == (day_before_the_look_back(sqlite_stores), True)
    shop.insert(Transaction("late", 1234, now() - 9 * DAY))
    result = jobs("verify", "--json", "--limit", "2")
    assert result.code == DRIFT
    assert result.json["drifted"] == 6
    assert len(result.json["drift"]) == 2
    assert result.json["drift"][1] | {"key": ""} == {
        "mode": "daily", "key": "", "merchant_id": "late",
        "amount": 0, "recounted_amount": 1234, "count": 0, "recounted_count": 1,
    }  # fmt: skip
    assert result.json["counts"] == {"read": 21, "counted": 13, "rejected": 0, "filtered": 0, "out_of_range": 8}
    repaired = jobs("verify", "--json", "--repair")
    assert repaired.code == 0
    assert repaired.json["repaired_by"]["generation"] == 2
    assert repaired.json["compared_with"]["generation"] == 1


def test_the_compared_days_are_options(jobs: CommandLine, shop: Shop, sqlite_stores: Stores) -> None:
    shop.insert(Transaction("late", 1234, now() - 9 * DAY))
    keys = sorted({key for mode, key, _ in published_rows(sqlite_stores) if mode == "daily"})
    result = jobs("verify", "--from", keys[1], "--look-back", "1")
    assert result.code == 0
    assert f"compared the days from {keys[1]} to {keys[-3]}." in result.out
    assert f"to {keys[-6]}." in jobs("verify", REFRESH_LOOK_BACK_DAYS="4").out
    result = jobs("verify", "--to", keys[-1])
    assert f"to {keys[-1]}." in result.out
    assert "the next refresh" not in result.out
    assert jobs("verify", "--from", keys[0], "--to", keys[0]).code == DRIFT
    jobs("verify", "--from", keys[1], "--to", keys[0]).require_failure(2, "is after --to")
    jobs("verify", "--from", "yesterday").require_failure(2)


def test_exports_can_be_verified(tmp_path: Path, sqlite_stores: Stores) -> None:
    jobs = CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path / 'summaries.db'}")
    jobs("verify", write_bson(tmp_path / "a.bson", ten_days()[::2])).require_failure(1, "nothing is published yet")
    write_bson(tmp_path / "b.bson", ten_days()[1::2])
    assert jobs("rebuild", "a.bson", "b.bson").code == 0
    result = jobs("verify", "a.bson", "b.bson")
    assert result.code == 0
    assert "compared the days from the first day to the last." in result.out
    assert jobs("verify", "a.bson").code == DRIFT
    jobs("verify", "missing.bson").require_failure(1)


def test_verify_does_not_create_a_store(tmp_path: Path) -> None:
    jobs = CommandLine(tmp_path, STORE_URL=f"sqlite:///{tmp_path / 'none.db'}")
    jobs("verify", write_bson(tmp_path / "a.bson", ten_days())).require_failure(1)
    failed = jobs("verify", "a.bson", "--repair", "--json")
    assert failed.code == 1
    assert json.loads(failed.out)["error"]["type"] == "StoreMissing"
    assert not (tmp_path / "none.db").exists()
