"""The collection ``summary_publications``: the current and the previous publication, and their collections."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pymongo import DESCENDING
from pymongo.database import Database

from core.stores.mongo.database import Document
from core.stores.mongo.layers import layers_of

PUBLICATIONS: Final = "summary_publications"


def current_publication(db: Database[Document]) -> Document | None:
    """The document of the current publication, or None if nothing is published yet."""
    return db[PUBLICATIONS].find_one(sort=[("_id", DESCENDING)])


def newest_two(db: Database[Document]) -> list[Document]:
    """The documents of the current and the previous publication, if they exist."""
    return list(db[PUBLICATIONS].find().sort("_id", DESCENDING).limit(2))


def collections_of(newest: Iterable[Document]) -> set[str]:
    """The collections of the publications `newest`."""
    return {layer.collection for document in newest for layer in layers_of(document)}
