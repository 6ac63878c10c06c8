"""The summary store on MongoDB: a collection for each generation, and the list ``summary_publications``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pymongo import ASCENDING
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from core.calendar.periods import Mode
from core.stores.generations import require_publishable
from core.stores.mongo.database import Database, Document
from core.stores.mongo.documents import from_document
from core.stores.mongo.publishing import in_force, publish
from core.stores.records import publication_from_record
from core.stores.summaries import SUMMARY_COLUMNS, Measure, MerchantTotals, Publication, SeriesPoint

if TYPE_CHECKING:
    import polars as pl

    from core.stores.frames import SummaryTuple

T = TypeVar("T")

_BATCH_ROWS: Final = 50_000
_COLUMNS: Final = {"_id": False, **dict.fromkeys(SUMMARY_COLUMNS, True)}


class MongoSummaryStore:
    """`core.stores.summaries.SummaryStore` over `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def published(self) -> Publication | None:
        """The publication in force, or None when nothing was published yet."""
        with self._database.answering() as db:
            document = in_force(db)
        return None if document is None else publication_from_record(from_document(document, "generation"))

    def daily(self) -> pl.DataFrame:
        """The daily rows of single merchants of the publication in force."""
        from core.stores.frames import from_batches

        def read(summaries: Collection[Document]) -> pl.DataFrame:
            return from_batches(
                _batches(summaries.find({"mode": Mode.DAILY.value, "merchant_id": {"$ne": None}}, _COLUMNS))
            )

        frame = self._read(read)
        return from_batches([]) if frame is None else frame

    def series(
        self,
        mode: Mode,
        measure: Measure,
        merchant_id: str | None,
        first_key: str | None = None,
        last_key: str | None = None,
    ) -> list[SeriesPoint]:
        """One merchant's values (None: all merchants together), ascending by key."""
        query = {"mode": mode.value, "merchant_id": merchant_id, **_bounds(first_key, last_key)}

        def read(summaries: Collection[Document]) -> list[SeriesPoint]:
            documents = summaries.find(query, {"_id": False, "key": True, measure: True}).sort("key", ASCENDING)
            return [SeriesPoint(document["key"], int(document[measure])) for document in documents]

        return self._read(read) or []

    def has_merchant(self, merchant_id: str) -> bool:
        """Whether the publication in force holds summaries of `merchant_id`."""
        query = {"mode": {"$in": [mode.value for mode in Mode]}, "merchant_id": merchant_id}
        return self._read(lambda summaries: summaries.find_one(query, {"_id": True}) is not None) or False

    def merchants(self, first_month_key: str | None = None, last_month_key: str | None = None) -> list[MerchantTotals]:
        """What each merchant's monthly summaries add up to, ascending by merchant."""
        query = {"mode": Mode.MONTHLY.value, "merchant_id": {"$ne": None}, **_bounds(first_month_key, last_month_key)}
        wanted = {"_id": False, "merchant_id": True, "amount": True, "count": True}

        # Added up here: beyond int64 the server's $sum goes on in floating point.
        def read(summaries: Collection[Document]) -> list[MerchantTotals]:
            amounts: defaultdict[str, int] = defaultdict(int)
            counts: defaultdict[str, int] = defaultdict(int)
            for document in summaries.find(query, wanted, batch_size=_BATCH_ROWS):
                amounts[document["merchant_id"]] += document["amount"]
                counts[document["merchant_id"]] += document["count"]
            return [
                MerchantTotals(merchant_id, amounts[merchant_id], counts[merchant_id])
                for merchant_id in sorted(amounts)
            ]

        return self._read(read) or []

    def publish(self, publication: Publication, rows: pl.DataFrame) -> None:
        """Replace everything that is published with `rows`, atomically."""
        require_publishable(publication, rows)
        with self._database.answering() as db:
            publish(db, publication, rows)

    def close(self) -> None:
        """Close all connections, also those of the run ledger over the same database."""
        self._database.close()

    def _read(self, read: Callable[[Collection[Document]], T]) -> T | None:
        """What `read` finds in the collection in force, or None when nothing was published yet.

        The collection may be dropped while it is read, and then looks empty or breaks the cursor. But that happens
        only after the second publication from here, so whoever sees none read all of it; whoever does reads again.
        """
        with self._database.answering() as db:
            while document := in_force(db):
                failure: OperationFailure | None = None
                try:
                    found = read(db[document["collection"]])
                except OperationFailure as error:
                    failure = error
                latest = in_force(db)
                if latest is None or latest["_id"] > document["_id"] + 1:
                    continue
                if failure is not None:
                    raise failure
                return found
        return None


def _bounds(first_key: str | None, last_key: str | None) -> Document:
    """The part of a query that asks for keys from `first_key` to `last_key`, both inclusive, None for no bound."""
    bounds = {"$gte": first_key, "$lte": last_key}
    wanted = {operator: key for operator, key in bounds.items() if key is not None}
    return {"key": wanted} if wanted else {}


def _batches(documents: Iterable[Document]) -> Iterator[list[SummaryTuple]]:
    tuples: Iterator[Any] = (tuple(map(_plain, map(document.get, SUMMARY_COLUMNS))) for document in documents)
    while batch := list(islice(tuples, _BATCH_ROWS)):
        yield batch


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else int(value)
