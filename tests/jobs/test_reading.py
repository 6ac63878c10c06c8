"""Whole sources read by one thread or two: the same totals, counts and rejects."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import bson
import polars as pl
import pytest
from bson.datetime_ms import DatetimeMS
from decoded import EVER, read_file
from effort import COMPILED
from totals_by_hand import daily_totals

from core.calendar.days import LocalDays
from core.errors import SourceDamaged, UsageError
from jobs.aggregate.summaries import merge, mixed_type_merchants
from jobs.decode.batch import Reject
from jobs.decode.plan import Fields
from jobs.reading import SourceReader, Totals
from jobs.sources.recognise import open_source

SHOP = Path(__file__).parents[1] / "data" / "shop"
PAID = Fields(where=(("status", "paid"),))
FORMS = ["shop.archive.gz", "transaction.canonical.jsonl", "transaction.array.json", "transaction.csv", "dump"]
FORMS = FORMS if COMPILED else FORMS[3:]
DAYS = LocalDays("Asia/Tehran")


def read(
    path: Path, threads: int, chunk_bytes: int, fields: Fields | None = None, ticks: list[int] | None = None
) -> tuple[Totals, list[Reject]]:
    """Totals and rejects of one source."""
    fields = fields or Fields()
    source = open_source(str(path), fields, None, chunk_bytes)
    totals, rejects = Totals(), list[Reject]()
    reader = SourceReader(source, fields, EVER, DAYS, rejects.extend, threads, totals)
    try:
        reader.read(lambda: None if ticks is None else ticks.append(1))
    finally:
        source.close()
    return totals, rejects


def write(path: Path, count: int, **changes: Any) -> bytes:
    """`count` documents, some of them changed."""
    documents = [{"merchantId": i % 7, "amount": i, "createdAt": DatetimeMS(i * 10**7)} for i in range(count)]
    for at, change in changes.items():
        documents[int(at[1:])].update(change)
    content = b"".join(map(bson.encode, documents))
    path.write_bytes(content)
    return content


@pytest.mark.parametrize("fields", [Fields(), PAID], ids=["all", "paid"])
@pytest.mark.parametrize("form", FORMS)
def test_totals_are_equal_under_one_and_two_threads_and_any_chunk_size(form: str, fields: Fields) -> None:
    plain = read_file(SHOP / form, fields)
    for chunk_bytes in (700, 10_000, 2**21) if COMPILED else (20_000,):
        for threads in (1, 2, 5):
            totals, rejects = read(SHOP / form, threads, chunk_bytes, fields)
            assert totals.counts == plain.counts
            assert [(r.position, r.field, r.reason) for r in rejects] == [
                (r.position, r.field, r.reason) for r in plain.rejects
            ]
            found = merge(totals.partials)
            assert {(m, day): (a, n) for m, day, a, n in found.iter_rows()} == daily_totals(plain.rows)


def test_rejects_are_delivered_in_the_order_of_the_source(tmp_path: Path) -> None:
    count = 3000
    write(tmp_path / "x.bson", count, **{f"_{i}": {"amount": None} for i in range(0, count, 3)})
    _, rejects = read(tmp_path / "x.bson", 4, 500)
    positions = [reject.position for reject in rejects]
    assert len(positions) == count // 3
    assert positions == sorted(positions)


def test_merchants_of_all_threads_are_told_by_kind(tmp_path: Path) -> None:
    write(tmp_path / "x.bson", 500, _3={"merchantId": "5"}, _4={"merchantId": "name"})
    totals, _ = read(tmp_path / "x.bson", 2, 300)
    assert mixed_type_merchants(totals.kinds) == ["5"]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_damage_of_the_source_is_the_one_that_is_told(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "x.jsonl"
    line = '{"merchantId":"a","amount":1,"createdAt":{"$date":0}}\n'
    path.write_text(line * 400 + "{broken\n" + line * 400 + "{worse\n")
    for _ in range(5):
        with pytest.raises(SourceDamaged) as caught:
            read(path, threads, 200)
        assert caught.value.offset == len(line) * 400 + 1


def test_damage_ends_every_thread(tmp_path: Path) -> None:
    content = write(tmp_path / "x.bson", 2000)
    (tmp_path / "x.bson").write_bytes(content[:-1])
    before = threading.active_count()
    with pytest.raises(SourceDamaged, match="ends in the middle of a document"):
        read(tmp_path / "x.bson", 4, 500)
    assert threading.active_count() == before


def test_an_interruption_ends_the_reading(tmp_path: Path) -> None:
    write(tmp_path / "x.bson", 2000)
    source = open_source(str(tmp_path / "x.bson"), Fields(), None, 500)
    reader = SourceReader(source, Fields(), EVER, DAYS, lambda rejects: None, 2, Totals())

    def tick() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reader.read(tick)
    source.close()


def test_a_failure_to_write_rejects_is_passed_on(tmp_path: Path) -> None:
    write(tmp_path / "x.bson", 100, _50={"amount": None})
    source = open_source(str(tmp_path / "x.bson"), Fields(), None, 500)

    def refuse(rejects: list[Reject]) -> None:
        raise UsageError(f"{len(rejects)} too many")

    with pytest.raises(UsageError, match="1 too many"):
        SourceReader(source, Fields(), EVER, DAYS, refuse, 2, Totals()).read(lambda: None)
    source.close()


def test_the_caller_is_told_that_time_passes(tmp_path: Path) -> None:
    write(tmp_path / "x.bson", 10)
    ticks: list[int] = []
    totals, _ = read(tmp_path / "x.bson", 1, 500, ticks=ticks)
    assert ticks
    assert totals.counts.counted == 10


def test_sources_add_up(tmp_path: Path) -> None:
    write(tmp_path / "x.bson", 50)
    totals = Totals()
    for _ in range(2):
        source = open_source(str(tmp_path / "x.bson"), Fields(), None)
        SourceReader(source, Fields(), EVER, DAYS, lambda rejects: None, 2, totals).read(lambda: None)
        source.close()
    assert totals.counts.counted == 100
    assert merge(totals.partials).select(pl.col("count").sum()).item() == 100
