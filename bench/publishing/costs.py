"""Measures the time of publishing, and how long another writer of the store waits meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bson import Int64
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from bench.api.store import CALENDAR, FINGERPRINT, LOCAL_DAYS
from bench.publishing.stores import History, last_days
from bench.running import BenchFailed
from core.calendar.periods import Mode
from core.stores import Stores, open_stores
from core.stores.frames import within
from core.stores.mongo.schema import SUMMARY_INDEXES
from core.stores.summaries import Publication
from jobs.publish.replacing import Change, replace_days

_TIMEOUT_S = 600
_PAUSE_S = 0.005
_INSERTED_AT_ONCE = 10_000


@dataclass(slots=True)
class Cost:
    """The results of one way of publishing, one value per round.

    :param rows: number of summaries in the store.
    :param written: number of replaced summaries.
    :param finding_s: finding out what changes, which reads the weeks and months concerned; 0 where all is replaced.
    :param publishing_s: from the call of the store until it returns.
    :param longest_wait_s: of another writer, which writes a small record repeatedly.
    :param alone_s: publishing without another writer; `bare_s` inserting the same documents, made beforehand, by the
        driver alone. Both are empty if they were not measured.
    """

    backend: str
    way: str
    rows: int
    written: int = 0
    finding_s: list[float] = field(default_factory=list)
    publishing_s: list[float] = field(default_factory=list)
    longest_wait_s: list[float] = field(default_factory=list)
    alone_s: list[float] = field(default_factory=list)
    bare_s: list[float] = field(default_factory=list)


def measure_costs(backend: str, url: str, history: History, rounds: int) -> list[Cost]:
    """Publish all of `history`, then amend its last days, round after round, in the store at `url`.

    :raises BenchFailed: the store does not hold afterwards what was published.
    """
    whole = Cost(backend, "everything", history.rows.height, history.rows.height)
    some = Cost(backend, "three days", history.rows.height)
    with open_stores(url, timeout_s=_TIMEOUT_S) as stores, open_stores(url, timeout_s=_TIMEOUT_S) as others:
        for turn in range(rounds):
            with _timed(whole, others):
                stores.summaries.publish(_next(stores, history), history.rows)
            whole.finding_s.append(0.0)
            if backend == "mongo":
                publication = _next(stores, history)
                began = time.perf_counter()
                stores.summaries.publish(publication, history.rows)
                whole.alone_s.append(time.perf_counter() - began)
                whole.bare_s.append(_bare_insert_s(url, history))
            _amend(stores, others, history, turn, some)
    return [whole, some]


def _next(stores: Stores, history: History) -> Publication:
    """A function that publishes all of `history` as the generation after the published one."""
    before = stores.summaries.published()
    number = 1 if before is None else before.generation + 1
    return replace(history.publication, generation=number, run_id=number)


def _bare_insert_s(url: str, history: History) -> float:
    """How long the driver takes to insert the documents of `history` into a collection with the same indexes."""
    documents = [
        {**row, "amount": Int64(row["amount"]), "count": Int64(row["count"])}
        for row in history.rows.iter_rows(named=True)
    ]
    with MongoClient[Any](url) as client:
        database = client.get_default_database(write_concern=WriteConcern("majority", j=True))
        collection = database["bare"]
        collection.drop()
        collection.create_indexes(list(SUMMARY_INDEXES))
        began = time.perf_counter()
        for first in range(0, len(documents), _INSERTED_AT_ONCE):
            collection.insert_many(documents[first : first + _INSERTED_AT_ONCE], ordered=False)
        seconds = time.perf_counter() - began
        collection.drop()
    return seconds


def _amend(stores: Stores, others: Stores, history: History, turn: int, cost: Cost) -> None:
    days = last_days()
    daily = history.daily(days, turn + 1)
    before = stores.summaries.published()
    began = time.perf_counter()
    change = replace_days(stores.summaries, before, CALENDAR, LOCAL_DAYS, daily, [(days.start, CALENDAR.last_day)])
    cost.finding_s.append(time.perf_counter() - began)
    publication = change.publication(before, 0 if before is None else before.generation + 1, FINGERPRINT, 0)
    with _timed(cost, others):
        stores.summaries.amend(publication, change.rows, change.ranges)
    cost.written = change.rows.height
    _require_published(stores, change)


def _require_published(stores: Stores, change: Change) -> None:
    found = stores.summaries.published()
    held = stores.summaries.rows_within(change.ranges, Mode.DAILY).filter(within(change.ranges))
    if found is None or found.total_amount != change.total_amount or held.height != change.rows.height:
        raise BenchFailed("the store does not hold what was published")


@contextmanager
def _timed(cost: Cost, others: Stores) -> Iterator[None]:
    """Measure the time of the block, while another writer continues."""
    ended = threading.Event()
    waits_s: list[float] = [0.0]
    writer = threading.Thread(target=_write, args=(others, ended, waits_s.append))
    writer.start()
    try:
        began = time.perf_counter()
        yield
        cost.publishing_s.append(time.perf_counter() - began)
    finally:
        ended.set()
        writer.join()
    cost.longest_wait_s.append(max(waits_s))


def _write(others: Stores, ended: threading.Event, waited: Callable[[float], None]) -> None:
    while not ended.wait(_PAUSE_S):
        began = time.perf_counter()
        others.contacts.replace("sara", {"sms": "+989121234567"})
        waited(time.perf_counter() - began)
