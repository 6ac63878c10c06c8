"""The ``merchants`` command: import, list, show and remove merchant names."""

from __future__ import annotations

import random
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_line import CommandLine
from effort import THOROUGH
from transactions import Transaction, write_bson

from core.stores import open_stores

NOON = datetime(2024, 6, 24, 12, tzinfo=UTC)
NAMES = "id,name,language\n42,گلستان,fa\n42,Golestan,en\ntea,چای‌خانه,fa\nnone,هیچ,fa\n"


@pytest.fixture
def jobs(tmp_path: Path) -> CommandLine:
    """A command line without a store, in a folder with names and an export."""
    (tmp_path / "names.csv").write_text(NAMES, "utf-8")
    write_bson(tmp_path / "shop.bson", [Transaction(one, 5, NOON) for one in (42, "tea", "other")])
    return CommandLine(tmp_path)


def test_merchant_names_are_imported_listed_removed_and_survive_a_rebuild(jobs: CommandLine) -> None:
    result = jobs("merchants", "import", "names.csv")
    assert (result.code, result.err) == (0, "")
    assert result.out == ("Imported 4 names of 3 merchants from names.csv: 4 new, 0 changed, 0 unchanged, 0 removed.\n")
    assert jobs("rebuild", "--truncate", "shop.bson").code == 0
    again = jobs("merchants", "import", "names.csv")
    assert again.out.endswith(": 0 new, 0 changed, 4 unchanged, 0 removed.\n")
    assert "1 of these merchants have no summaries: none." in again.err
    assert "1 merchants with summaries have no name" in again.err
    assert jobs("merchants", "list", "--unnamed", "--json").json_lines == [{"id": "other"}]
    assert jobs("merchants", "list", "--search", "چاي خانه").out == (
        "merchant  language  name\ntea       fa        چای‌خانه\n"
    )
    listed = jobs("merchants", "list", "--json")
    assert listed.json_lines[:2] == [
        {"id": "42", "name": "گلستان", "language": "fa"},
        {"id": "42", "name": "Golestan", "language": "en"},
    ]
    top = jobs("query", "top_merchants", "--locale", "en", "--json").json_lines
    assert {one["merchant_id"]: one["merchant_name"] for one in top} == {
        "42": "Golestan",
        "tea": "چای‌خانه",
        "other": None,
    }
    shown = jobs("summary", "--mode", "daily", "--type", "count", "--merchant-id", "42")
    assert shown.err == "Merchant 42: گلستان, Golestan.\n"
    assert "The merchant with that name is 42." in jobs(
        "summary", "--mode", "daily", "--type", "count", "--merchant-id", "golestan"
    ).require_failure(1, "there is no merchant golestan")
    assert jobs("merchants", "remove", "42", "--language", "en").out == "Names removed: 1. Merchants with a name: 3.\n"
    assert jobs("merchants", "remove", "--all", "--dry-run", "--json").json == {
        "removed": 3, "merchants": 0, "dry_run": True,
    }  # fmt: skip
    stdin = listed.out.encode()
    assert jobs("merchants", "import", "-", "--replace", "--json", stdin=stdin).json == {
        "source": "standard input", "rows": 4, "added": 1, "changed": 0, "unchanged": 3, "removed": 0, "merchants": 3,
        "unknown": 1, "unnamed": 1, "dry_run": False,
    }  # fmt: skip


def test_one_invalid_row_prevents_the_whole_import(jobs: CommandLine) -> None:
    assert jobs("merchants", "import", "names.csv").code == 0
    (jobs.folder / "wrong.csv").write_text("id,name,language\n42,New,en\n43,,en\n44,x,tr\n", "utf-8")
    result = jobs("merchants", "import", "wrong.csv", "--replace")
    assert result.code == 3
    assert result.err.splitlines() == [
        "Warning: wrong.csv, line 3: name is missing.",
        "Warning: wrong.csv, line 4: language is tr, but must be fa or en.",
        "Error: 2 of 3 rows of wrong.csv are invalid, the first at line 3: name is missing; nothing was imported.",
        "Correct the source, and import it again.",
    ]
    lines = jobs("merchants", "import", "wrong.csv", "--json").json_lines
    assert lines[0]["wrong_rows"][0] == {"place": "line 3", "reason": "name is missing"}
    assert lines[1]["error"]["exit_code"] == 3
    with open_stores(f"sqlite:///{jobs.folder / 'summaries.db'}", timeout_s=10, create=False) as stores:
        assert stores.merchant_names.read().by_merchant["42"] == {"fa": "گلستان", "en": "Golestan"}


def test_a_dry_run_of_an_import_changes_nothing(jobs: CommandLine) -> None:
    assert jobs("merchants", "import", "names.csv").code == 0
    (jobs.folder / "new.csv").write_text("id,name\n42,New\n", "utf-8")
    result = jobs("merchants", "import", "new.csv", "--language", "en", "--replace", "--dry-run", "--json")
    assert {name: result.json[name] for name in ("added", "changed", "unchanged", "removed", "dry_run")} == {
        "added": 0, "changed": 1, "unchanged": 3, "removed": 0, "dry_run": True,
    }  # fmt: skip
    assert "New" not in jobs("merchants", "list").out


def test_removing_names_needs_merchants_or_all(jobs: CommandLine) -> None:
    for arguments in ((), ("42", "--all")):
        jobs("merchants", "remove", *arguments).require_failure(2, "give either ids of merchants or --all")


def test_names_are_imported_into_every_store(jobs: CommandLine, store_url: str) -> None:
    assert jobs("merchants", "import", "names.csv", "--store", store_url).code == 0
    listed = jobs("merchants", "list", "--json", "--store", store_url).json_lines
    assert [(one["id"], one["language"]) for one in listed] == [
        ("42", "fa"), ("42", "en"), ("none", "fa"), ("tea", "fa"),
    ]  # fmt: skip


def test_a_killed_import_leaves_the_old_names_or_the_new_ones(jobs: CommandLine, store_url: str) -> None:
    """At every statement of a whole import, or at every few from a random one on."""
    stride = 1 if THOROUGH else 5
    states: dict[str, dict[str, dict[str, str]]] = {
        one: {f"{one}-{number}": {"fa": f"نام {number}", "en": f"{one} {number}"} for number in range(20)} | both
        for one, both in (("old", {"42": {"en": "Old"}}), ("new", {"42": {"fa": "نو"}}))
    }
    for one, names in states.items():
        rows = [
            f"{merchant_id},{name},{language}"
            for merchant_id, texts in names.items()
            for language, name in texts.items()
        ]
        (jobs.folder / f"{one}.csv").write_text("\n".join(["id,name,language", *rows]), "utf-8")
    assert jobs("merchants", "import", "old.csv", "--store", store_url).code == 0
    current, outcomes, kills = "old", set(), 0
    with open_stores(store_url, timeout_s=10, create=False) as stores:
        for calls in range(random.randint(1, stride), 1000, stride):
            wanted = "new" if current == "old" else "old"
            result = jobs("merchants", "import", f"{wanted}.csv", "--replace", "--store", store_url, signal_after=calls)
            found = stores.merchant_names.read().by_merchant
            if result.code == 0:
                break
            kills += 1
            assert result.code == -signal.SIGKILL, result
            assert found in (states[current], states[wanted]), f"killed after {calls} calls"
            outcomes.add("new" if found == states[wanted] else "old")
            current = wanted if found == states[wanted] else current
    assert found == states[wanted], "the import that nobody killed replaced the names, whatever the others left behind"
    assert kills > 1
    assert outcomes >= ({"old", "new"} if THOROUGH else {"old"})
