"""Requests as they come in: whether all of one is there, told without parsing it."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

HEAD_LIMIT_BYTES: Final = 32_768
"""Most bytes of a request line and its header fields together."""

_END_OF_HEAD: Final = b"\r\n\r\n"
_BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n")
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_MOST_DIGITS: Final = 18  # of a length that is turned into a number at all
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_ASKS_FIRST: Final = re.compile(
    rb" HTTP/1\.1\r\n(?:.*\r\n)?expect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE | re.DOTALL
)


class Progress(Enum):
    """How much of a request has come."""

    PART = auto()
    """Not enough."""
    ASKS_FIRST = auto()
    """The head, and the client waits to hear that it may send the body (``Expect: 100-continue``)."""
    WHOLE = auto()
    """All of it."""
    HEAD_ONLY = auto()
    """The head, and the body will not be waited for: it is too large, or of unknown length."""
    LINE_TOO_LONG = auto()
    """A request line without end."""
    HEAD_TOO_LARGE = auto()
    """Header fields without end."""


class Incoming:
    """The bytes of one request that have come so far, perhaps with some of the next.

    :param max_body_bytes: the largest body that is waited for.
    """

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._bytes = bytearray()
        self._whole_at: int | None = None

    def __len__(self) -> int:
        return len(self._bytes)

    def take(self) -> bytes:
        """All that has come; the next request begins."""
        taken = bytes(self._bytes)
        self._bytes.clear()
        self._whole_at = None
        return taken

    def add(self, data: bytes) -> Progress:
        """More has come."""
        before = len(self._bytes)
        self._bytes += data
        if self._whole_at is not None:
            return self._progress_of_body()
        head_end = self._bytes.find(_END_OF_HEAD, max(0, before - len(_END_OF_HEAD) + 1))
        if head_end < 0:
            return self._progress_of_head(before)
        if head_end > HEAD_LIMIT_BYTES:
            return Progress.HEAD_TOO_LARGE
        return self._head_came(head_end + len(_END_OF_HEAD))

    def _progress_of_head(self, before: int) -> Progress:
        if len(self._bytes) > HEAD_LIMIT_BYTES:
            return Progress.HEAD_TOO_LARGE if b"\r\n" in self._bytes else Progress.LINE_TOO_LONG
        if _BARE_LINE_FEED.search(self._bytes, max(0, before - 1)):
            return Progress.WHOLE  # no more will come of a client that ends lines so, and the parser refuses it
        return Progress.PART

    def _head_came(self, body_at: int) -> Progress:
        head = bytes(self._bytes[:body_at])
        found = _CONTENT_LENGTH.search(head)
        digits = found[1] if found else b"0"
        too_large = len(digits) > _MOST_DIGITS or int(digits) > self._max_body_bytes
        if too_large or _CHUNKED.search(head):
            return Progress.HEAD_ONLY
        body_bytes = int(digits)
        self._whole_at = body_at + body_bytes
        progress = self._progress_of_body()
        return Progress.ASKS_FIRST if progress is Progress.PART and _ASKS_FIRST.search(head) else progress

    def _progress_of_body(self) -> Progress:
        return Progress.WHOLE if self._whole_at is not None and len(self._bytes) >= self._whole_at else Progress.PART
