"""Reads one part of a collection to its end, resuming with a new cursor when one breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from core.errors import SourceDamaged, SourceError
from core.mongo_connection import is_transient
from core.retrying import retry, retry_iteration
from jobs.decode.bson_kernel import end_of_documents
from jobs.decode.jit import PADDING, Bytes
from jobs.decode.plan import Fields
from jobs.sources.bson_file import describe_trouble
from jobs.sources.chunks import MAX_DOCUMENT_BYTES
from jobs.sources.live.connecting import ERRORS, Document
from jobs.sources.live.options import LiveOptions
from jobs.sources.live.partitions import Part
from jobs.sources.live.resume_point import resume_point_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CursorBatch:
    """Whole documents of a part, none of which was in an earlier batch.

    :param data: the concatenated documents, and `jobs.decode.jit.PADDING` bytes more.
    :param size: bytes of the documents; `count` is their number.
    :param last: the position of the last document.
    """

    data: Bytes
    size: int
    count: int
    last: int


def projection_of(fields: Iterable[str]) -> dict[str, int]:
    """The projection for `fields` and ``_id``. A whole field includes its nested fields.

    >>> projection_of(["pay.amount", "pay", "at", "_id.merchant"])
    {'_id': 1, 'at': 1, 'pay': 1}
    """
    wanted = {"_id", *fields}
    return {path: 1 for path in sorted(wanted) if not any(path.startswith(f"{other}.") for other in wanted)}


def batches_of(
    name: str,
    collection: Collection[Document],
    part: Part,
    fields: Fields,
    options: LiveOptions,
    stop: threading.Event,
) -> Generator[CursorBatch]:
    """The documents of `part`; ends early when `stop` is set.

    :raises SourceError: the server refuses, or does not answer for longer than `options` allow.
    :raises SourceDamaged: its answer is no valid BSON.
    """
    resume_point = resume_point_of(part, fields.time)
    projection = projection_of(fields.paths())
    documents = 0

    def unread() -> Generator[bytes]:
        with collection.find_raw_batches(
            resume_point.query(), projection, sort=resume_point.sort, batch_size=options.batch_documents
        ) as cursor:
            yield from filter(None, map(resume_point.unread, cast("Iterator[bytes]", cursor)))

    def may_retry(error: BaseException) -> bool:
        return not stop.is_set() and is_transient(error)

    try:
        with closing(retry_iteration(unread, may_retry, options.backoff, stop.wait)) as answers:
            for raw in answers:
                if stop.is_set():
                    return
                batch = parse_batch(name, raw)
                resume_point.read(raw, batch.last)
                documents += batch.count
                yield batch
    except PyMongoError as error:
        if stop.is_set():
            return
        raise ERRORS.failed(name, error, f"after {documents} documents of a part") from None


def with_retries(call: Callable[[], T], name: str, options: LiveOptions) -> T:
    """The result of `call`, with retries of transient failures.

    :raises SourceError: the server refuses, or keeps failing.
    """
    try:
        return retry(call, is_transient, options.backoff)
    except PyMongoError as error:
        raise ERRORS.failed(name, error) from None


def parse_batch(name: str, raw: bytes) -> CursorBatch:
    """Validate the documents in an answer of the server, at least one.

    :raises SourceDamaged: the answer is no valid BSON.
    """
    size = len(raw)
    data: Bytes = np.zeros(size + PADDING, np.uint8)
    data[:size] = np.frombuffer(raw, np.uint8)
    # One byte less, so that the walk stops at the last document.
    last, count, trouble = end_of_documents(data, 0, size - 1, MAX_DOCUMENT_BYTES)
    end, _, trouble_at_end = end_of_documents(data, last, size, MAX_DOCUMENT_BYTES)
    if trouble or trouble_at_end:
        raise SourceDamaged(name, int(end), describe_trouble(data, int(end), int(trouble or trouble_at_end)))
    if end != size:
        raise SourceError(f"{name} sent a truncated document of {size - int(end)} bytes", "Try again.")
    return CursorBatch(data, size, int(count) + 1, int(last))
