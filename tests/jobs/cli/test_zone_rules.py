"""Time zone rules of a store: other rules are refused, missing ones are adopted once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from command_line import CommandLine
from foreign_writer import ForeignWriter
from transactions import published_rows, spread, summaries_of, write_bson
from tz_databases import tz_database

from core.calendar.zones import rules_digest_here, rules_source
from core.stores import open_stores

DAYS = ("--from", "1403/01/01", "--to", "1403/01/02")
SALES = spread(["a", "b"], days=12)
# Put forward at noon of 1403/01/01, which therefore ends an hour earlier than by the rules of the program.
OTHER = "Zone Asia/Tehran 3:30 - +0330 2024 Mar 20 12:00\n 4:30 - +0430\n"


@pytest.fixture
def jobs(store_url: str, tmp_path: Path) -> CommandLine:
    """A command line whose store holds `SALES`."""
    write_bson(tmp_path / "sales.bson", SALES)
    jobs = CommandLine(tmp_path, STORE_URL=store_url)
    assert jobs("rebuild", "sales.bson").code == 0
    return jobs


def recorded(store_url: str) -> str | None:
    with open_stores(store_url, timeout_s=10, create=False) as stores:
        published = stores.summaries.published()
        assert published is not None
        assert published_rows(stores) == summaries_of(SALES)
        return published.fingerprint.zone_rules


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_with_other_time_zone_rules_only_a_full_rebuild_is_allowed(
    jobs: CommandLine, store_url: str, tmp_path: Path, missing: Callable[[str], NoReturn]
) -> None:
    folder = tz_database(tmp_path / "zones", OTHER, missing)
    other = CommandLine(tmp_path, STORE_URL=store_url, PYTHONTZPATH=str(folder))
    moved = "1403/01/01 is the first published day whose boundaries change"
    err = other.cold("rebuild", "sales.bson", *DAYS).require_failure(1, moved)
    assert f"those of {rules_source()} (" in err
    assert f"in the store and those of PYTHONTZPATH={folder} (" in err
    assert recorded(store_url) == rules_digest_here("Asia/Tehran", "jalali")
    assert other.cold("rebuild", "sales.bson", "--truncate").code == 0
    for command in (
        ("rebuild", "sales.bson", *DAYS),
        ("refresh", "mongodb://127.0.0.1:1/shop"),
        ("verify", "sales.bson", "--repair"),
        ("verify", "sales.bson"),
    ):
        err = jobs(*command).require_failure(1, f"are those of PYTHONTZPATH={folder} (")
        assert moved in err
        assert "--truncate" in err
    assert (
        f"different from those of this host ({rules_source()}), which can only run rebuild --truncate"
        in jobs("status").out
    )
    assert len(jobs("status", "--json").json["runs"]) == 2, "a run that is refused does not begin"
    ForeignWriter(store_url).set_zone_rules(None)
    assert moved in jobs("rebuild", "sales.bson", *DAYS).err, "the warning of rules that are adopted"


@pytest.mark.parametrize("store_url", ["sqlite", "mongo"], indirect=True)
def test_other_time_zone_rules_are_refused_even_without_effect(jobs: CommandLine, store_url: str) -> None:
    ForeignWriter(store_url).set_zone_rules("0" * 64)
    err = jobs("rebuild", "sales.bson", *DAYS).require_failure(1, "are those of tzdata 1999.1 (00000000) in the store")
    assert f"those of {rules_source()} (" in err
    assert "the boundaries of the published days do not change" in err
    assert jobs("status", "--json").json["zone_rules_agree"] is False
    assert recorded(store_url) == "0" * 64


@pytest.mark.parametrize(
    "command", [("rebuild", "sales.bson", *DAYS), ("verify", "sales.bson", "--repair")], ids=["rebuild", "verify"]
)
def test_a_store_without_time_zone_rules_adopts_them_with_a_warning(
    jobs: CommandLine, store_url: str, command: tuple[str, ...]
) -> None:
    """Also where nothing else changes."""
    ForeignWriter(store_url).set_zone_rules(None)
    assert jobs("status", "--json").json["zone_rules_agree"] is None
    assert "rules      not recorded" in jobs("status").out
    for _ in range(2):
        assert jobs(*command).code == 0
    runs = jobs("status", "--json").json["runs"]
    assert [len(run["warnings"]) for run in runs] == [0, 1, 0]
    assert "had no recorded time zone rules of Asia/Tehran" in runs[1]["warnings"][0]
    assert "the boundaries of the published days do not change" in runs[1]["warnings"][0]
    assert "the boundaries of the published days do not change" in runs[1]["warnings"][0]
    assert recorded(store_url) == rules_digest_here("Asia/Tehran", "jalali")
    assert jobs("status", "--json").json["zone_rules_agree"] is True


def test_verify_without_repair_records_no_time_zone_rules(jobs: CommandLine, store_url: str) -> None:
    ForeignWriter(store_url).set_zone_rules(None)
    result = jobs("verify", "sales.bson")
    assert (result.code, result.err) == (0, "")
    assert recorded(store_url) is None


def test_a_full_rebuild_records_the_time_zone_rules(jobs: CommandLine, store_url: str) -> None:
    ForeignWriter(store_url).set_zone_rules(None)
    assert jobs("rebuild", "sales.bson", "--truncate").code == 0
    assert [run["warnings"] for run in jobs("status", "--json").json["runs"]] == [[], []]
    assert recorded(store_url) == rules_digest_here("Asia/Tehran", "jalali")
