"""Log lines: one JSON object a line, in which nothing that looks like an API key is left."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from core.instants import iso_instant

Sink = Callable[[bytes], object]
"""Takes one finished line, its newline included; may be called by several threads at once."""

# Each character of the prefix as itself or percent-encoded, any number of times over.
_KEY: Final = re.compile(
    rb"(?:t|%(?:25)*[57]4)(?:s|%(?:25)*[57]3){2}(?:_|%(?:25)*5F)[A-Z0-9_%-]*", re.IGNORECASE
)  # fmt: skip
_REDACTED: Final = b"tss_[redacted]"
_LONGEST_TRACEBACK: Final = 16_384
_GATHER_S: Final = 0.005
_CLOSE_S: Final = 1.0


def looks_like_key(text: str) -> bool:
    """Whether an API key, or the beginning of one, is somewhere in `text`."""
    return _KEY.search(text.encode("utf-8", "replace")) is not None


def redacted(text: str) -> str:
    """`text` without keys."""
    return _KEY.sub(_REDACTED, text.encode("utf-8", "replace")).decode()


def log_line(fields: Mapping[str, object]) -> bytes:
    """`fields` as one line of JSON, with its newline.

    Whatever looks like an API key is replaced, in every field, so that a new field cannot bring one in. Control
    characters and line breaks are escaped; text that is no Unicode (lone surrogates) is written as question marks.
    """
    try:
        encoded = orjson.dumps(fields)
    except orjson.JSONEncodeError:
        encoded = orjson.dumps({name: _unicode(value) for name, value in fields.items()})
    if b"%" in encoded or b"tss" in encoded.lower():  # a quick test for text without keys, at a tenth of the cost
        encoded = _KEY.sub(_REDACTED, encoded)
    return encoded + b"\n"


def _unicode(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def traceback_of(error: BaseException | None) -> str:
    """The end of the traceback of `error`, which tells most, without keys.

    Redacted before it is cut, or the end of a key would be left.
    """
    return redacted("".join(traceback.format_exception(error)))[-_LONGEST_TRACEBACK:]


class LineWriter:
    """A sink whose lines a thread writes, several in one piece: who logs never waits.

    A file that fails (a full disk, a reader that has gone) loses lines, and so does one whose reader is too slow, once
    `most_bytes` wait. How many the latter lost is a line of its own as soon as there is room again.

    :param descriptor: of the file. A buffer of Python's could not be flushed at the end of the process while the thread
        is still writing it.
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
        """Take one finished line, its newline included."""
        with self._changed:
            if self._waiting_bytes + len(line) > self._most_bytes:
                self._lost += 1
                return
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            if self._thread is None:  # not before: a process that forks has no thread in its children
                self._thread = threading.Thread(target=self._write_on, name="log lines", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            elif len(self._waiting) == 1:
                self._changed.notify()

    def close(self) -> None:
        """Wait until all is written, but not long for a reader that does not read."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._lost or self._closing.is_set())
            ending = self._closing.wait(_GATHER_S)  # lines that are logged meanwhile cost no write of their own
            with self._changed:
                lines, lost = self._waiting, self._lost
                self._waiting, self._lost = [], 0
            if lost:
                lines.append(log_line(_loss(lost)))
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


def _loss(lines: int) -> dict[str, object]:
    now_ms = int(time.time() * 1000)
    return {"time": iso_instant(now_ms), "level": "warning", "event": "log-lines-lost", "lines": lines}
