"""The stored content of a source and how to open it: the interface of files, URLs and pipes."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from core.errors import SourceError, UsageError
from jobs.sources.streams import STANDARD_INPUT, ByteStream

_STANDARD_INPUT_NAME = "standard input"


class Stored(ABC):
    """Stored content that any process can open repeatedly at any position; picklable.

    :ivar name: its name in messages, without a password; not unique.
    :ivar key: a unique key, without secrets.
    :ivar size: stored bytes, or None if unknown.
    :ivar version: text that changes with the content, such as an ETag; empty if unknown. With `key` and `size` it
        identifies the content.
    """

    name: str
    key: str
    size: int | None
    version: str

    @abstractmethod
    def open(self, start: int = 0, end: int | None = None) -> IO[bytes]:
        """The stored bytes from `start` on, unbuffered and forward-only.

        :param end: approximate end of reading; None: the end of the content.
        :raises SourceError: it cannot be read, or its version has changed.
        """

    @property
    def path(self) -> Path | None:
        """The path of a local file, or None."""
        return None

    @property
    def has_end(self) -> bool:
        """Whether reading fails if the end is missing; False: only some formats notice that."""
        return True

    def stream(self, compressed: bool | None = None, start: int = 0, end: int | None = None) -> ByteStream:
        """The uncompressed bytes from `start` on; see `open`.

        :param compressed: whether the content is gzip; None: detect. Compressed content is opened at 0.
        """
        return ByteStream(self.name, self.open(start, end), self.size, start, compressed)

    def require_unchanged(self) -> None:  # noqa: B027 - optional
        """Raise if the content has changed since it was listed.

        :raises SourceError: it has changed, so that the bytes read may be of two versions.
        """


@dataclass(frozen=True, slots=True)
class StoredFile(Stored):
    """A regular local file.

    Pickling makes the path absolute and drops `changed_ns` and `inode`, which differ for a copy on another host.

    :param modified_ns: ``st_mtime_ns``, which users can set.
    :param changed_ns: ``st_ctime_ns``, which users cannot set; None: not compared.
    :param inode: not compared while the file is read, as some file systems renumber their files.
    :param place: its absolute path, if `name` is relative to the folder of another process.
    """

    name: str
    size: int
    modified_ns: int
    changed_ns: int | None
    inode: int | None
    place: str | None = None

    @property
    def key(self) -> str:  # type: ignore[override]
        return os.path.realpath(self.name)

    @property
    def version(self) -> str:  # type: ignore[override]
        return f"{self.modified_ns} {self.changed_ns} {self.inode}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.size, self.modified_ns, None, None, str(self.path.absolute()))

    @property
    def path(self) -> Path:
        return Path(self.place or self.name)

    def open(self, start: int = 0, end: int | None = None) -> IO[bytes]:
        try:
            opened = self.path.open("rb", buffering=0)
        except OSError as error:
            _fail(self.name, error)
        try:
            self._require_same(os.fstat(opened.fileno()))
            opened.seek(start)
        except BaseException:
            opened.close()
            raise
        return opened

    def require_unchanged(self) -> None:
        try:
            self._require_same(self.path.stat())
        except OSError as error:
            _fail(self.name, error)

    def _require_same(self, status: os.stat_result) -> None:
        changed_ns = None if self.changed_ns is None else status.st_ctime_ns
        if (status.st_size, status.st_mtime_ns, changed_ns) != (self.size, self.modified_ns, self.changed_ns):
            raise SourceError(
                f"{self.name} was changed while it was read",
                "Nothing was published. Run the same command again when no program writes to the file.",
            )


class SinglePass(Stored):
    """Content that can be read only once: standard input, a named pipe, a response without a version.

    It cannot be pickled.
    """

    def __init__(self, name: str, opened: IO[bytes], *, has_end: bool = True) -> None:
        self.name = name
        self._has_end = has_end
        self.key = name
        self.size = None
        self.version = ""
        self._stream = ByteStream(name, opened, None)

    @property
    def has_end(self) -> bool:
        return self._has_end

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            f"{self.name} can be read only by this process", "First save it to a file that every worker can read."
        )

    def open(self, start: int = 0, end: int | None = None) -> IO[bytes]:
        """Not possible: the bytes read for format detection cannot be read again."""
        raise AssertionError(f"{self.name} has one stream only")

    def stream(self, compressed: bool | None = None, start: int = 0, end: int | None = None) -> ByteStream:
        """The only stream, at its current position."""
        return self._stream


def stored_at(argument: str) -> Stored:
    """The file at the path `argument`, or standard input for ``-``.

    :raises SourceError: the file does not exist or is not readable.
    """
    if argument == STANDARD_INPUT:
        try:
            # Not through sys.stdin, which blocks until its buffer is full, and then Python cannot exit.
            return SinglePass(_STANDARD_INPUT_NAME, open(0, "rb", buffering=0, closefd=False))
        except OSError as error:
            _fail(_STANDARD_INPUT_NAME, error)
    try:
        opened = Path(argument).open("rb", buffering=0)  # noqa: SIM115 - closed below or by the reader
    except OSError as error:
        _fail(argument, error)
    status = os.fstat(opened.fileno())
    if not stat.S_ISREG(status.st_mode):
        return SinglePass(argument, opened)
    opened.close()
    return StoredFile(argument, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _fail(name: str, error: OSError) -> NoReturn:
    raise SourceError(
        f"{name} cannot be read: {error.strerror or error}", "Check the path and its permissions."
    ) from None
