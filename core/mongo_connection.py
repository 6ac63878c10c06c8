"""Connections to MongoDB servers, for stores and sources, and the conversion of their failures to errors for users."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from core.errors import ServiceError
from core.mongo_urls import without_password

Document = dict[str, Any]

_LONGEST_REASON: Final = 400
# Messages quote documents and commands in braces: `dup key: { merchant_id: "…" }`. The first name is not content.
_QUOTED: Final = re.compile(r'\{\s*("?[$\w.]+"?:)?.*(?:\}|\Z)', re.DOTALL)

_ACCESS_DENIED: Final = frozenset({13, 18})  # Unauthorized, AuthenticationFailed

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
_TRANSIENT: Final = frozenset(
    {
        6,  # HostUnreachable
        7,  # HostNotFound
        43,  # CursorNotFound
        89,  # NetworkTimeout
        91,  # ShutdownInProgress
        134,  # ReadConcernMajorityNotAvailableYet
        175,  # QueryPlanKilled
        189,  # PrimarySteppedDown
        237,  # CursorKilled
        262,  # ExceededTimeLimit
        9001,  # SocketException
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11601,  # Interrupted
        11602,  # InterruptedDueToReplStateChange
        13388,  # StaleConfig
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
    }
)


def is_transient(error: BaseException) -> bool:
    """Whether a retry of the request may succeed."""
    if isinstance(error, OperationFailure):
        return error.code in _TRANSIENT or error.has_error_label("RetryableReadError")
    return isinstance(error, ConnectionFailure)


def count_in_metadata(collection: Collection[Document]) -> int | None:
    """The number of documents by the metadata of the server, which may be wrong after a crash; None without metadata.

    Some servers read the whole collection to count its documents by any other command.
    """
    # $collStats allows only the read concern "local".
    statistics = collection.with_options(read_concern=ReadConcern("local"))
    try:
        return sum(int(shard["count"]) for shard in statistics.aggregate([{"$collStats": {"count": {}}}]))
    except (OperationFailure, KeyError):  # no collection, a view, a user without the right, or another server
        return None


@dataclass(frozen=True, slots=True)
class MongoErrors:
    """The error types and hints of one use of a server.

    :param url_name: the URL in hints.
    :param invalid: the error for an invalid URL.
    :param unavailable: the error if the server does not answer, or refuses.
    :param refused_hint: the hint if it refuses for another reason than missing privileges.
    """

    url_name: str
    invalid: type[ServiceError]
    unavailable: type[ServiceError]
    refused_hint: str = ""

    def failed(self, name: str, error: PyMongoError, while_reading: str = "") -> ServiceError:
        """Convert `error` for users. Raise it ``from None``, as the text of `error` may quote documents.

        :param name: the name in sentences, without a password.
        :param while_reading: the progress at the failure, or empty before the beginning.
        """
        reason = reason_of(error)
        if isinstance(error, OperationFailure) and not is_transient(error):
            rights = f"Check the user, its password, its rights, and authSource in {self.url_name}."
            hint = rights if error.code in _ACCESS_DENIED else self.refused_hint
            return self.unavailable(f"{name} refuses the request: {reason}", hint)
        did = f"stopped answering {while_reading}" if while_reading else "does not answer"
        hint = f"Check that the server runs and that {self.url_name} names it, then try again."
        return self.unavailable(f"{name} {did}: {reason}", hint)


def connect(url: str, name: str, errors: MongoErrors, **options: Any) -> tuple[MongoClient[Document], str]:
    """A client for the server at `url`, and the name of the URL's database. Sends no query.

    :param name: the URL in sentences.
    :param options: options of the client, which override those of the URL.
    :raises ServiceError: of the types of `errors`: the URL is invalid, or names no database, or the DNS lookup of a
        ``mongodb+srv://`` URL failed.
    """
    try:
        with warnings.catch_warnings():
            # A misspelt option, such as for TLS, must be an error and not a warning.
            warnings.simplefilter("error", UserWarning)
            client: MongoClient[Document] = MongoClient(url, **options)
        try:
            return client, client.get_default_database().name
        except ConfigurationError:
            client.close()
            raise
    # Not even as the cause, as the driver's message may quote a part of the password.
    except (InvalidURI, ConfigurationError, ValueError, TypeError, UserWarning) as error:
        if url.startswith("mongodb+srv://") and error.__cause__ is not None:
            raise errors.unavailable(
                f"the servers of {without_password(url)} cannot be looked up",
                f"Check the name in {errors.url_name} and that this host can reach a DNS server, then try again.",
            ) from None
        raise errors.invalid(
            f"{name} is not a valid MongoDB URL with a database",
            "Write mongodb://user:password@host:27017/database; @ : / % inside a name or password as %40 %3A %2F %25; "
            "and check the options after the ? if any.",
        ) from None


def reason_of(error: PyMongoError) -> str:
    """The message of the server or the driver, for use in a sentence.

    It is short and quotes no document. For a batch, the number of failed writes, and the code and message of the first.
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
