"""The notebook, run from its first cell to its last."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import altair
import nbformat
import polars as pl
import pytest
from command_line import ROOT, CommandLine
from effort import MONGODB_IF_THOROUGH
from nbclient import NotebookClient

NOTEBOOK = ROOT / "notebooks/summaries.py"
CHARTS = ("months_chart", "merchants_chart", "weekdays_chart", "days_chart", "running_chart")
QUERIES = ("monthly_growth", "top_merchants", "weekday_profile", "unusual_days", "month_to_date", "silent_merchants")
PRINTED = ("فروردین ۱۴۰۳", "میلیون", "سه\u200cشنبه", "این ماه", "ریال")
NOT_PRINTED = ("Farvardin", "1403", "M<")


@contextmanager
def ran(monkeypatch: pytest.MonkeyPatch, **given: str) -> Iterator[Mapping[str, Any]]:
    """The definitions of the cells, with those in `given` replaced."""
    monkeypatch.syspath_prepend(str(ROOT / "notebooks"))
    _, defined = import_module("summaries").app.run(defs=given)
    try:
        yield defined
    finally:
        defined["stores"].close()
        altair.renderers.set_embed_options()


def run_python(arguments: list[str], folder: Path, **env: str) -> None:
    """Run Python with `arguments` in `folder`, where nothing of ours is on its path."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=inherited | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def fill(store_url: str, folder: Path, **settings: str) -> None:
    """Let the main job fill a store from a sample export, as the demo does."""
    jobs = CommandLine(folder, STORE_URL=store_url, **settings)
    assert jobs("sample", "sample.bson", "--transactions", "3000", "--merchants", "5").code == 0
    assert jobs("rebuild", "sample.bson", "--truncate").code == 0


@MONGODB_IF_THOROUGH
def test_every_cell_runs_over_every_store(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store_url, tmp_path, AMOUNT_SCALE="2")
    with ran(monkeypatch, store_url=store_url) as defined:
        daily = defined["daily"]
        overall = daily.filter(pl.col("merchant_id").is_null())
        assert (daily["merchant_id"].n_unique(), overall["count"].sum()) == (6, 3000)
        assert {name: defined[name].width > 0 for name in QUERIES} == dict.fromkeys(QUERIES, True)
        assert defined["monthly_growth"]["count"].sum() == 3000
        charts = {chart: defined[chart].to_dict() for chart in CHARTS}  # checked against the schema of Vega-Lite
        total = Decimal(defined["publication"].total_amount).scaleb(-2)
        assert overall["amount"].sum() == defined["monthly_growth"]["amount"].sum() == total
        assert drawn(charts["months_chart"], "amount") == pytest.approx(float(total))
        assert drawn(charts["days_chart"], "amount") == pytest.approx(float(total))
        of_top = float(defined["top_merchants"]["amount"].sum())
        assert drawn(charts["merchants_chart"], "amount") == pytest.approx(of_top)
        profile = defined["weekday_profile"].with_columns(pl.col("amount").cast(pl.Float64))
        assert profile.select(pl.col("mean_amount").dot("days")).item() == pytest.approx(float(total))
        assert drawn(charts["weekdays_chart"], "mean_amount") == pytest.approx(profile["mean_amount"].sum())
        growth = defined["monthly_growth"]["amount_growth_percent"].drop_nulls().sum()
        assert drawn(charts["months_chart"], "amount_growth_percent") == pytest.approx(growth)


def drawn(chart: dict[str, Any], column: str) -> float:
    """The sum of `column` in a chart."""
    [rows] = chart["datasets"].values()
    return sum(row[column] or 0 for row in rows)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store that no test changes."""
    folder = tmp_path_factory.mktemp("store")
    fill(f"sqlite:///{folder / 'summaries.db'}", folder)
    return f"sqlite:///{folder / 'summaries.db'}"


def test_a_merchant_can_be_chosen(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ran(monkeypatch, store_url=filled) as defined:
        options = defined["merchant"].options
        assert next(iter(options.values())) is None
        assert len(options) == 6
        chosen = list(options)[1]
    with ran(monkeypatch, store_url=filled, merchant_id=chosen) as defined:
        of_chosen = defined["daily"].filter(pl.col("merchant_id") == chosen)
        assert defined["monthly_growth"]["count"].sum() == of_chosen["count"].sum() < 3000
        data = defined["days_chart"].to_dict()["datasets"].values()
        assert {row["merchant_id"] for rows in data for row in rows} == {chosen}


def test_the_notebook_is_exported_to_html_from_any_folder(filled: str, tmp_path: Path) -> None:
    command = ["-m", "marimo", "-q", "export", "html", str(NOTEBOOK), "--output", "it.html", "--no-include-code"]
    run_python(command, tmp_path, STORE_URL=filled)
    html = (tmp_path / "it.html").read_text("utf-8")
    assert "3,000 transactions, " in html
    assert "Traceback" not in html


def test_the_jupyter_notebook_has_the_same_cells(tmp_path: Path) -> None:
    run_python(["-m", "marimo", "-q", "export", "ipynb", str(NOTEBOOK), "--output", "it.ipynb"], tmp_path)
    current = (tmp_path / "it.ipynb").read_text("utf-8")
    assert NOTEBOOK.with_suffix(".ipynb").read_text("utf-8") == current, "make jupyter writes it"


def test_jupyter_runs_every_cell(filled: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STORE_URL", filled)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    notebook: Any = nbformat.reads(NOTEBOOK.with_suffix(".ipynb").read_text("utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=150, startup_timeout=150, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert {output.output_type for output in shown} <= {"display_data", "execute_result"}
    assert sum("vega" in str(output.data) for output in shown) == len(CHARTS)


def test_charts_are_drawn_with_persian_labels_and_digits(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ran(monkeypatch, store_url=filled, locale="fa") as defined:
        drawn = ""
        for name in CHARTS:
            defined[name].save(tmp_path / "chart.svg")
            drawn += (tmp_path / "chart.svg").read_text("utf-8")
    assert [words for words in PRINTED if words not in drawn] == []
    assert [words for words in NOT_PRINTED if words in drawn] == []


def test_a_store_without_summaries_ends_it_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, url = CommandLine(tmp_path), f"sqlite:///{tmp_path / 'summaries.db'}"
    jobs("rebuild", "missing.bson")
    with ran(monkeypatch, store_url=url) as defined:
        assert "daily" not in defined
    assert jobs("sample", "sample.bson", "--transactions", "1").code == 0
    assert jobs("rebuild", "sample.bson", "--where", "amount=none", "--allow-empty").code == 0
    with ran(monkeypatch, store_url=url) as defined:
        assert "daily" not in defined
