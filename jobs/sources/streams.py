"""Byte streams from files, standard input and gzip, with `peek`; damage becomes `SourceDamaged`."""

from __future__ import annotations

import gzip
import io
import select
from collections.abc import Callable
from functools import partial
from typing import IO, Any, Final, TypeVar

from isal import isal_zlib

from core.errors import SourceDamaged, SourceError

STANDARD_INPUT: Final = "-"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_BUFFER_BYTES: Final = 256 * 1024
_HEAD_BYTES: Final = 4096
_CORRUPT: Final[Any] = (EOFError, gzip.BadGzipFile, isal_zlib.error)

T = TypeVar("T")


class ByteStream(io.RawIOBase):
    """The uncompressed bytes of a file or of standard input, forward-only.

    :param name: its name in messages.
    :param opened: the stored bytes.
    :param stored_bytes: their number, or None if unknown.
    :param position: the position of `opened` in the source.
    :param compressed: whether the content is gzip; None: detect.
    """

    def __init__(
        self,
        name: str,
        opened: IO[bytes],
        stored_bytes: int | None,
        position: int = 0,
        compressed: bool | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.stored_bytes = stored_bytes
        self.position = position
        self._pushed_back = b""
        self._counted = _Counted(opened)
        stored = io.BufferedReader(self._counted, _BUFFER_BYTES)
        self._stored = stored
        if compressed is None:
            compressed = self._guarded(lambda: stored.peek(2))[:2] == _GZIP_MAGIC
        self.compressed = compressed
        self._content: io.BufferedReader[Any] = stored
        if self.compressed:
            # Not `IGzipFile`, whose `readinto` copies what `read` returns.
            unzipped: Any = isal_zlib._GzipReader(stored, _BUFFER_BYTES)
            self._content = io.BufferedReader(unzipped, _BUFFER_BYTES)

    @property
    def consumed_bytes(self) -> int:
        """Stored (compressed) bytes read so far."""
        return self._counted.count

    def peek(self) -> bytes:
        """The next bytes, up to a few thousand, without consuming them; empty at the end.

        :raises SourceDamaged: the compressed data is corrupt or cut short.
        """
        return self._guarded(lambda: self._content.peek(_HEAD_BYTES))

    def push_back(self, content: bytes) -> None:
        """Push back `content`, which was read last, to be read next."""
        self._pushed_back = content + self._pushed_back
        self.position -= len(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """Fill `buffer` with up to its size of bytes; 0 at the end.

        :raises SourceDamaged: the compressed data is corrupt or cut short.
        """
        view = memoryview(buffer).cast("B")
        filled = min(len(view), len(self._pushed_back))
        view[:filled] = self._pushed_back[:filled]
        self._pushed_back = self._pushed_back[filled:]
        self.position += filled
        while filled < len(view):
            rest = view[filled:]
            count = self._guarded(partial(self._content.readinto, rest))
            if not count:
                break
            filled += count
            self.position += count
        return filled

    def _guarded(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except _CORRUPT as error:
            found = "is truncated" if isinstance(error, EOFError) else f"is corrupt ({error})"
            reason = f"the gzip data {found}, at compressed byte {self.consumed_bytes} or before"
            raise SourceDamaged(self.name, self.position, reason) from None
        except OSError as error:
            raise SourceError(
                f"{self.name} cannot be read: {error.strerror or error}",
                "Check the path, its permissions and the disk.",
            ) from None

    def close(self) -> None:
        """Close the file; standard input remains open."""
        if not self.closed:
            self._content.close()
            self._stored.close()
        super().close()


class _Counted(io.RawIOBase):
    """A raw stream that counts the bytes read."""

    def __init__(self, opened: IO[bytes]) -> None:
        super().__init__()
        self._opened = opened
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = 0
        while True:
            more: int | None = self._opened.readinto(buffer[count:])  # type: ignore[attr-defined]
            if more is None:  # not the end: standard input that another program made non-blocking is empty
                select.select([self._opened], [], [])
                continue
            count += more
            self.count += more
            # Fill the buffer for format detection: the first read of a pipe may return one byte.
            if not more or self.count >= _HEAD_BYTES or count == len(buffer):
                return count

    def close(self) -> None:
        self._opened.close()
        super().close()
