"""The schema version of a MongoDB store: one document of ``summary_meta``."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from pymongo.errors import DuplicateKeyError

from core.stores.mongo.database import Database
from core.stores.refusals import no_store, too_new

SCHEMA_VERSION: Final = 1


def prepare(database: Database, *, create: bool) -> None:
    """See that `database` holds a store of a schema that this program knows.

    :param create: whether to make one when there is none.
    :raises StoreTooNew: its schema is newer than this program; nothing was changed.
    :raises StoreUnavailable: the server does not answer, or holds no store and `create` is False.
    """
    with database.answering() as db:
        found = db["summary_meta"].find_one({"_id": "schema"})
        if found is None:
            if not create:
                raise no_store(database.place)
            with suppress(DuplicateKeyError):  # another process made it meanwhile
                db["summary_meta"].insert_one({"_id": "schema", "version": SCHEMA_VERSION})
        elif found["version"] > SCHEMA_VERSION:
            raise too_new(database.place, found["version"], SCHEMA_VERSION)
