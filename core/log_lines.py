"""Log lines: one JSON object per line, with API keys redacted."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from core.instants import iso_instant, wall_clock_ms

Sink = Callable[[bytes], object]
"""Receives one line, including its newline; thread-safe."""

# Each character of the prefix literal or percent-encoded, any number of times.
_KEY: Final = re.compile(
    rb"(?:t|%(?:25)*[57]4)(?:s|%(?:25)*[57]3){2}(?:_|%(?:25)*5F)[A-Z0-9_%-]*", re.IGNORECASE
)  # fmt: skip
_REDACTED: Final = b"tss_[redacted]"
_LONGEST_TRACEBACK: Final = 16_384
_GATHER_S: Final = 0.005
_CLOSE_S: Final = 1.0


def looks_like_key(text: str) -> bool:
    """Whether `text` contains an API key or the beginning of one."""
    return _KEY.search(text.encode("utf-8", "replace")) is not None


def redacted(text: str) -> str:
    """`text` with keys replaced."""
    return _KEY.sub(_REDACTED, text.encode("utf-8", "replace")).decode()


def log_line(fields: Mapping[str, object]) -> bytes:
    """`fields` as one line of JSON, with its newline.

    What looks like an API key is replaced in every field, so that new fields cannot leak one. Control characters and
    line breaks are escaped; lone surrogates are written as question marks.
    """
    try:
        encoded = orjson.dumps(fields)
    except orjson.JSONEncodeError:
        encoded = orjson.dumps({name: _unicode(value) for name, value in fields.items()})
    if b"%" in encoded or b"tss" in encoded.lower():  # a fast check for text without keys, ten times cheaper
        encoded = _KEY.sub(_REDACTED, encoded)
    return encoded + b"\n"


def _unicode(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def traceback_of(error: BaseException | None) -> str:
    """The end of the traceback of `error`, which is most informative, without keys.

    Redacted before it is truncated, or the end of a key would remain.
    """
    return redacted("".join(traceback.format_exception(error)))[-_LONGEST_TRACEBACK:]


class LineWriter:
    """A sink whose lines a background thread writes in batches, so that logging never blocks.

    Lines are lost if writing fails (full disk, closed pipe), or if the reader is slow and `most_bytes` are queued. The
    number of lines lost to a slow reader is logged as soon as there is space again.

    :param descriptor: of the file, unbuffered: a Python buffer could not be flushed at exit while the thread writes it.
    """

    def __init__(self, descriptor: int, *, most_bytes: int = 4 * 1024 * 1024) -> None:
        self._descriptor = descriptor
        self._most_bytes = most_bytes
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._waiting_bytes = self._lost = 0
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def __call__(self, line: bytes) -> None:
        """Queue one line, including its newline."""
        with self._changed:
            if self._waiting_bytes + len(line) > self._most_bytes:
                self._lost += 1
                return
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            if self._thread is None:  # on demand, as threads do not survive a fork
                self._thread = threading.Thread(target=self._write_on, name="log lines", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            elif len(self._waiting) == 1:
                self._changed.notify()

    def close(self) -> None:
        """Wait until all lines are written, but only briefly for a blocked reader."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._lost or self._closing.is_set())
            ending = self._closing.wait(_GATHER_S)  # lines that are logged meanwhile are written together
            with self._changed:
                lines, lost = self._waiting, self._lost
                self._waiting, self._lost = [], 0
            if lost:
                now = iso_instant(wall_clock_ms())
                lines.append(log_line({"time": now, "level": "warning", "event": "log-lines-lost", "lines": lost}))
            if lines:
                self._write(b"".join(lines))
            elif ending:
                return

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        with contextlib.suppress(OSError):
            while left:
                left = left[os.write(self._descriptor, left) :]
        with self._changed:
            self._waiting_bytes = sum(map(len, self._waiting))
