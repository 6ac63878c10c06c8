"""Idempotent inserts: a duplicate key is no error when the stored document is the one that this call inserts.

A driver that waits for an answer in vain sends its write again. MongoDB knows the repetition by its transaction number;
other servers of the protocol apply it a second time, and answer that the documents are there already.
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
    """Insert `document`; whether this call did, and not an earlier one that took the ``_id``.

    The entry ``claim`` that it gets tells it from an equal one of somebody else.

    :raises PyMongoError: the server does not answer, or refuses for another reason.
    """
    claimed = {**document, "claim": secrets.token_hex(8)}
    try:
        collection.insert_one(claimed)
    except DuplicateKeyError:
        return _are_stored(collection, [claimed])
    return True


def insert_batch(collection: Collection[Document], documents: list[Document]) -> None:
    """Insert `documents`, in any order; they get the ``_id`` that they lack.

    :raises PyMongoError: the server does not answer or refuses, or has another document in the place of one of these.
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
    """Whether each of `documents` is in the collection, as it is."""
    # Not only what a majority has: a document that is in the way is there, however far it has been copied.
    found = collection.with_options(read_concern=ReadConcern("local")).find(
        {"_id": {"$in": [document["_id"] for document in documents]}}
    )
    stored = {document["_id"]: document for document in found}
    return all(stored.get(document["_id"]) == document for document in documents)
