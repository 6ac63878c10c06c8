"""Rejects of repeated refreshes: the reject limit, and reuse of the quarantine file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import DatetimeMS
from examples import run as run_of
from live_shop import FirstRefresh, JobRunner
from transactions import Transaction, spread

from core.errors import TooManyRejects
from core.stores.runs import RunStatus
from jobs.decode.batch import Reject
from jobs.runs.quarantine import QUARANTINE_BYTES, Quarantine, last_quarantine
from jobs.runs.rejects import RejectLimits, Rejects

pytest_plugins = ["refreshing_fixtures"]

MINUTE = timedelta(minutes=1)
BEYOND = DatetimeMS(2**52)
"""A date that no calendar names."""


@pytest.fixture
def filled(runner: JobRunner, first_refresh: FirstRefresh, tmp_path: Path) -> JobRunner:
    """A shop of 120 transactions of forty days up to the day before, refreshed a minute ago."""
    runner.shop.index()
    runner.shop.insert(*spread(["a", 7, "b"], days=40, first=date(2024, 2, 12)))
    first_refresh(runner, tmp_path / "summaries.db")
    runner.now += MINUTE
    return runner


def spoil(runner: JobRunner, **fields: Any) -> Any:
    """Insert a document that cannot be counted; its id."""
    document = {"merchantId": "a", "amount": "much", "createdAt": runner.now} | fields
    return runner.shop.collection.insert_one(document).inserted_id


def refresh_every_minute(runner: JobRunner, times: int) -> list[str | None]:
    """The quarantine files that the ledger names of so many refreshes."""
    named = []
    for _ in range(times):
        runner.now += MINUTE
        runner.shop.insert(Transaction("a", 1, runner.now))
        named.append(runner.refresh(max_reject_ratio=0.1).run.quarantine)
    return named


def files(runner: JobRunner, folder: Path) -> list[str]:
    return sorted(str(path) for path in (folder / "quarantine").iterdir())


def test_the_reject_limit_is_relative_to_everything_published(filled: JobRunner) -> None:
    spoil(filled, createdAt=BEYOND)
    outcome = filled.refresh(max_reject_ratio=0.01)
    assert (outcome.run.counts.read, outcome.run.counts.rejected) == (3 * 3 + 1, 1)
    assert outcome.run.degraded


def test_too_many_rejects_are_refused_with_the_compared_total(filled: JobRunner) -> None:
    spoil(filled)
    spoil(filled)
    sentence = r"2 of 11 documents were rejected \(2 amount: text\), and --max-reject-ratio 0\.01 allows 1, "
    with pytest.raises(TooManyRejects, match=sentence + "compared with 120 published transactions"):
        filled.refresh(max_reject_ratio=0.01)


def test_published_totals_do_not_excuse_a_changed_source(filled: JobRunner) -> None:
    for _ in range(15):
        spoil(filled)
    with pytest.raises(TooManyRejects, match=r"15 of 24 documents .* allows 12, "):
        filled.refresh(max_reject_ratio=0.5)


def test_for_an_empty_store_the_reject_limit_is_relative_to_the_read_documents(runner: JobRunner) -> None:
    runner.shop.insert(*spread(["a"], days=9, first=date(2024, 3, 1)))
    spoil(runner)
    with pytest.raises(TooManyRejects, match=r"1 of 10 documents .* allows 0$"):
        runner.refresh(max_reject_ratio=0.09)
    assert runner.refresh(max_reject_ratio=0.1).run.degraded


def test_the_same_rejects_are_quarantined_once(filled: JobRunner, tmp_path: Path) -> None:
    """Although the documents around them, and so their positions, differ each time."""
    spoil(filled, createdAt=BEYOND)
    spoil(filled)
    first, *later = refresh_every_minute(filled, 4)
    assert first is not None
    assert later == [first] * 3
    assert files(filled, tmp_path) == [first]
    assert len(Path(first).read_text().splitlines()) == 2


def test_a_reused_quarantine_file_gets_the_time_of_the_last_run(filled: JobRunner) -> None:
    """Otherwise prune would remove the quarantine file of the latest run."""
    spoil(filled)
    (first,) = refresh_every_minute(filled, 1)
    assert first is not None
    os.utime(first, (0, 0))
    refresh_every_minute(filled, 1)
    assert Path(first).stat().st_mtime > 1e9


def test_other_rejects_get_their_own_quarantine_file(filled: JobRunner, tmp_path: Path) -> None:
    bad = spoil(filled)
    (first,) = refresh_every_minute(filled, 1)
    filled.shop.change(bad, amount="very much")
    second = refresh_every_minute(filled, 2)
    spoil(filled)
    third = refresh_every_minute(filled, 2)
    filled.shop.delete(bad)
    fourth = refresh_every_minute(filled, 2)
    named = [first, second[0], third[0], fourth[0]]
    assert [second, third, fourth] == [[name] * 2 for name in named[1:]]
    assert sorted(str(name) for name in named) == files(filled, tmp_path)
    assert len(set(named)) == 4


def test_a_refresh_stopped_by_rejects_quarantines_them_once(filled: JobRunner, tmp_path: Path) -> None:
    spoil(filled)
    for _ in range(3):
        filled.now += MINUTE
        with pytest.raises(TooManyRejects) as refusal:
            filled.refresh()
    (only,) = files(filled, tmp_path)
    assert f"The rejects are in {only};" in refusal.value.hint
    assert {run.quarantine for run in filled.stores.runs.recent(3)} == {only}


def test_a_deleted_quarantine_file_is_written_again(filled: JobRunner, tmp_path: Path) -> None:
    spoil(filled)
    (first,) = refresh_every_minute(filled, 1)
    assert first is not None
    Path(first).unlink()
    second, third = refresh_every_minute(filled, 2)
    assert second == third != first
    assert files(filled, tmp_path) == [second]


def written(path: Path, rejects: Sequence[tuple[int, str]]) -> Quarantine:
    """A closed quarantine file of rejects, each a position and an amount."""
    quarantine = Quarantine(path, QUARANTINE_BYTES)
    protected = Rejects(RejectLimits(QUARANTINE_BYTES))
    protected.add(
        [
            Reject("a shop", at, "byte", "amount", "text", lambda amount=amount: {"amount": amount})  # type: ignore[misc]
            for at, amount in rejects
        ]
    )
    quarantine.write(protected)
    quarantine.close()
    return quarantine


@pytest.mark.parametrize(
    ("earlier", "is_kept"),
    [
        ([(0, "\ud800x"), (90, "y"), (99, "y")], True),
        ([(3, "y"), (4, "y"), (5, "\ud800x")], True),
        ([(0, "\ud800x"), (90, "y")], False),
        ([(0, "\ud800x"), (90, "\ud800x"), (99, "y")], False),
    ],
)
def test_rejects_are_compared_without_order_and_positions(
    tmp_path: Path, earlier: list[tuple[int, str]], is_kept: bool
) -> None:
    written(tmp_path / "earlier", earlier)
    later = written(tmp_path / "later", [(0, "\ud800x"), (1, "y"), (2, "y")])
    later.reuse_earlier(tmp_path / "earlier")
    assert later.path == tmp_path / ("earlier" if is_kept else "later")
    assert (tmp_path / "later").exists() is not is_kept


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b"\xff\n"])
def test_a_quarantine_file_without_rejects_is_not_reused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "earlier").write_bytes(content)
    later = written(tmp_path / "later", [(0, "x")])
    later.reuse_earlier(tmp_path / "earlier")
    assert later.path == tmp_path / "later"
    assert (tmp_path / "later").exists()


def test_a_quarantine_file_still_being_written_is_not_reused(tmp_path: Path) -> None:
    statuses = {
        "under-way": RunStatus.RUNNING,
        "taken-over": RunStatus.DIED,
        "last": RunStatus.FAILED,
        "older": RunStatus.PUBLISHED,
    }
    runs = [
        run_of().ended(RunStatus.UNCHANGED, 1),
        *(replace(run_of(), quarantine=f"elsewhere/{name}", status=status) for name, status in statuses.items()),
    ]
    assert last_quarantine(tmp_path, runs) == tmp_path / "last"
    assert last_quarantine(tmp_path, runs[:3]) is None
