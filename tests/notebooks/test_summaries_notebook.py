"""The notebook, run from its first cell to its last; a cell that fails fails the test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import altair
import polars as pl
import pytest
from command_line import ROOT, CommandLine

CHARTS = ("months_chart", "merchants_chart", "weekdays_chart", "days_chart", "running_chart")
QUERIES = ("monthly_growth", "top_merchants", "weekday_profile", "unusual_days", "month_to_date", "silent_merchants")
PRINTED = ("فروردین ۱۴۰۳", "میلیون", "سه\u200cشنبه", "این ماه", "ریال")
NOT_PRINTED = ("Farvardin", "1403", "M<")


@contextmanager
def ran(monkeypatch: pytest.MonkeyPatch, **given: str) -> Iterator[Mapping[str, Any]]:
    """What the cells have defined, with `given` definitions in place of their own."""
    monkeypatch.syspath_prepend(str(ROOT / "notebooks"))
    _, defined = import_module("summaries").app.run(defs=given)
    try:
        yield defined
    finally:
        defined["stores"].close()
        altair.renderers.set_embed_options()


def fill(store_url: str, folder: Path) -> None:
    """Let the main job fill a store from a sample export, as the demo does."""
    jobs = CommandLine(folder, STORE_URL=store_url)
    assert jobs("sample", "sample.bson", "--transactions", "3000", "--merchants", "5").code == 0
    assert jobs("rebuild", "sample.bson", "--truncate").code == 0


def test_every_cell_runs_over_every_store(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store_url, tmp_path)
    with ran(monkeypatch, store_url=store_url) as defined:
        daily = defined["daily"]
        overall = daily.filter(pl.col("merchant_id").is_null())
        assert (daily["merchant_id"].n_unique(), overall["count"].sum()) == (6, 3000)
        assert {name: defined[name].width > 0 for name in QUERIES} == dict.fromkeys(QUERIES, True)
        assert defined["monthly_growth"]["count"].sum() == 3000
        for chart in CHARTS:
            defined[chart].to_dict()  # checked against the schema of Vega-Lite


def test_charts_are_drawn_with_persian_labels_and_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_url = f"sqlite:///{tmp_path / 'summaries.db'}"
    fill(store_url, tmp_path)
    with ran(monkeypatch, store_url=store_url, locale="fa") as defined:
        drawn = ""
        for name in CHARTS:
            defined[name].save(tmp_path / "chart.svg")
            drawn += (tmp_path / "chart.svg").read_text("utf-8")
    assert [words for words in PRINTED if words not in drawn] == []
    assert [words for words in NOT_PRINTED if words in drawn] == []


def test_a_store_without_a_publication_ends_it_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CommandLine(tmp_path)("rebuild", "missing.bson")
    with ran(monkeypatch, store_url=f"sqlite:///{tmp_path / 'summaries.db'}") as defined:
        assert "daily" not in defined
