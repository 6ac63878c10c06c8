"""A collection with concurrent writes, and the jobs that update its summaries, with a clock of the test."""

from __future__ import annotations

import sqlite3
import threading
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Self
from zoneinfo import ZoneInfo

from bson import ObjectId
from bson.codec_options import CodecOptions
from pymongo import MongoClient
from transactions import Rows, Transaction, summaries_of

from core.calendar import calendar_named
from core.calendar.days import LocalDays
from core.stores import Stores
from jobs.job import Watcher
from jobs.rebuild import Rebuild, RebuildOutcome, RebuildRequest
from jobs.refresh import Refresh, RefreshOutcome, RefreshRequest
from jobs.sources.live.options import LiveOptions
from jobs.sources.url import redacted_url
from jobs.verify import Verify, VerifyOutcome, VerifyRequest

Document = dict[str, Any]


def ms_of(instant: datetime) -> int:
    """Milliseconds since 1970 UTC."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def clock_changes(zone: str, first_year: int, last_year: int) -> Iterator[datetime]:
    """The minutes in which the clocks of `zone` were changed."""
    first, end = (ms_of(datetime(year, 1, 1, tzinfo=UTC)) // 60_000 for year in (first_year, last_year + 1))

    def offset_at(minute: int) -> timedelta | None:
        return datetime.fromtimestamp(minute * 60, ZoneInfo(zone)).utcoffset()

    for before, after in pairwise(range(first, end, 720)):
        new = offset_at(after)
        if offset_at(before) != new:
            between = range(before, after + 1)
            minute = between[bisect_left(between, True, key=lambda one: offset_at(one) == new)]
            yield datetime.fromtimestamp(minute * 60, UTC)


class Shop:
    """The collection ``transaction`` of a database, and its expected summaries; a context manager.

    :param url: of the database; `place` is how messages show it.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.place = redacted_url(url)
        self._client: MongoClient[Document] = MongoClient(url)
        self.collection = self._client.get_default_database().get_collection(
            "transaction", codec_options=CodecOptions(tz_aware=True)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def insert(self, *transactions: Transaction, **more: Any) -> list[ObjectId]:
        """Insert `transactions`, each with the fields `more` as well; their ids."""
        documents = [one.document() | more for one in transactions]
        return list(self.collection.insert_many(documents, ordered=False).inserted_ids)

    def change(self, document_id: object, **fields: Any) -> None:
        """Set `fields` of one document."""
        assert self.collection.update_one({"_id": document_id}, {"$set": fields}).matched_count == 1

    def delete(self, *document_ids: object) -> None:
        """Delete documents."""
        for document_id in document_ids:
            assert self.collection.delete_one({"_id": document_id}).deleted_count == 1

    def index(self, path: str = "createdAt") -> None:
        """Make an index."""
        self.collection.create_index([(path, 1)])

    def transactions(self) -> list[Transaction]:
        """What it holds; all of it must be countable."""
        return [Transaction(one["merchantId"], one["amount"], one["createdAt"]) for one in self.collection.find()]

    def summaries(self, zone: str = "Asia/Tehran") -> Rows:
        """The expected summaries of its current documents."""
        return summaries_of(self.transactions(), zone)


class JobRunner:
    """Runs the jobs over a shop, at the time of the test.

    :param folder: gets the quarantine files.
    :param now: the clock of the jobs; tests set it.
    """

    def __init__(
        self,
        stores: Stores,
        shop: Shop,
        folder: Path,
        now: datetime,
        zone: str = "Asia/Tehran",
        calendar: str = "jalali",
    ) -> None:
        self.stores = stores
        self.shop = shop
        self.now = now
        self.live = LiveOptions()
        days = calendar_named(calendar), LocalDays(zone)
        self._parts = (stores, *days, folder / "quarantine", lambda: ms_of(self.now))

    def refresh(self, watcher: Watcher | None = None, **options: Any) -> RefreshOutcome:
        """Refresh with some `options` of `RefreshRequest`."""
        request = replace(RefreshRequest(self.shop.url, live=self.live), **options)
        return Refresh(*self._parts, request, watcher or Watcher()).run()

    def verify(self, watcher: Watcher | None = None, **options: Any) -> VerifyOutcome:
        """Verify with some `options` of `VerifyRequest`."""
        request = replace(VerifyRequest((self.shop.url,), live=self.live), **options)
        return Verify(*self._parts, request, watcher or Watcher()).run()

    def rebuild(self, watcher: Watcher | None = None, **options: Any) -> RebuildOutcome:
        """Rebuild with some `options` of `RebuildRequest`."""
        request = replace(RebuildRequest((self.shop.url,), live=self.live), **options)
        return Rebuild(*self._parts, request, watcher or Watcher()).run()


class FirstRefresh:
    """Refreshes an empty store from a shop that is the same in each test of a module: once, and then copies the store.

    :param made: where the store is kept.
    """

    def __init__(self, made: Path) -> None:
        self._made = made

    def __call__(self, runner: JobRunner, store: Path) -> None:
        """Refresh, or copy what that makes of `store`."""
        if self._made.exists():
            _copy(self._made, store)
        else:
            runner.refresh()
            _copy(store, self._made)


def _copy(of: Path, to: Path) -> None:
    with closing(sqlite3.connect(of)) as one, closing(sqlite3.connect(to)) as other:
        one.backup(other)


class Writer:
    """Inserts, changes and deletes transactions on its own thread; a context manager, which stops it.

    :param url: of the database.
    :param merchant: whose transactions they are; nobody else may write these.
    :param latest: they all are of the two days before.
    """

    def __init__(self, url: str, merchant: str, latest: datetime) -> None:
        self.written = 0
        self._url = url
        self._merchant = merchant
        self._latest = latest
        self._chance = Random(merchant)
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            held: list[ObjectId] = []
            with Shop(self._url) as shop:
                while not self._stopped.wait(0.002):
                    self._write(shop, held)
                    self.written += 1
        except BaseException as error:
            self._failure = error

    def _write(self, shop: Shop, held: list[ObjectId]) -> None:
        match self._chance.randrange(4):
            case 0 if held:
                shop.delete(held.pop(self._chance.randrange(len(held))))
            case 1 if held:
                shop.change(self._chance.choice(held), amount=self._chance.randrange(10**6), createdAt=self._instant())
            case _:
                held += shop.insert(Transaction(self._merchant, self._chance.randrange(10**6), self._instant()))

    def _instant(self) -> datetime:
        return self._latest - timedelta(milliseconds=self._chance.randrange(2 * 86_400_000))


def drift_of(outcome: VerifyOutcome) -> dict[tuple[str, str, str | None], tuple[int, int, int, int]]:
    """(Mode, key, merchant or None) -> published and recounted amount, published and recounted count."""
    return {(mode, key, merchant): (*sums,) for mode, key, merchant, *sums in outcome.drift.iter_rows()}


def difference(published: Rows, recounted: Rows) -> dict[tuple[str, str, str | None], tuple[int, int, int, int]]:
    """The expected result of `drift_of` for two states."""
    found = {}
    for key in published.keys() | recounted.keys():
        (amount, count), (recounted_amount, recounted_count) = published.get(key, (0, 0)), recounted.get(key, (0, 0))
        if (amount, count) != (recounted_amount, recounted_count):
            found[key] = (amount, recounted_amount, count, recounted_count)
    return found
