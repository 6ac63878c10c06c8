"""The examples of `docs/extending.md`, applied and run."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
import test_runs_conformance as conformance
import test_runs_pruning as pruning
from delivery_parts import delivery_harness
from pages import ROOT, Block, blocks, commands

from core.calendar import Mode
from core.notifications.events import LogStatus
from core.settings import Settings
from core.stores import Stores, current_holder, open_stores
from notifier.senders.registry import senders_from

PAGE: Final = "docs/extending.md"
TIMEOUT_S: Final = 60
ORDERS: Final = [("a", 100, 1_719_230_400), ("a", 50, 1_719_316_800), ("b", 7, 1_719_576_000)]
"""Merchant, amount, and seconds since 1970: Monday 24 June 2024, the Tuesday, and the Friday."""


def _files() -> dict[str, str]:
    """The files that the page adds, with their content."""
    found = {}
    for block in blocks(PAGE, "python"):
        first, _, content = block.text.partition("\n")
        found[first.removeprefix("# ")] = content
    return found


def _apply(block: Block, program: Path) -> None:
    """Apply a block that is a diff."""
    header, *hunks = block.text.split("@@\n")
    file = program / header.split("+++ b/")[1].strip()
    for hunk in hunks:
        lines = hunk.splitlines()
        before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
        after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
        content = file.read_text()
        assert content.count(before) == 1, f"{block} does not fit {file.name} any more"
        file.write_text(content.replace(before, after))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program with the additions and changes of the page, and the files of its commands."""
    folder = tmp_path_factory.mktemp("extended")
    unchanged = shutil.ignore_patterns("__pycache__", "decode", "aggregate")
    for package in ("core", "jobs", "notifier", "sql"):
        shutil.copytree(ROOT / package, folder / package, ignore=unchanged)
    # What is compiled stays where it is: Numba knows it by its path.
    (folder / "jobs" / "__init__.py").write_text(f"__path__.append({str(ROOT / 'jobs')!r})\n")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "spool").mkdir()
    for name, content in _files().items():
        (folder / name).write_text(content)
    for block in blocks(PAGE, "diff"):
        _apply(block, folder)
    documents = [
        {"merchantId": merchant, "amount": amount, "createdAt": {"$date": 1000 * at}} for merchant, amount, at in ORDERS
    ]
    (folder / "orders.jsonl").write_text("".join(f"{json.dumps(document)}\n" for document in documents))
    with sqlite3.connect(folder / "shop.db") as shop:
        shop.execute("CREATE TABLE transactions (merchantId TEXT, amount INTEGER, createdAt INTEGER)")
        shop.executemany("INSERT INTO transactions VALUES (?, ?, ?)", ORDERS)
    shop.close()
    return folder


def _run(program: Path, command: str) -> str:
    ended = subprocess.run(
        ["bash", "-euc", command],
        cwd=program,
        env={name: os.environ[name] for name in ("PATH", "HOME", "NUMBA_CACHE_DIR") if name in os.environ},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    assert "Traceback" not in ended.stderr
    return ended.stdout


def _command(with_text: str) -> str:
    """The one block of commands that has `with_text` in it."""
    found = [block for block in blocks(PAGE, "sh") if with_text in block.text]
    assert len(found) == 1
    return "\n".join(commands(found[0]))


def test_standard_input_of_an_example_is_read(program: Path) -> None:
    assert "Counted 3, rejected 0" in _run(program, _command("orders.jsonl |"))


def test_the_example_source_is_detected_and_counted(program: Path) -> None:
    output = _run(program, _command("sqlite:///shop.db"))
    assert "Read 3 documents from 1 source(s): SQLite table." in output
    assert "Counted 3, rejected 0" in output
    with open_stores(f"sqlite:///{program}/summaries.db", timeout_s=10, create=False) as stores:
        days = stores.summaries.series(Mode.DAILY, "amount", None)
    assert days == [("1403/04/04", 100), ("1403/04/05", 50), ("1403/04/08", 7)]


def test_the_example_calendar_has_its_own_weeks(program: Path) -> None:
    output = _run(program, f"export STORE_URL=sqlite:///sunday.db\n{_command('CALENDAR=sunday')}")
    assert "2024-W26" in output  # from Sunday 23 June; the week of ISO 8601 begins on the 24th
    code = (
        "from core.calendar import Mode, calendar_named\n"
        "print([calendar_named('sunday').parse(Mode.WEEKLY, key).first_day for key in ('2024-W26', '2024-W01')])"
    )
    assert _run(program, f'.venv/bin/python -c "{code}"') == "[19897, 19722]\n"  # 23 June 2024, 31 December 2023


def test_the_example_channel_sends_a_test_message(program: Path) -> None:
    _run(program, _command("PagerSender"))
    (paged,) = (program / "spool").iterdir()
    assert paged.read_text().startswith("4711\n")


def test_the_example_channel_delivers(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store_url: str
) -> None:
    monkeypatch.syspath_prepend(str(program))
    monkeypatch.setenv("PAGER_SPOOL", str(tmp_path))
    monkeypatch.delitem(sys.modules, "pager", raising=False)
    senders = senders_from(Settings(notify_senders="pager=pager.PagerSender"))
    with delivery_harness(store_url, senders) as here:
        here.stores.contacts.replace("u1", {"pager": "4711"})
        sent = here.add("pager", body="Come")
        here.delivery().deliver(sent)
        assert here.log(sent, "pager").state.status is LogStatus.SUCCESS
        here.stores.contacts.replace("u1", {"pager": "none"})
        refused = here.add("pager")
        here.delivery().deliver(refused)
        assert here.log(refused, "pager").state.status is LogStatus.DEAD
    (paged,) = tmp_path.glob("*.txt")
    assert paged.read_text() == "4711\ntitle\nCome\n"


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _conformance_tests() -> list[Callable[..., None]]:
    """The conformance tests that need no URL, because this store has none."""
    requested = {"stores", "clock", "dead_holder"}
    found = [
        test
        for module in (conformance, pruning)
        for name, test in vars(module).items()
        if name.startswith("test_") and inspect.signature(test).parameters.keys() <= requested
    ]
    return [test for test in found if "publications" not in test.__name__]


@pytest.fixture
def stores(tmp_path: Path, program: Path) -> Iterator[tuple[Stores, Any]]:
    """A store whose ledger is that of the page, and its clock."""
    clock = conformance.Clock()
    (tmp_path / "runs").mkdir()
    with open_stores(f"sqlite:///{tmp_path}/s.db", timeout_s=10, clock=clock) as opened:
        ledger = _loaded(program / "core" / "stores" / "files.py").FileRunLedger
        yield replace(opened, runs=ledger(tmp_path / "runs", clock, opened.summaries.published)), clock


@pytest.mark.parametrize("test", _conformance_tests(), ids=lambda test: test.__name__)
def test_the_example_store_passes_the_conformance_tests(stores: tuple[Stores, Any], test: Callable[..., None]) -> None:
    given = {"stores": stores[0], "clock": stores[1]}
    requested = inspect.signature(test).parameters
    if "dead_holder" in requested:
        ended = subprocess.Popen(["true"])
        ended.wait(timeout=TIMEOUT_S)
        given["dead_holder"] = replace(current_holder(), process_id=ended.pid)
    test(**{name: given[name] for name in requested})


def test_enough_of_the_conformance_suite_is_run() -> None:
    assert len(_conformance_tests()) >= 15
