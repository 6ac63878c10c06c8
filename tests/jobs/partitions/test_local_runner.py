"""Sources counted on the threads of this process: the same totals, counts and rejects on one thread or several."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Self

import bson
import numpy as np
import pytest
from bson.datetime_ms import DatetimeMS
from command_line import wait_until
from counted import count_all, count_file
from decoded import read_file
from effort import THOROUGH
from totals_by_hand import daily_totals

from core.errors import SourceDamaged, SourceError
from jobs.aggregate.summaries import mixed_type_merchants
from jobs.decode.batch import Chunk
from jobs.decode.decoder import BsonDecoder
from jobs.decode.jit import PADDING
from jobs.decode.plan import Fields
from jobs.partitions.count_partition import CountingState
from jobs.sources.chunks import Buffer
from jobs.sources.partition import Opened, Partition, ReadOptions, Source
from jobs.sources.recognise import open_source

SHOP = Path(__file__).parents[2] / "data" / "shop"
PAID = Fields(where=(("status", "paid"),))
FORMS = ["shop.archive.gz", "transaction.canonical.jsonl", "transaction.array.json", "transaction.csv", "dump"]


def write(path: Path, count: int, **changes: Any) -> bytes:
    """`count` documents, some of them changed."""
    documents = [{"merchantId": i % 7, "amount": i, "createdAt": DatetimeMS(i * 10**7)} for i in range(count)]
    for at, change in changes.items():
        documents[int(at[1:])].update(change)
    content = b"".join(map(bson.encode, documents))
    path.write_bytes(content)
    return content


def no_thread_counts() -> bool:
    """Whether no thread counts partitions any more."""
    return not any(thread.name.startswith("count-") for thread in threading.enumerate())


@pytest.mark.parametrize("fields", [Fields(), PAID], ids=["all", "paid"])
@pytest.mark.parametrize("form", FORMS)
def test_totals_are_equal_on_one_thread_and_several_and_with_any_chunk_size(form: str, fields: Fields) -> None:
    plain = read_file(SHOP / form, fields)
    totals = daily_totals(plain.rows)
    every = product((700, 10_000, 2**21), (1, 2, 5))
    for chunk_bytes, threads in every if THOROUGH else [(2**21, 1), (10_000, 2), (2_000, 5)]:
        found = count_file(SHOP / form, fields, threads=threads, chunk_bytes=chunk_bytes)
        assert found.counts == plain.counts
        assert [(*r["position"].values(), r["field"], r["reason"]) for r in found.rejects] == [
            (r.position, r.field, r.reason) for r in plain.rejects
        ]
        assert found.totals == totals


def test_rejects_are_in_source_order(tmp_path: Path) -> None:
    count = 3000
    write(tmp_path / "x.bson", count, **{f"_{i}": {"amount": None} for i in range(0, count, 3)})
    found = count_file(tmp_path / "x.bson", threads=4, chunk_bytes=500)
    positions = [reject["position"]["byte"] for reject in found.rejects]
    assert len(positions) == count // 3
    assert positions == sorted(positions)


def test_merchants_of_all_threads_are_named_with_their_kinds(tmp_path: Path) -> None:
    write(tmp_path / "x.bson", 500, _3={"merchantId": "5"}, _4={"merchantId": "name"})
    found = count_file(tmp_path / "x.bson", chunk_bytes=300)
    assert mixed_type_merchants([found.merged.kinds()]) == ["5"]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_damage_of_the_source_is_reported(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "x.jsonl"
    line = '{"merchantId":"a","amount":1,"createdAt":{"$date":0}}\n'
    path.write_text(line * 400 + "{broken\n" + line * 400 + "{worse\n")
    for _ in range(5):
        with pytest.raises(SourceDamaged) as caught:
            count_file(path, threads=threads, chunk_bytes=200)
        assert caught.value.offset == len(line) * 400 + 1


def test_the_damage_of_the_first_damaged_source_is_reported(tmp_path: Path) -> None:
    sources = []
    for name in ("a.bson", "b.bson", "c.bson"):
        content = write(tmp_path / name, 2000)
        (tmp_path / name).write_bytes(content if name == "a.bson" else content[:-1])
        sources.append(open_source(str(tmp_path / name), Fields(), None))
    with pytest.raises(SourceDamaged, match=r"b\.bson is damaged"):
        count_all(sources, threads=3, chunk_bytes=500)


def test_damage_stops_every_thread(tmp_path: Path) -> None:
    content = write(tmp_path / "x.bson", 2000)
    (tmp_path / "x.bson").write_bytes(content[:-1])
    with pytest.raises(SourceDamaged, match="ends in the middle of a document"):
        count_file(tmp_path / "x.bson", threads=4, chunk_bytes=500)
    assert no_thread_counts()


def test_an_interruption_stops_counting(tmp_path: Path) -> None:

    def tick() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_all([MadeUp(10**9).source()], tick=tick)
    wait_until(no_thread_counts, 40)


def test_the_caller_receives_progress(tmp_path: Path) -> None:
    size = len(write(tmp_path / "x.bson", 10))
    ticks: list[int] = []
    state = CountingState()
    found = count_file(tmp_path / "x.bson", tick=lambda: ticks.append(1), state=state)
    assert ticks
    assert found.counts.counted == 10
    assert state.so_far == (size, 10)


def test_several_sources_add_up(tmp_path: Path) -> None:
    write(tmp_path / "x.bson", 50)
    source = open_source(str(tmp_path / "x.bson"), Fields(), None)
    found = count_all([source, source])
    assert found.counts.counted == 100
    assert found.daily["count"].sum() == 100


def test_a_file_that_is_replaced_before_it_is_read_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "x.bson", 50)
    source = open_source(str(tmp_path / "x.bson"), Fields(), None)
    write(tmp_path / "x.bson", 51)
    with pytest.raises(SourceError, match=r"x\.bson was changed while it was read"):
        count_all([source])


@dataclass(frozen=True, slots=True)
class MadeUp(Partition):
    """So many documents that are made while they are read.

    :param gates: (document, an event that is waited for before it comes).
    """

    documents: int
    failure: Exception | None = None
    gate: threading.Event | None = None
    name: str = "made up"
    size: int | None = None
    start: int = 0
    end: int | None = None

    def open(self, reading: ReadOptions, stop: threading.Event) -> Opened:
        chunks = MadeUpChunks(self)
        return Opened(chunks, lambda: BsonDecoder(reading.fields, reading.window), lambda: 0, lambda: None)

    def beginning_at(self, start: int) -> Self:
        raise AssertionError(start)

    def source(self, *more: MadeUp) -> Source:
        """A source of this partition and `more`."""
        return Source("made up", "made up", (self, *more))


class MadeUpChunks:
    """A document in each chunk."""

    def __init__(self, partition: MadeUp) -> None:
        self.first: int | None = 0
        self.last: int | None = 0
        self._partition = partition
        self._numbers = iter(range(partition.documents))

    def next(self, buffer: Buffer) -> Chunk | None:
        if self._partition.gate is not None:
            self._partition.gate.wait(60)
        number = next(self._numbers, None)
        if number is None:
            if self._partition.failure is not None:
                raise self._partition.failure
            return None
        content = bson.encode({"_id": number, "merchantId": "a", "amount": 1, "createdAt": DatetimeMS(0)})
        return Chunk("made up", np.frombuffer(bytearray(content + bytes(PADDING)), np.uint8), len(content), 0)

    def close(self) -> None: ...


def test_a_failed_partition_stops_the_others() -> None:
    failing = MadeUp(1, SourceError("the server has gone"))
    with pytest.raises(SourceError, match="the server has gone"):
        count_all([failing.source(MadeUp(10**9))])
    wait_until(no_thread_counts, 40)


def test_an_internal_error_in_a_partition_stops_counting() -> None:
    failing = MadeUp(1, MemoryError("no more"))
    with pytest.raises(MemoryError, match="no more"):
        count_all([MadeUp(10**9).source(failing)])


def test_a_silent_source_does_not_delay_an_interruption() -> None:
    answers = threading.Event()
    began = time.monotonic()

    def tick() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_all([MadeUp(1, gate=answers).source()], tick=tick)
    assert time.monotonic() - began < 30
    answers.set()


def test_partitions_start_only_a_few_ahead_of_the_merge() -> None:
    answers = threading.Event()
    state = CountingState()
    held = MadeUp(1, gate=answers)
    ticks: Iterator[Any] = iter(range(10**9))

    def tick() -> None:
        if state.so_far[1] == 2 * 8 - 1 or next(ticks) > 300:
            answers.set()

    many = [MadeUp(1) for _ in range(100)]
    found = count_all([held.source(*many)], threads=2, tick=tick, state=state)
    assert found.counts.counted == 101


def test_backpressure_stops_partitions_while_many_rows_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.partitions.local_runner._AHEAD_ROWS", 3)
    answers = threading.Event()
    state = CountingState()
    ahead: list[int] = []

    def tick() -> None:
        if not answers.is_set():
            ahead.append(state.so_far[1])
            if ahead[-3:] == [2, 2, 2] or ahead[-1] > 2 or len(ahead) > 400:
                answers.set()

    held = MadeUp(1, gate=answers)
    found = count_all([held.source(*[MadeUp(1)] * 30)], threads=2, tick=tick, state=state)
    assert ahead[-3:] == [2, 2, 2]
    assert found.counts.counted == 31
