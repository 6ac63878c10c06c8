"""A database of a MongoDB server: read and write guarantees, and conversion of failures to errors for users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ReadPreference
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import NetworkTimeout, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from core.errors import ServiceError, SettingsError, StoreUnavailable, StoreUnwritable
from core.mongo_connection import Document as Document  # for the other modules of this package
from core.mongo_connection import MongoErrors, connect, reason_of
from core.mongo_urls import without_password

_ERRORS: Final = MongoErrors("STORE_URL", SettingsError, StoreUnavailable)
_MAJORITY_WAIT: Final = 2 / 3
"""The part of a time-out for which the server waits for a majority: its answer must arrive before the time-out."""


class Database:
    """The database of a ``mongodb://`` URL. Thread-safe, but not fork-safe.

    Read and write concern are "majority", with journaling. Reads go to the primary, as a secondary may have a
    publication before all of its summaries.

    :param timeout_s: seconds to wait for a server, a connection, or an answer; for a majority, two thirds of that.
    :raises SettingsError: the URL is invalid, or names no database.
    :raises StoreUnavailable: the DNS lookup of a ``mongodb+srv://`` URL failed.
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
            write_concern=WriteConcern("majority", j=True, wtimeout=max(1, round(timeout_ms * _MAJORITY_WAIT))),
        )

    @contextmanager
    def answering(self) -> Iterator[PyMongoDatabase[Document]]:
        """The database; converts failures inside.

        :raises StoreUnavailable: the server does not answer, or refuses.
        """
        try:
            yield self._database
        except PyMongoError as error:
            # Not as the cause, as its text, which a traceback shows, quotes documents of a batch.
            raise self._failed(error) from None

    @contextmanager
    def writing(self) -> Iterator[PyMongoDatabase[Document]]:
        """`answering` for writes; if the server refuses or blocks them, reads may still work.

        :raises StoreUnwritable: the server refuses, as on a full disk, or does not confirm a write in time, as while a
            backup locks it or while no majority answers it. A server that is down is found by the next read.
        :raises StoreUnavailable: the server does not answer.
        """
        try:
            yield self._database
        except OperationFailure as error:
            refused = self._failed(error)
            raise StoreUnwritable(refused.sentence, refused.hint) from None  # as above
        except NetworkTimeout as error:
            raise StoreUnwritable(
                f"the store at {self.place} does not confirm a write: {reason_of(error)}",
                "Check that writes are not locked (fsyncLock), that its disk works, and that a majority of the replica "
                "set is up, then try again.",
            ) from None
        except PyMongoError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Close all connections; idempotent."""
        self._client.close()

    def _failed(self, error: PyMongoError) -> ServiceError:
        return _ERRORS.failed(f"the store at {self.place}", error)
