"""Log lines: one JSON object a line, in which nothing that looks like an API key is left."""

from __future__ import annotations

import contextlib
import re
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import BinaryIO, Final

import orjson

Sink = Callable[[bytes], object]
"""Takes one finished line, its newline included; may be called by several threads at once."""

# Each character of the prefix as itself or percent-encoded, any number of times over.
_KEY: Final = re.compile(
    rb"(?:t|%(?:25)*[57]4)(?:s|%(?:25)*[57]3){2}(?:_|%(?:25)*5F)[A-Z0-9_%-]*", re.IGNORECASE
)  # fmt: skip
_REDACTED: Final = b"tss_[redacted]"
_LONGEST_TRACEBACK: Final = 16_384


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
    if b"%" in encoded or b"tss" in encoded.lower():  # what is no key is told from one at a tenth of the cost
        encoded = _KEY.sub(_REDACTED, encoded)
    return encoded + b"\n"


def _unicode(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def traceback_of(error: BaseException | None) -> str:
    """The end of the traceback of `error`, which tells most, without keys.

    Redacted before it is cut, or the end of a key would be left.
    """
    return redacted("".join(traceback.format_exception(error)))[-_LONGEST_TRACEBACK:]


def lines_to(stream: BinaryIO) -> Sink:
    """A sink that writes each line to `stream` at once, one line after the other.

    A stream that fails (a full disk, a reader that has gone) loses lines; requests are answered all the same.
    """
    lock = threading.Lock()

    def write(line: bytes) -> None:
        with lock, contextlib.suppress(OSError, ValueError):
            stream.write(line)
            stream.flush()

    return write
