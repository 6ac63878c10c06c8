"""The write lock of SQLite: a large publication releases it between its batches."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from examples import publication, uniform

from core.errors import StoreBusy
from core.stores import open_stores
from core.stores.sqlite.database import Database


def test_small_writes_succeed_during_a_large_publication(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    rows = uniform(1, 7_000, 28)
    waits_s: list[float] = []
    with open_stores(url, timeout_s=30) as publishing, open_stores(url, timeout_s=30) as writing:
        publisher = threading.Thread(target=publishing.summaries.publish, args=(publication(1, rows), rows))
        publisher.start()
        while publisher.is_alive():
            began = time.monotonic()
            writing.contacts.replace("sara", {"sms": "+989121234567"})
            waits_s.append(time.monotonic() - began)
            time.sleep(0.02)
        publisher.join(timeout=60)
        published = writing.summaries.published()
    assert published is not None
    assert (
        len(waits_s) > rows.height // 48_000
    )  # about one per batch at least: no write waited for the whole publication


def test_others_can_write_while_a_retired_table_is_deleted_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "summaries.db"
    rows = uniform(1, 300, 28)
    left: list[int] = []
    other = Database(path, timeout_s=0, create=True)

    def write(seconds: float) -> None:
        with other.transaction() as connection:  # raises when it would have to wait
            tables = "SELECT name FROM sqlite_master WHERE name LIKE 'summary_transaction_%_run_%' AND type = 'table'"
            for (table,) in connection.execute(tables).fetchall():
                left.append(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    with open_stores(f"sqlite:///{path}", timeout_s=30) as stores:
        stores.summaries.publish(publication(1, rows), rows)
        monkeypatch.setattr("core.stores.sqlite.publishing._DELETED_ROWS", 1000)
        monkeypatch.setattr("core.stores.sqlite.publishing._DROPPED_ROWS", 2000)
        first = rows.head(10)
        monkeypatch.setattr("core.stores.sqlite.publishing.time", SimpleNamespace(sleep=write))
        stores.summaries.publish(publication(2, first), first)
    other.close()
    batches = list(range(rows.height - 1000, 1000, -1000))
    assert len(batches) > 3
    assert left[-len(batches) :] == batches


def test_waiting_too_long_for_the_store_raises_store_busy(tmp_path: Path) -> None:
    holder = Database(tmp_path / "a.db", timeout_s=5, create=True)
    waiter = Database(tmp_path / "a.db", timeout_s=0.1, create=False)
    began = time.monotonic()
    with holder.transaction(), pytest.raises(StoreBusy, match=r"locked it for 0\.1 s"), waiter.transaction():
        pass
    assert time.monotonic() - began < 20
    with waiter.transaction():  # the store works otherwise
        pass
    waiter.close()
    holder.close()
