"""``python -m jobs`` as it is really started: what it loads, and that it works from nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from command_line import ROOT, CommandLine
from transactions import spread, write_bson

HEAVY = ("numba", "polars", "pyarrow", "pymongo", "rich", "pandas", "numpy", "pydantic")


def test_the_command_line_itself_loads_nothing_heavy() -> None:
    """Else ``--help`` and every misspelt option would take a second."""
    script = f"import jobs.__main__, sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_help_loads_nothing_heavy_either() -> None:
    script = (
        "import sys, jobs.__main__ as m\n"
        "sys.argv = ['jobs', 'rebuild', '--help']\n"
        "try: m.app()\n"
        f"finally: print(*[n for n in {HEAVY} if n in sys.modules and n != 'pydantic'], file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--truncate" in run.stdout
    assert "[default: STORE_URL]" in " ".join(run.stdout.split())
    assert run.stderr.split() == []


def test_garbage_is_collected_once_a_verb_runs(tmp_path: Path) -> None:
    script = (
        "import gc, runpy, sys, core.command_line as c\n"
        "imported = c.store_named\n"
        "seen = lambda: print(gc.isenabled(), gc.get_freeze_count() > 10_000)\n"
        "c.store_named = lambda *a, **b: seen() or imported(*a, **b)\n"
        "sys.argv = ['jobs', 'status', '--store', 'sqlite:///missing.db']\n"
        "runpy.run_module('jobs', run_name='__main__')\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stdout.split()) == (1, ["True", "True"])


def test_help_lists_every_verb(tmp_path: Path) -> None:
    jobs = CommandLine(tmp_path)
    shown = jobs.cold("--help")
    assert shown.code == 0
    for verb in ("rebuild", "status", "summary", "sample"):
        assert f" {verb} " in shown.out
    assert list(tmp_path.iterdir()) == []


def test_a_rebuild_from_nothing_with_all_defaults(tmp_path: Path) -> None:
    jobs = CommandLine(tmp_path)
    write_bson(tmp_path / "shop.bson", spread(["a"], days=3))
    rebuilt = jobs.cold("rebuild", "shop.bson")
    assert (rebuilt.code, rebuilt.err) == (0, "")
    assert "Counted 3, rejected 0" in rebuilt.out
    assert (tmp_path / "summaries.db").exists()
    shown = jobs.cold("summary", "--mode", "daily", "--type", "count", "--json")
    assert [json.loads(point)["value"] for point in shown.out.splitlines()] == [1, 1, 1]


def test_a_bson_file_into_sqlite_loads_neither_pyarrow_nor_pymongo(tmp_path: Path) -> None:
    write_bson(tmp_path / "shop.bson", spread(["a"], days=3))
    script = (
        "import runpy, sys\n"
        "sys.argv = ['jobs', 'rebuild', 'shop.bson']\n"
        "try: runpy.run_module('jobs', run_name='__main__')\n"
        "finally: print(*[name for name in ('pyarrow', 'pymongo', 'polars') if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stdout.splitlines()[-1]) == (0, "polars")


def test_the_thread_that_imports_pyarrow_may_end_before_others_read_parquet(tmp_path: Path) -> None:
    """With its default allocator, PyArrow 25.0.0 would crash; see `jobs`."""
    rows = [(merchant, amount, datetime.fromtimestamp(0, UTC)) for merchant, amount in (("a", 1), ("b", 2))]
    pl.DataFrame(rows, ["merchantId", "amount", "createdAt"], orient="row").write_parquet(tmp_path / "shop.parquet")
    rebuilt = CommandLine(tmp_path).cold("rebuild", "shop.parquet")
    assert (rebuilt.code, rebuilt.err) == (0, "")
    assert "Counted 2, rejected 0" in rebuilt.out


def test_a_failure_ends_the_process_with_its_exit_code(tmp_path: Path) -> None:
    jobs = CommandLine(tmp_path)
    jobs.cold("status").require_failure(1, "there is no store at summaries.db")
    assert jobs.cold("rebuild").code == 2
