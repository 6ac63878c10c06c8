"""Failures of a server: which are worth another try, and what a user is told."""

from __future__ import annotations

from typing import Final

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from core.errors import SourceError
from core.stores.mongo.database import reason_of

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
    """Whether the same request may succeed after a while."""
    if isinstance(error, OperationFailure):
        return error.code in _TRANSIENT or error.has_error_label("RetryableReadError")
    return isinstance(error, ConnectionFailure)


def source_error(name: str, error: PyMongoError, while_reading: str = "") -> SourceError:
    """`error` as a user understands it; to be raised ``from None``, as the text of `error` may quote documents.

    :param name: what messages call the source; no password in it.
    :param while_reading: how far it had come, or nothing when it had not begun.
    """
    reason = reason_of(error)
    if isinstance(error, OperationFailure) and not is_transient(error):
        refused = error.code in _ACCESS_DENIED
        hint = (
            "Check the user, its password, its rights, and authSource in the URL."
            if refused
            else "Check that the server's version and the names of fields allow it."
        )
        return SourceError(f"{name} refuses: {reason}", hint)
    hint = "Check that the server runs and that the URL names it, then try again."
    if while_reading:
        return SourceError(f"{name} stopped answering {while_reading}: {reason}", hint)
    return SourceError(f"{name} does not answer: {reason}", hint)
