"""Conformance tests of record tables, on every backend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prepared_store import open_prepared

from core.stores.record_table import Condition, RecordTable
from core.stores.records import Record


def record(record_id: str, created_at_ms: int) -> Record:
    texts = {"id": record_id, "user_id": "u1", "merchant_id": "m1", "locale": "fa", "tenant": "operator"}
    return {**texts, "modes": [], "channels": [], "created_at_ms": created_at_ms, "ended_at_ms": None}


@pytest.fixture
def table(store_url: str) -> Iterator[RecordTable]:
    """A table with the records a to e, created at 1 to 5 ms."""
    with open_prepared(store_url, timeout_s=10) as opened:
        found: RecordTable = opened.subscriptions._table
        for number, record_id in enumerate("abcde", start=1):
            assert found.insert(record(record_id, number))
        yield found


def test_all_conditions_apply_including_those_of_one_entry(table: RecordTable) -> None:
    several: list[tuple[list[Condition], str]] = [
        ([("created_at_ms", ">", 1), ("created_at_ms", "<", 4)], "bc"),
        ([("created_at_ms", "<", 4), ("created_at_ms", ">", 1), ("created_at_ms", "=", 3)], "c"),
        ([("id", "in", ("a", "b", "c")), ("id", ">", "a"), ("id", "<", "c")], "b"),
        ([("id", "=", "a"), ("id", "=", "b")], ""),
    ]
    for where, ids in several:
        assert table.ids(*where) == {*ids}
        assert [one["id"] for one in table.find(*where)] == [*ids]
    after = table.find(("created_at_ms", "<", 5), ("id", "in", ("a", "c", "d", "e")), after=(2, "b"))
    assert [one["id"] for one in after] == ["c", "d"]
    assert table.delete(("created_at_ms", ">", 1), ("created_at_ms", "<", 4)) == 2
    assert table.ids() == {*"ade"}


def test_an_update_changes_all_records_with_one_of_several_ids(table: RecordTable) -> None:
    assert table.update({"ended_at_ms": 9}, ("id", "in", ("a", "b", "x"))) == 2
    assert table.ids(("ended_at_ms", "=", 9)) == {*"ab"}
    assert table.update({"ended_at_ms": 8}, ("id", ">", "c")) == 2
    assert table.update({"ended_at_ms": 7}, ("id", "=", "c")) == 1
