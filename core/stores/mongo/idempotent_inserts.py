"""Idempotent inserts: a duplicate key is no error if the stored document is the inserted one.

A driver that receives no answer retries its write. MongoDB recognizes the retry by its transaction number; other
servers apply it twice, and then report a duplicate key.
"""

from __future__ import annotations

import secrets
from typing import Final

from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.read_concern import ReadConcern

from core.stores.mongo.database import Document

_DUPLICATE_KEY: Final = 11000


def insert_once(collection: Collection[Document], document: Document) -> bool:
    """Insert `document`; False if the ``_id`` is already used by another insert.

    A random field ``claim`` distinguishes it from an equal document of another process.

    :raises PyMongoError: the server does not answer, or refuses for another reason.
    """
    claimed = {**document, "claim": secrets.token_hex(8)}
    try:
        collection.insert_one(claimed)
    except DuplicateKeyError:
        return _are_stored(collection, [claimed])
    return True


def insert_batch(collection: Collection[Document], documents: list[Document]) -> None:
    """Insert `documents`, in any order; adds a missing ``_id``.

    :raises PyMongoError: the server does not answer or refuses, or has a different document with one of these ids.
    """
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        refused = error.details["writeErrors"]
        only_duplicates = all(one["code"] == _DUPLICATE_KEY for one in refused)
        if error.details["writeConcernErrors"] or not only_duplicates:
            raise
        if not _are_stored(collection, [documents[one["index"]] for one in refused]):
            raise


def _are_stored(collection: Collection[Document], documents: list[Document]) -> bool:
    """Whether the collection has all `documents` unchanged."""
    # With read concern "local": the existing document may not be replicated yet.
    found = collection.with_options(read_concern=ReadConcern("local")).find(
        {"_id": {"$in": [document["_id"] for document in documents]}}
    )
    stored = {document["_id"]: document for document in found}
    return all(stored.get(document["_id"]) == document for document in documents)
