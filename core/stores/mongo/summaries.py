"""The summary store on MongoDB: collections of generations, and the collection ``summary_publications``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from heapq import merge
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import orjson
from bson.datetime_ms import DatetimeMS
from pymongo import ASCENDING
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import OperationFailure

from core.calendar.periods import Mode
from core.errors import StoreBusy
from core.stores.generations import require_amendable
from core.stores.mongo.amending import amend
from core.stores.mongo.database import Database, Document
from core.stores.mongo.documents import from_document
from core.stores.mongo.layers import (
    Layer,
    LayerQuery,
    collections_of,
    count_rows,
    current_publication,
    layer_queries,
    layer_queries_of_mode,
    layer_queries_within,
    layers_of,
    newest_two,
)
from core.stores.mongo.publishing import publish
from core.stores.records import publication_from_record
from core.stores.summaries import (
    SCAN_ROWS,
    SUMMARY_COLUMNS,
    Bound,
    KeyRange,
    Measure,
    MerchantPoint,
    MerchantTotals,
    Publication,
    Scan,
    SeriesPoint,
    SeriesRange,
    SummaryStore,
    no_progress,
)

if TYPE_CHECKING:
    import polars as pl

    from core.stores.frames import Frames, SummaryTuple

T = TypeVar("T")
PlacesOf: TypeAlias = Callable[[Sequence[Layer]], Sequence[LayerQuery]]
Fetch: TypeAlias = Callable[[PyMongoDatabase[Document], LayerQuery], T]

_BATCH_ROWS: Final = 50_000
_SENT_ROWS: Final = 10_000
_ATTEMPTS: Final = 5
_BY_MERCHANT: Final = [("merchant_id", ASCENDING), ("key", ASCENDING)]
_COLUMNS: Final = {"_id": False, **dict.fromkeys(SUMMARY_COLUMNS, True)}


class MongoSummaryStore(SummaryStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def published(self) -> Publication | None:
        with self._database.answering() as db:
            document = current_publication(db)
        return None if document is None else publication_from_record(from_document(document, "generation"))

    def is_current(self, publication: Publication) -> bool:
        return self.published() == publication

    def rows(self, mode: Mode, first_key: Bound = None, last_key: Bound = None) -> pl.DataFrame:
        return self._rows(lambda layers: layer_queries_of_mode(layers, mode, first_key, last_key))

    def rows_within(self, ranges: Sequence[KeyRange], overall: Mode) -> pl.DataFrame:
        return self._rows(lambda layers: layer_queries_within(layers, ranges, overall))

    def _rows(self, places_of: PlacesOf) -> pl.DataFrame:
        import polars as pl

        from core.stores.frames import from_batches

        def fetch(db: PyMongoDatabase[Document], part: LayerQuery) -> pl.DataFrame:
            return from_batches(_batches(db[part.collection].find(part.query, _COLUMNS)))

        return pl.concat([from_batches([]), *self._read(places_of, fetch)])

    @contextmanager
    def scan(
        self, mode: Mode, first_key: Bound = None, last_key: Bound = None, *, overall: bool
    ) -> Iterator[Scan | None]:
        with self._database.answering() as db:
            document = current_publication(db)
            if document is None:
                yield None
                return
            places = layer_queries_of_mode(layers_of(document), mode, first_key, last_key)
            merchants = {} if overall else {"merchant_id": {"$ne": None}}
            queries = [(part.collection, {**part.query, **merchants}) for part in places]
            cursors = [
                db[name].find(query, _COLUMNS, sort=_BY_MERCHANT, batch_size=_SENT_ROWS) for name, query in queries
            ]
            failure: OperationFailure | None = None
            try:
                publication = publication_from_record(from_document(document, "generation"))
                yield Scan(publication, _batches(merge(*cursors, key=_by_merchant), SCAN_ROWS))
            except OperationFailure as error:  # such as of a cursor whose collection was dropped
                failure = error
            if not {part.collection for part in places} <= collections_of(newest_two(db)):
                raise self._busy()
            if failure is not None:
                raise failure

    def series(
        self, mode: Mode, measure: Measure, merchant_id: str | None, first_key: Bound = None, last_key: Bound = None
    ) -> list[SeriesPoint]:
        wanted = {"_id": False, "key": True, measure: True}

        def fetch(db: PyMongoDatabase[Document], part: LayerQuery) -> list[SeriesPoint]:
            found = db[part.collection].find({**part.query, "merchant_id": merchant_id}, wanted)
            return [SeriesPoint(document["key"], int(document[measure])) for document in found]

        found = self._read(lambda layers: layer_queries_of_mode(layers, mode, first_key, last_key), fetch)
        return sorted(chain.from_iterable(found))

    def merchant_series(
        self,
        mode: Mode,
        measure: Measure,
        merchants: Sequence[str] | None,
        first_key: Bound = None,
        last_key: Bound = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int,
    ) -> list[MerchantPoint]:
        after_merchant, after_key = after or ("", "")
        whose: Document = {"$ne": None} if after is None else {"$gte": after_merchant}
        if merchants is not None:
            whose = {"$in": [merchant_id for merchant_id in merchants if merchant_id >= after_merchant]}
        query: Document = {"merchant_id": whose}
        if after is not None:
            query["$or"] = [{"merchant_id": {"$gt": after_merchant}}, {"key": {"$gt": after_key}}]
        wanted = {"_id": False, "merchant_id": True, "key": True, measure: True}

        def fetch(db: PyMongoDatabase[Document], part: LayerQuery) -> list[MerchantPoint]:
            found = db[part.collection].find({**part.query, **query}, wanted, sort=_BY_MERCHANT, limit=limit)
            return [MerchantPoint(one["merchant_id"], one["key"], int(one[measure])) for one in found]

        found = self._read(lambda layers: layer_queries_of_mode(layers, mode, first_key, last_key), fetch)
        return list(islice(merge(*found), limit))

    def series_json(self, publication: Publication, series: Sequence[SeriesRange]) -> list[bytes] | None:
        bodies = [orjson.dumps([{"key": key, "value": value} for key, value in self.series(*one)]) for one in series]
        if not self.is_current(publication):
            return None
        return [bytes(memoryview(body)) for body in bodies]  # copies, as orjson's buffers are kilobytes larger

    def has_merchant(self, merchant_id: str) -> bool:
        query = {"mode": {"$in": [mode.value for mode in Mode]}, "merchant_id": merchant_id}

        def fetch(db: PyMongoDatabase[Document], part: LayerQuery) -> bool:
            return db[part.collection].find_one({**part.query, **query}, {"_id": True}) is not None

        return any(self._read(layer_queries, fetch))

    def merchants(
        self, first_key: Bound = None, last_key: Bound = None, mode: Mode = Mode.MONTHLY
    ) -> list[MerchantTotals]:
        wanted = {"_id": False, "merchant_id": True, "amount": True, "count": True}

        # Summed here, as the server's $sum continues in floating point beyond int64.
        def fetch(db: PyMongoDatabase[Document], part: LayerQuery) -> tuple[Counter[str], Counter[str]]:
            amounts: Counter[str] = Counter()
            counts: Counter[str] = Counter()
            query = {**part.query, "merchant_id": {"$ne": None}}
            for document in db[part.collection].find(query, wanted, batch_size=_BATCH_ROWS):
                amounts[document["merchant_id"]] += document["amount"]
                counts[document["merchant_id"]] += document["count"]
            return amounts, counts

        found = self._read(lambda layers: layer_queries_of_mode(layers, mode, first_key, last_key), fetch)
        amounts, counts = Counter[str](), Counter[str]()
        for more_amounts, more_counts in found:
            amounts.update(more_amounts)
            counts.update(more_counts)
        return [
            MerchantTotals(merchant_id, amounts[merchant_id], counts[merchant_id]) for merchant_id in sorted(counts)
        ]

    def count(self) -> int:
        return sum(self._read(layer_queries, count_rows))

    def publish(
        self, publication: Publication, rows: pl.DataFrame | Frames, progress: Callable[[int], None] = no_progress
    ) -> None:
        with self._database.answering() as db:
            publish(db, publication, rows, progress)

    def amend(self, publication: Publication, rows: pl.DataFrame, ranges: Sequence[KeyRange]) -> None:
        require_amendable(rows, ranges)
        with self._database.answering() as db:
            amend(db, publication, rows, ranges)

    def publications_before(self, before_ms: int, *, below: int) -> list[int]:
        query = {"_id": {"$lt": below}, "published_at": {"$lt": DatetimeMS(before_ms)}}
        with self._database.answering() as db:
            found = db["summary_publications"].find(query, {"_id": True}).sort("_id", ASCENDING)
            return [document["_id"] for document in found]

    def remove_publications(self, generations: Sequence[int]) -> int:
        with self._database.answering() as db:
            latest = current_publication(db)
            removable = [one for one in generations if latest is not None and one < latest["_id"] - 1]
            return db["summary_publications"].delete_many({"_id": {"$in": removable}}).deleted_count

    def _read(self, places_of: PlacesOf, fetch: Fetch[T]) -> list[T]:
        """The results of `fetch` for each query of the current publication; none if nothing is published.

        A collection may be dropped while it is read, and then looks empty or breaks the cursor. But it is dropped only
        if neither of the two newest publications has it, so a reader that finds it there has read all of it. Newest
        layers are read first, as they are small and soon replaced.

        :raises StoreBusy: other runs published too often.
        """
        with self._database.answering() as db:
            for attempt in range(_ATTEMPTS):
                document = current_publication(db)
                if document is None:
                    return []
                # One attempt is usually enough. If publications are frequent, each query is retried separately.
                found = _fetched(db, places_of(layers_of(document)), fetch, one_by_one=attempt > 0)
                if found is not None:
                    return found
        raise self._busy()

    def _busy(self) -> StoreBusy:
        return StoreBusy(
            f"the store at {self._database.place} was published repeatedly while it was read",
            "Try again, or start runs less often.",
        )


def _fetched(
    db: PyMongoDatabase[Document], places: Sequence[LayerQuery], fetch: Fetch[T], *, one_by_one: bool
) -> list[T] | None:
    """The results of `fetch` for `places`; None if a collection may have been dropped meanwhile."""
    found: list[T] = []
    unsure: set[str] = set()
    for place in places:
        failure: OperationFailure | None = None
        unsure.add(place.collection)
        try:
            found.append(fetch(db, place))
        except OperationFailure as error:
            failure = error
        if one_by_one or failure is not None or place is places[-1]:
            if not unsure <= collections_of(newest_two(db)):
                return None
            unsure.clear()
        if failure is not None:
            raise failure
    return found


def _batches(documents: Iterable[Document], rows: int = _BATCH_ROWS) -> Iterator[list[SummaryTuple]]:
    tuples: Iterator[Any] = (tuple(map(_plain, map(document.get, SUMMARY_COLUMNS))) for document in documents)
    while batch := list(islice(tuples, rows)):
        yield batch


def _by_merchant(document: Document) -> tuple[bool, str, str]:
    merchant_id = document["merchant_id"]
    return merchant_id is not None, merchant_id or "", document["key"]


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else int(value)
