"""A connection to an SQLite file: transactions, and conversion of failures to errors for users."""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from core.errors import StoreBusy, StoreUnavailable, StoreUnwritable
from core.stores.opening import no_store
from core.system_limits import DISK_FULL, limit_at

_POLL_S: Final = 0.002
WRITE_PAUSE_S: Final = 2 * _POLL_S
"""Pause between batches of a long write, so that others, which poll, can write."""

_CHECKPOINT_TIMEOUT_MS: Final = 200  # how long closing waits for running statements

_OF_THE_SYSTEM: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)
"""Primary result codes whose reason is an errno of the system, such as an I/O error for a full disk."""

_MOVED: Final = (
    "its file was removed or replaced while it was open",
    "Put the file back, or restart the program to open the new file. The API opens it automatically.",
)
_REASONS: Final = {
    sqlite3.SQLITE_BUSY: (
        "another process has locked it for {timeout_s:g} s",
        "Wait until the other process has finished, or increase STORE_TIMEOUT_S.",
    ),
    sqlite3.SQLITE_READONLY: (
        "this user may not write to it",
        "Change the permissions of the file and its folder, or STORE_URL.",
    ),
    sqlite3.SQLITE_FULL: DISK_FULL,
    sqlite3.SQLITE_IOERR: (
        "reading or writing failed ({error})",
        "Check for free space, a file size limit and the health of the disk; the previous publication "
        "is still current.",
    ),
    sqlite3.SQLITE_NOTADB: ("it is not an SQLite database", "Move that file away, or change STORE_URL."),
    sqlite3.SQLITE_CORRUPT: (
        "it is damaged ({error})",
        "Restore a backup, or move the file away and rebuild the summaries.",
    ),
}
"""The (reason, hint) of primary result codes."""
_OTHER_REASON: Final = ("{error}", "If another program has changed its tables, restore a backup.")


class Database:
    """A connection to the file at `path`. Thread-safe: transactions take turns.

    :param timeout_s: seconds to wait for another writer.
    :param create: whether to create a missing file.
    :raises StoreUnavailable: it cannot be opened, or does not exist and `create` is False.
    """

    def __init__(self, path: Path, *, timeout_s: float, create: bool) -> None:
        self.path = path
        self.timeout_s = timeout_s
        self._lock = threading.RLock()
        if not create and _is_missing(path):
            raise no_store(str(path))
        self._file = path.absolute()  # independent of later changes of the working directory
        found = _identity(self._file)  # before opening, so that a file that is replaced meanwhile is detected later
        with self._explained():
            self._connection = sqlite3.connect(
                f"{self._file.as_uri()}?mode={'rwc' if create else 'rw'}",
                uri=True,
                timeout=timeout_s,
                isolation_level=None,
                check_same_thread=False,
            )
        self._identity = found or _identity(self._file)
        self._connection.row_factory = sqlite3.Row
        try:
            # A power cut must not undo a publication that a reader has seen, which WAL with a lower level would allow.
            # Legacy renames, so that the views of analysts keep their text and do not follow the retired table.
            for pragma in ("synchronous = FULL", "legacy_alter_table = ON"):
                with self._explained():
                    self._connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            self._connection.close()
            raise

    def require_in_place(self) -> None:
        """Raise unless the path is still the opened file; needs one ``stat``.

        :raises StoreUnavailable: the file was removed or replaced, so that this connection reads old content.
        """
        if self._identity is None or _identity(self._file) != self._identity:
            raise self._refused(*_MOVED)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """The connection for single statements: each is its own transaction, so a SELECT is one snapshot.

        :raises StoreUnavailable: SQLite failed.
        """
        with self._lock, self._explained():
            yield self._connection

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """The connection in a write transaction: committed at the end, rolled back on any exception.

        :param durable: whether the commit survives a power cut. If not, it is durable with the next durable transaction
            of any connection, and a power cut before that undoes all of it.
        :raises StoreUnwritable: SQLite failed; nothing was written.
        :raises StoreUnavailable: the file was removed or replaced; nothing was written.
        """
        with self._lock, self._explained(StoreUnwritable):
            connection = self._connection
            try:
                if not durable:
                    connection.execute("PRAGMA synchronous = NORMAL")
                self._begin(connection)  # inside the try, as a signal's exception may be raised as soon as it returns
                self.require_in_place()  # SQLite would continue to write to an unlinked file
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            finally:
                if not durable:
                    connection.execute("PRAGMA synchronous = FULL")

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Begin a write transaction, waiting for other writers.

        Polls more often than SQLite, which backs off to ten times a second, so that a waiting writer would miss the
        pauses between the batches of a publication.
        """
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            execute_when_free(connection, "BEGIN IMMEDIATE", self.timeout_s)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {round(self.timeout_s * 1000)}")

    def close(self) -> None:
        """Close the connection; idempotent.

        After writes it checkpoints the write-ahead log, which SQLite would leave to the last connection: a service may
        have the file open for months. Then the file is complete without the log, and can be copied or replaced.
        """
        with self._lock:
            with suppress(sqlite3.Error):  # closed, moved or read-only: the data is safe in the log
                if self._connection.total_changes:
                    self._connection.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_TIMEOUT_MS}")
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._connection.close()

    @contextmanager
    def _explained(self, kind: type[StoreUnavailable] = StoreUnavailable) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._unavailable(error, kind) from error

    def _unavailable(self, error: sqlite3.Error, kind: type[StoreUnavailable]) -> StoreUnavailable:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the other bits refine the primary code
        limit = limit_at(self._file.parent) if code in _OF_THE_SYSTEM else None
        if limit is not None:
            reason, hint = limit
        elif code == sqlite3.SQLITE_CANTOPEN:
            reason, hint = self._why_not_opened()
        else:
            reason, hint = _REASONS.get(code, _OTHER_REASON)
        kind = StoreBusy if code == sqlite3.SQLITE_BUSY else kind
        return self._refused(reason.format(error=error, timeout_s=self.timeout_s), hint, kind)

    def _refused(self, reason: str, hint: str, kind: type[StoreUnavailable] = StoreUnavailable) -> StoreUnavailable:
        return kind(f"the store at {self.path} cannot be used: {reason}", hint)

    def _why_not_opened(self) -> tuple[str, str]:
        try:
            if self.path.is_dir():
                return "it is a folder", "Set STORE_URL to a file in it."
            if not self._file.parent.is_dir():
                return f"there is no folder {self.path.parent}", "Create the folder, or change STORE_URL."
        except OSError as error:
            return f"{error.strerror}", "Change the permissions, or STORE_URL."
        return "this user may not open it, or not write in its folder", "Change the permissions, or STORE_URL."


def execute_when_free(connection: sqlite3.Connection, statement: str, timeout_s: float) -> None:
    """Execute `statement`, again and again while the file is locked by others, for at most `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


def _is_missing(path: Path) -> bool:
    """Whether no file is at `path`; False if that is unknown, because this user may not enter its folder."""
    try:
        path.stat()
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENOTDIR)
    return False


def _identity(path: Path) -> tuple[int, int] | None:
    """The identity of the file at `path`: device and inode; None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
