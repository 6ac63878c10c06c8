"""Finds, lists and opens remote objects like files.

Requests run concurrently on fsspec's event loop, in its own thread; callers block.
"""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from functools import cache, partial
from typing import Final, TypeVar

from core.errors import SourceError
from core.retrying import retry_async
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.storage import (
    MISSING,
    Answered,
    CutOff,
    RemoteObject,
    Storage,
    is_transient,
    new_storage,
    source_error,
)
from jobs.sources.remote.url import require_readable, scheme_of

RANGE_BYTES: Final = 4 * 1024 * 1024
"""The largest range of one request."""
_FIRST_BYTES: Final = 256 * 1024
"""The range of the first request: often only the format is detected."""
_AHEAD: Final = 4
"""Number of ranges requested at a time."""

T = TypeVar("T")


class Remote:
    """The connections of one process to remote storages, one per kind.

    :param options: time-outs and retries.
    """

    def __init__(self, options: RemoteOptions) -> None:
        self._options = options
        self._storages: dict[str, Storage] = {}
        self._making = threading.Lock()

    def describe(self, url: str) -> RemoteObject | None:
        """The object at that URL, or None if there is none, but perhaps a folder.

        :raises UsageError: the URL is not supported.
        :raises SourceError: the storage does not answer, or refuses, or its packages are not installed.
        """
        storage = self._storage(url)

        async def describe() -> RemoteObject | None:
            try:
                return await storage.describe(url)
            except FileNotFoundError:
                return None
            except Answered as error:
                if error.status in MISSING:
                    return None
                raise

        return self._wait(url, storage, describe)

    def below(self, url: str) -> Sequence[str]:
        """The URLs of all objects in a folder, recursively and sorted; empty if the folder does not exist.

        :raises SourceError: see `describe`.
        """
        storage = self._storage(url)
        return self._wait(url, storage, lambda: storage.below(url))

    def matching(self, url: str) -> Sequence[str]:
        """The URLs of the objects that match a URL with wildcards, sorted.

        :raises SourceError: see `describe`.
        """
        storage = self._storage(url)
        return self._wait(url, storage, lambda: storage.matching(url))

    def open(self, found: RemoteObject, start: int = 0, end: int | None = None) -> io.RawIOBase:
        """The stored bytes of `found` from `start` on as a file, which is seekable if the server supports ranges.

        :param end: the limit of reading ahead; later bytes are requested when they are read.
        """
        storage = self._storage(found.url)
        if found.has_ranges and found.size is not None:
            return RangeReader(self, storage, found, found.size, start, end)
        return StreamReader(self, storage, found, start)

    def submit(self, url: str, storage: Storage, call: Callable[[], Awaitable[T]]) -> Future[T]:
        """Start `call` with retries; its failure becomes a `SourceError`."""

        async def persistent() -> T:
            try:
                return await retry_async(call, is_transient, self._options.backoff)
            except Exception as error:
                raise source_error(url, error, self._options) from None

        return asyncio.run_coroutine_threadsafe(persistent(), storage.loop)

    def _wait(self, url: str, storage: Storage, call: Callable[[], Awaitable[T]]) -> T:
        return self.submit(url, storage, call).result()

    def _storage(self, url: str) -> Storage:
        require_readable(url)
        with self._making:
            scheme = scheme_of(url)
            if scheme not in self._storages:
                self._storages[scheme] = new_storage(url, self._options)
            return self._storages[scheme]


class RangeReader(io.RawIOBase):
    """An object that is read by ranges: sequential reads request several ranges ahead, random ones only their own."""

    def __init__(
        self, remote: Remote, storage: Storage, found: RemoteObject, size: int, start: int, end: int | None
    ) -> None:
        super().__init__()
        self._remote = remote
        self._storage = storage
        self._found = found
        self._size = size
        self._ahead_until = size if end is None else end
        self._position = start
        self._block = b""
        self._block_start = 0
        self._requests: deque[Future[bytes]] = deque()
        self._requested_until = 0
        self._in_order = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        """The position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position; requests nothing."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, begin + offset)
        return self._position

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """Fill `buffer` with up to its size of bytes; 0 at the end.

        :raises SourceChanged: the object's version has changed.
        :raises SourceError: the storage still fails after the retries.
        """
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view) and self._position < self._size:
            at = self._position - self._block_start
            if not 0 <= at < len(self._block):
                self._take_block(len(view) - filled)
                at = 0
            part = self._block[at : at + len(view) - filled]
            view[filled : filled + len(part)] = part
            filled += len(part)
            self._position += len(part)
        return filled

    def close(self) -> None:
        """Cancel pending requests."""
        self._cancel_requests()
        super().close()

    def _take_block(self, wanted: int) -> None:
        """Load the range that begins at the position, and request ranges ahead."""
        if self._block and self._position == self._block_start + len(self._block):
            self._in_order += 1
        else:
            self._cancel_requests()
            self._in_order = 0
            self._requested_until = self._position
        ahead = max(_FIRST_BYTES, min(self._in_order, _AHEAD) * RANGE_BYTES)
        self._request_until(self._position + max(wanted, min(ahead, self._ahead_until - self._position)))
        self._block, self._block_start = self._requests.popleft().result(), self._position

    def _request_until(self, end: int) -> None:
        end = min(end, self._size)
        while (start := self._requested_until) < end:
            self._requested_until = min(start + RANGE_BYTES, end)
            read = partial(self._read, start, self._requested_until)
            self._requests.append(self._remote.submit(self._found.url, self._storage, read))

    async def _read(self, start: int, end: int) -> bytes:
        content = await self._storage.read(self._found, start, end)
        if len(content) != end - start:
            raise CutOff(len(content), end - start)
        return content

    def _cancel_requests(self) -> None:
        while self._requests:
            self._requests.pop().cancel()
        self._block = b""


class StreamReader(io.RawIOBase):
    """An object without range support: one response, requested again if it is truncated."""

    def __init__(self, remote: Remote, storage: Storage, found: RemoteObject, start: int) -> None:
        super().__init__()
        self._remote = remote
        self._storage = storage
        self._found = found
        self._start = start
        self._position = start
        self._piece = b""
        self._pieces: AsyncGenerator[bytes] | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """Put some bytes into `buffer`; 0 at the end.

        :raises SourceChanged: the object's version has changed.
        :raises SourceError: the server still fails after the retries, or reading cannot resume.
        """
        view = memoryview(buffer).cast("B")
        if not self._piece:
            self._piece = self._remote.submit(self._found.url, self._storage, self._next).result()
        count = min(len(view), len(self._piece))
        view[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count

    def close(self) -> None:
        """Cancel the response without waiting, as the garbage collector may call this on the event loop."""
        if not self.closed:
            asyncio.run_coroutine_threadsafe(self._break_off(), self._storage.loop)
        super().close()

    async def _next(self) -> bytes:
        try:
            if self._pieces is None:
                self._pieces = self._from_position()
            piece = await anext(self._pieces, b"")
        except BaseException:
            await self._break_off()
            raise
        self._position += len(piece)
        return piece

    async def _break_off(self) -> None:
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            await pieces.aclose()

    async def _from_position(self) -> AsyncGenerator[bytes]:
        if self._position > self._start and not self._found.version:
            raise SourceError(
                f"{self._found.name} cannot be read: the response was truncated after {self._position} bytes, and "
                "cannot be resumed, because the server sends no version of the file (ETag or Last-Modified)",
                "Copy the file, and read the copy.",
            )
        unread = self._position
        async with aclosing(self._storage.stream(self._found)) as pieces:
            async for piece in pieces:
                if len(piece) > unread:
                    yield piece[unread:]
                unread = max(0, unread - len(piece))


def remote(options: RemoteOptions) -> Remote:
    """The `Remote` of this process; a forked process gets its own connections."""
    return _remote(options, os.getpid())


@cache
def _remote(options: RemoteOptions, process_id: int) -> Remote:
    return Remote(options)
