"""One database of a MongoDB server: what its reads and writes guarantee, and every failure as a user understands it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import MongoClient, ReadPreference
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from core.errors import SettingsError, StoreUnavailable, StoreUnwritable

Document = dict[str, Any]

_ACCESS_DENIED: Final = (13, 18)  # Unauthorized, AuthenticationFailed
_LONGEST_REASON: Final = 400
# A message quotes documents and commands in braces: `dup key: { merchant_id: "…" }`. The first name is no content.
_QUOTED: Final = re.compile(r'\{\s*("?[$\w.]+"?:)?.*(?:\}|\Z)', re.DOTALL)


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
        self._client = _client(url, timeout_ms)
        try:
            name = self._client.get_default_database().name
        except ConfigurationError:
            self._client.close()
            raise _invalid_url() from None
        self.place: Final = f"{urlsplit(url).scheme}://{_hosts(url)}/{name}"
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
            raise self._unavailable(error) from None

    @contextmanager
    def writing(self) -> Iterator[PyMongoDatabase[Document]]:
        """As `answering`, for what writes: of a server that refuses that, reading may well go on.

        :raises StoreUnwritable: it refuses, as on a full disk.
        :raises StoreUnavailable: it does not answer.
        """
        try:
            yield self._database
        except OperationFailure as error:
            refused = self._unavailable(error)
            raise StoreUnwritable(refused.sentence, refused.hint) from None  # as above
        except PyMongoError as error:
            raise self._unavailable(error) from None

    def close(self) -> None:
        """Close all connections; closing again does nothing."""
        self._client.close()

    def _unavailable(self, error: PyMongoError) -> StoreUnavailable:
        if isinstance(error, OperationFailure):
            refused = error.code in _ACCESS_DENIED
            hint = "Check the user, its password, its rights, and authSource in STORE_URL." if refused else ""
            return StoreUnavailable(f"the store at {self.place} refuses: {reason_of(error)}", hint)
        hint = "Check that the server runs and that STORE_URL names it, then try again."
        return StoreUnavailable(f"the store at {self.place} does not answer: {reason_of(error)}", hint)


def reason_of(error: PyMongoError) -> str:
    """What went wrong, in the server's or the driver's words, to stand in a sentence.

    It is short and quotes no document. Of a batch it says how many writes failed, and the code and message of the
    first.
    """
    details = (error.details if isinstance(error, OperationFailure) else None) or {}
    refused = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
    if refused:
        writes = "1 write failed" if len(refused) == 1 else f"{len(refused)} writes failed, the first"
        return f"{writes} with code {refused[0].get('code')}: {_message_of(refused[0])}"
    if details:
        return _message_of(details)
    return _short(str(error).partition(" (configured timeouts:")[0].partition(", Timeout:")[0])


def _message_of(refusal: Mapping[str, Any]) -> str:
    """The message of an error document of the server."""
    return _short(str(refusal.get("errmsg") or f"error {refusal.get('code', 'without a code')}"))


def _short(message: str) -> str:
    without_content = _QUOTED.sub(lambda found: f"{{ {found[1]} … }}" if found[1] else "{ … }", message)
    found = " ".join(without_content.split()).rstrip(".")
    return found if len(found) <= _LONGEST_REASON else f"{found[: _LONGEST_REASON - 1]}…"


def _client(url: str, timeout_ms: int) -> MongoClient[Document]:
    try:
        with warnings.catch_warnings():
            # A misspelt option, such as that for TLS, must not be left out with a mere warning.
            warnings.simplefilter("error", UserWarning)
            return MongoClient(
                url, serverSelectionTimeoutMS=timeout_ms, connectTimeoutMS=timeout_ms, socketTimeoutMS=timeout_ms
            )
    # Not even as the cause: what is wrong with a URL is often quoted from its password.
    except (InvalidURI, ConfigurationError, ValueError, TypeError, UserWarning) as error:
        if url.startswith("mongodb+srv://") and error.__cause__ is not None:
            raise StoreUnavailable(
                f"the servers of the store at {_hosts(url)} cannot be looked up",
                "Check the name in STORE_URL and that this host can reach a DNS server, then try again.",
            ) from None
        raise _invalid_url() from None


def _hosts(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _invalid_url() -> SettingsError:
    return SettingsError(
        "STORE_URL is not a valid MongoDB URL with a database: it must be mongodb://user:password@host:27017/database",
        "Write @ : / % inside a user name or password as %40 %3A %2F %25, and check the options after the ? if any.",
    )
