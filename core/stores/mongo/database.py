"""One database of a MongoDB server: what its reads and writes guarantee, and every failure as a user understands it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ReadPreference
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from core.errors import ServiceError, SettingsError, StoreUnavailable, StoreUnwritable
from core.mongo_connection import Document as Document  # for the other modules of this package
from core.mongo_connection import MongoErrors, connect
from core.mongo_urls import without_password

_ERRORS: Final = MongoErrors("STORE_URL", SettingsError, StoreUnavailable)


class Database:
    """The database that a ``mongodb://`` URL names. Threads may share it; processes may not.

    What is read was written by a majority, and what is written is on the disks of one. Reads go to the primary: a
    secondary may know a publication before it has all of its summaries.

    :param timeout_s: seconds to wait for a server, a connection, an answer, or a majority.
    :raises SettingsError: the URL is not valid, or names no database.
    :raises StoreUnavailable: the servers of a ``mongodb+srv://`` URL cannot be looked up.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        timeout_ms = max(1, round(timeout_s * 1000))
        timeouts = dict.fromkeys(("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS"), timeout_ms)
        self._client, name = connect(url, "STORE_URL", _ERRORS, **timeouts)
        self.place: Final = without_password(url)
        self._database = self._client.get_database(
            name,
            codec_options=CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS),
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern("majority", j=True, wtimeout=timeout_ms),
        )

    @contextmanager
    def answering(self) -> Iterator[PyMongoDatabase[Document]]:
        """The database, for as long as it answers.

        :raises StoreUnavailable: it does not, or it refuses.
        """
        try:
            yield self._database
        except PyMongoError as error:
            # Not as the cause: its own text, which a traceback shows, quotes the documents of a batch.
            raise self._failed(error) from None

    @contextmanager
    def writing(self) -> Iterator[PyMongoDatabase[Document]]:
        """As `answering`, for what writes: of a server that refuses that, reading may well go on.

        :raises StoreUnwritable: it refuses, as on a full disk.
        :raises StoreUnavailable: it does not answer.
        """
        try:
            yield self._database
        except OperationFailure as error:
            refused = self._failed(error)
            raise StoreUnwritable(refused.sentence, refused.hint) from None  # as above
        except PyMongoError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Close all connections; closing again does nothing."""
        self._client.close()

    def _failed(self, error: PyMongoError) -> ServiceError:
        return _ERRORS.failed(f"the store at {self.place}", error)
