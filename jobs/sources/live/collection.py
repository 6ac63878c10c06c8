"""One collection of a MongoDB server: its metadata, its counts, and its documents as a source."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Self, TypeVar, cast

from bson import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import OperationFailure, PyMongoError

from core.errors import SourceError
from core.instants import wall_clock_ms
from core.mongo_connection import count_in_metadata, is_transient
from core.retrying import attempts
from jobs.decode.batch import Chunk
from jobs.decode.classify import Window
from jobs.decode.decoder import BsonDecoder
from jobs.decode.plan import Fields
from jobs.sources.collections import Namespace, choose_collection
from jobs.sources.live import partitions
from jobs.sources.live.connecting import AS_STORED, ERRORS, Document, connect
from jobs.sources.live.count_check import check_count
from jobs.sources.live.cursors import parse_batch, projection_of, with_retries
from jobs.sources.live.options import LiveOptions
from jobs.sources.live.partition import LivePartition, Server, share, unshare
from jobs.sources.live.times import TimeRange, instant_at, joined, split
from jobs.sources.live.undated import undated_query, where_condition
from jobs.sources.partition import Source
from jobs.sources.url import redacted_url

T = TypeVar("T")

_RECENT_MS: Final = 300_000  # the clocks of writers may be slow
_INDEXES_NOT_SHOWN: Final = (13, 166)
"""Unauthorized, CommandNotSupportedOnView."""
_FIRST_BATCH: Final = 100
"""Size of the first query for the oldest documents; the oldest is usually counted."""


class LiveCollection:
    """A connected collection, which can be read repeatedly, whole or by time range; a context manager.

    :param server: the server of `client`.
    :param client: closed by `close`.
    :param place: the database in messages, without a password.
    """

    def __init__(self, server: Server, client: MongoClient[Document], place: str, namespace: Namespace) -> None:
        self._server = server
        self._client = client
        self._namespace = namespace
        self._options = server.options
        share(server, client)
        self._collection: Collection[Document] = client[namespace.database].get_collection(
            namespace.collection, codec_options=AS_STORED
        )
        self.name = f"{place}.{namespace.collection}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; idempotent."""
        unshare(self._server, self._client)
        self._client.close()

    def source(
        self, fields: Fields, times: Sequence[TimeRange] | None = None, named_ms: tuple[int, int] | None = None
    ) -> Source:
        """The documents of the collection as a source.

        A document that exists during the whole reading is read exactly once; one that is inserted or deleted meanwhile
        is read at most once. Without an index on the time field the server scans the whole collection for any `times`.

        :param times: read only documents whose time is a date in one of these ranges; None: all.
        :param named_ms: with `times`, also read documents whose time is not a date in this range of the calendar.
        :returns: readable while the connection is open; closing the source does not close the connection.
        :raises SourceError: the server does not answer, or refuses.
        """
        first = self._request(lambda: self._collection.find_one({}, {"_id": 1}))
        if first is not None and "_id" not in first:
            raise SourceError(f"the documents of {self.name} have no _id", "Include _id in the view.")
        ranges = None if times is None else joined(times)
        began_ms = wall_clock_ms()
        before = self._request(self._estimate)
        parts = self._request(partial(self._parts, fields.time, ranges, before))
        if ranges is not None and named_ms is not None:
            rest = self._undated_query(fields.time, named_ms, ranges)
            parts.append(partitions.Part(partitions.Order.NONE, rest=rest))

        def finish(read: int) -> tuple[str, ...]:
            if ranges is not None:
                return ()
            after = self._request(self._estimate)
            count = partial(self._request, partial(self._collection.count_documents, {}))
            recent = partial(self._request, partial(self._count_recent, fields.time, began_ms - _RECENT_MS))
            return tuple(filter(None, [check_count(self.name, read, before, after, count, recent)]))

        def expected_bytes(received: int, documents: int) -> int | None:
            return max(round(before * received / documents), received) if ranges is None and documents else None

        return Source(
            name=self.name,
            file_format="live collection",
            partitions=tuple(LivePartition(self._server, self._namespace, part, self.name) for part in parts),
            readers=self._options.cursors,
            expected_bytes=expected_bytes,
            finish=finish,
        )

    def first_documents(self, wanted: int) -> bytes:
        """The first `wanted` documents in the server's order, as concatenated BSON.

        :raises SourceError: the server does not answer, or refuses.
        """

        def read() -> bytes:
            with self._collection.find_raw_batches({}, limit=wanted) as cursor:
                return b"".join(cast("Iterator[bytes]", cursor))

        return self._request(read)

    def documents(self, paths: Sequence[str]) -> list[Document]:
        """All documents, with ``_id`` and the fields `paths`; for collections that fit into memory.

        :raises SourceError: the server does not answer, or refuses.
        """
        return self._request(lambda: list(self._collection.find({}, projection_of(paths))))

    def oldest_counted_ms(self, fields: Fields, window: Window) -> int | None:
        """The time of the oldest counted document, in milliseconds since 1970 UTC; None if there is none.

        With an index on the time field the server reads the oldest documents up to the first that is counted, else all.

        :param window: see `jobs.decode.classify.Window`.
        :raises SourceError: the server does not answer, or refuses.
        :raises SourceDamaged: its answer is no valid BSON.
        """
        times = {fields.time: TimeRange(window.wanted_first_ms, window.wanted_end_ms).condition()}
        query = {"$and": [times, where_condition(fields.where)]}
        decoder = BsonDecoder(fields, window)
        skipped, wanted = 0, _FIRST_BATCH
        while True:
            raw = self._request(partial(self._oldest_documents, query, fields, skipped, wanted))
            if not raw:
                return None
            found = parse_batch(self.name, raw)
            for batch in decoder.batches(Chunk(self.name, found.data, found.size, 0)):
                if batch.counts.counted:
                    return int(batch.instants[0])
            skipped, wanted = skipped + found.count, min(10 * wanted, self._options.batch_documents)

    def _oldest_documents(self, query: Document, fields: Fields, skipped: int, wanted: int) -> bytes:
        """The `wanted` oldest documents after the `skipped` oldest. With a limit a server can sort without an index."""
        with self._collection.find_raw_batches(
            query, projection_of(fields.paths()), sort=[(fields.time, 1)], skip=skipped, limit=wanted
        ) as cursor:
            return b"".join(cast("Iterator[bytes]", cursor))

    def count_undated(self, fields: Fields, times: Sequence[TimeRange], named_ms: tuple[int, int]) -> int:
        """Count the documents that pass the filters, but have no date in `named_ms` and do not match `times`.

        :raises SourceError: the server does not answer, or refuses.
        """
        query = {"$and": [self._undated_query(fields.time, named_ms, joined(times)), where_condition(fields.where)]}
        return self._request(partial(self._collection.count_documents, query))

    def time_index_exists(self, path: str) -> bool | None:
        """Whether an index covers the time field `path` of all documents; None if the server does not list indexes.

        :raises SourceError: the server does not answer, or refuses.
        """
        indexes = self._request(self._indexes)
        if indexes is None:
            return None
        return any(
            next(iter(index["key"].items())) in ((path, 1), (path, -1))
            and not index.get("hidden")
            and "partialFilterExpression" not in index
            for index in indexes
        )

    def create_index_command(self, path: str) -> str:
        """The mongosh command that creates this index."""
        database, collection = json.dumps(self._namespace.database), json.dumps(self._namespace.collection)
        key = json.dumps({path: 1})
        return f"db.getSiblingDB({database}).getCollection({collection}).createIndex({key})"

    def changed_since(self, updated_field: str, time_field: str, since_ms: int) -> Iterator[list[int]]:
        """The times of the documents whose `updated_field` is a date from `since_ms` on.

        :returns: lists of distinct instants in milliseconds; later lists may repeat some, as a broken cursor starts
            again. Documents whose time is not a date are skipped.
        :raises SourceError: the server does not answer, or refuses.
        """
        query = {updated_field: TimeRange(since_ms).condition()}
        path = time_field.split(".")
        size = self._options.batch_documents
        try:
            for attempt in attempts(is_transient, self._options.backoff):
                with attempt, self._collection.find(query, {"_id": 0, time_field: 1}, batch_size=size) as cursor:
                    yield from _distinct_times(cursor, path, size)
        except PyMongoError as error:
            raise ERRORS.failed(self.name, error) from None

    def _parts(self, time_field: str, ranges: list[TimeRange] | None, documents: int) -> list[partitions.Part]:
        """The parts, one per cursor run."""
        wanted = self._options.cursors if documents >= self._options.split_from else 1
        if ranges is not None and self.time_index_exists(time_field):
            return partitions.time_parts(time_field, split(ranges, wanted, self._latest_ms(time_field)))
        found = partitions.id_parts(self._collection, wanted)
        return found if ranges is None else partitions.within_times(found, time_field, ranges)

    def _undated_query(self, time_field: str, named_ms: tuple[int, int], ranges: Sequence[TimeRange]) -> Document:
        names_all_types = self._request(partial(partitions.knows_every_type, self._collection))
        return undated_query(time_field, named_ms, ranges, names_all_types=names_all_types)

    def _indexes(self) -> list[Mapping[str, Any]] | None:
        """The indexes; None for a view, or if the user may not list them."""
        try:
            return list(self._collection.list_indexes())
        except OperationFailure as error:
            if error.code in _INDEXES_NOT_SHOWN:
                return None
            raise

    def _estimate(self) -> int:
        """The server's estimate of the number of documents, from its metadata."""
        found = count_in_metadata(self._collection)
        return self._collection.estimated_document_count() if found is None else found

    def _count_recent(self, time_field: str, since_ms: int) -> int:
        """The number of documents created since `since_ms`, by their ``_id`` or their time."""
        since = datetime.fromtimestamp(since_ms / 1000, UTC)
        recent: list[Document] = [{"_id": {"$gte": ObjectId.from_datetime(since)}}, {time_field: {"$gte": since}}]
        return self._collection.count_documents({"$or": recent})

    def _latest_ms(self, time_field: str) -> int | None:
        found = self._collection.find_one(
            {time_field: {"$type": "date"}}, {"_id": 0, time_field: 1}, sort=[(time_field, -1)]
        )
        return instant_at(found, time_field.split("."))

    def _request(self, call: Callable[[], T]) -> T:
        return with_retries(call, self.name, self._options)


def open_collection(url: str, collection: str | None, options: LiveOptions | None = None) -> LiveCollection:
    """Connect to the server at `url` and choose the collection.

    :param collection: its name, with or without its database, or None for the default names.
    :raises UsageError: the URL is invalid, or names no database.
    :raises SourceError: the server does not answer, or refuses, or has no such collection.
    """
    options = options or LiveOptions()
    client, database = connect(url, options)
    place = redacted_url(url)
    try:
        try:
            # Works for users who may read only some collections.
            names = client[database].list_collection_names(authorizedCollections=True)
        except PyMongoError as error:
            raise ERRORS.failed(place, error) from None
        namespace = choose_collection(place, [Namespace(database, name) for name in names], collection)
        return LiveCollection(Server(url, options), client, place, namespace)
    except BaseException:
        client.close()
        raise


def open_live(
    url: str,
    fields: Fields,
    collection: str | None,
    options: LiveOptions | None = None,
    window: Window | None = None,
) -> Source:
    """A collection as a source, which owns its connection.

    :param window: read only documents of the requested range, and those that are rejected for their time; None: all.
    :raises UsageError: the URL is invalid, or names no database.
    :raises SourceError: see `open_collection`.
    """
    live = open_collection(url, collection, options)
    try:
        if window is None:
            source = live.source(fields)
        else:
            wanted = TimeRange(window.wanted_first_ms, window.wanted_end_ms)
            source = live.source(fields, [wanted], (window.named_first_ms, window.named_end_ms))
    except BaseException:
        live.close()
        raise

    return replace(source, close=live.close)


def _distinct_times(documents: Iterable[Document], path: list[str], at_once: int) -> Iterator[list[int]]:
    found: set[int] = set()
    for document in documents:
        if (instant := instant_at(document, path)) is not None:
            found.add(instant)
        if len(found) >= at_once:
            yield sorted(found)
            found.clear()
    if found:
        yield sorted(found)
