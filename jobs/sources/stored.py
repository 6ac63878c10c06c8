"""Where the bytes of a source are stored, and how they are opened: the seam behind which a file, a URL or a pipe is."""

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
    """Bytes that any process can open anywhere, as often as wanted; picklable.

    :ivar name: what messages call it, without a password; that of another one may be the same.
    :ivar key: what differs from that of everything else that is stored; without secrets.
    :ivar size: how many bytes are stored, or None when that is not known.
    :ivar version: another text whenever the content is another, such as an ETag, or empty when that is not known; with
        `key` and `size` it shows whether the content is still the same.
    """

    name: str
    key: str
    size: int | None
    version: str

    @abstractmethod
    def open(self, start: int = 0, end: int | None = None) -> IO[bytes]:
        """The bytes from `start` on, unbuffered, to be read forward.

        :param end: where reading will stop, or a little later; None: at the end.
        :raises SourceError: they cannot be read, or are no longer those of `version`.
        """

    @property
    def path(self) -> Path | None:
        """The file of this host that has them, or None."""
        return None

    def stream(self, compressed: bool | None = None, start: int = 0, end: int | None = None) -> ByteStream:
        """The uncompressed bytes from `start` on; see `open`.

        :param compressed: whether they are gzip; None: see by what they begin with. What is compressed is opened at 0.
        """
        return ByteStream(self.name, self.open(start, end), self.size, start, compressed)

    def require_unchanged(self) -> None:  # noqa: B027 - not everything can change
        """Raise where the content has changed since it was listed.

        :raises SourceError: it has, so that what was read may be a mix.
        """


@dataclass(frozen=True, slots=True)
class StoredFile(Stored):
    """A regular file of this host.

    Pickled for another process, which may be in another folder, it keeps where it is. On another host it does not
    compare `changed_ns` and `inode`, which a copy of the file does not share.

    :param modified_ns: when its content was last written, which anybody can set; as of `os.stat_result`.
    :param changed_ns: when anything of it was last changed, which nobody can set; None: it is not compared.
    :param inode: not compared while it is read, as some file systems number their files again.
    :param place: its whole path, where `name` begins at the folder of another process.
    """

    name: str
    size: int
    modified_ns: int
    changed_ns: int | None
    inode: int | None
    place: str | None = None

    @property
    def key(self) -> str:  # type: ignore[override]
        """See `Stored`."""
        return os.path.realpath(self.name)

    @property
    def version(self) -> str:  # type: ignore[override]
        """See `Stored`."""
        return f"{self.modified_ns} {self.changed_ns} {self.inode}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.size, self.modified_ns, None, None, str(self.path.absolute()))

    @property
    def path(self) -> Path:
        """See `Stored.path`."""
        return Path(self.place or self.name)

    def open(self, start: int = 0, end: int | None = None) -> IO[bytes]:
        """See `Stored.open`."""
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
        """See `Stored.require_unchanged`."""
        try:
            self._require_same(self.path.stat())
        except OSError as error:
            _fail(self.name, error)

    def _require_same(self, status: os.stat_result) -> None:
        changed_ns = None if self.changed_ns is None else status.st_ctime_ns
        if (status.st_size, status.st_mtime_ns, changed_ns) != (self.size, self.modified_ns, self.changed_ns):
            raise SourceError(
                f"{self.name} was changed while it was read",
                "Nothing was published. Run it again when nothing writes to the file any more.",
            )


class Once(Stored):
    """What can be read only once, forward: standard input, a named pipe, an answer of a server that names no version.

    It stays with this process.
    """

    def __init__(self, name: str, opened: IO[bytes]) -> None:
        self.name = name
        self.key = name
        self.size = None
        self.version = ""
        self._stream = ByteStream(name, opened, None)

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            f"{self.name} can be read by this process only", "Save it to a file that every worker can read first."
        )

    def open(self, start: int = 0, end: int | None = None) -> IO[bytes]:
        """Not possible: what was read to recognise the content cannot be read again."""
        raise AssertionError(f"{self.name} has one stream only")

    def stream(self, compressed: bool | None = None, start: int = 0, end: int | None = None) -> ByteStream:
        """The one stream that there is, wherever its reading has come to."""
        return self._stream


def stored_at(argument: str) -> Stored:
    """The file at the path `argument`, or standard input for ``-``.

    :raises SourceError: the file does not exist or may not be read.
    """
    if argument == STANDARD_INPUT:
        try:
            # Not through sys.stdin: that waits until a whole buffer is full, and Python cannot end while it does.
            return Once(_STANDARD_INPUT_NAME, open(0, "rb", buffering=0, closefd=False))
        except OSError as error:
            _fail(_STANDARD_INPUT_NAME, error)
    try:
        opened = Path(argument).open("rb", buffering=0)  # noqa: SIM115 - closed here or by its reader
    except OSError as error:
        _fail(argument, error)
    status = os.fstat(opened.fileno())
    if not stat.S_ISREG(status.st_mode):
        return Once(argument, opened)
    opened.close()
    return StoredFile(argument, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _fail(name: str, error: OSError) -> NoReturn:
    raise SourceError(
        f"{name} cannot be read: {error.strerror or error}", "Check the path and its permissions."
    ) from None
