"""Collects the first rejects of a partition, up to a size, as lines of the quarantine file."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Self

from bson import Binary, encode
from bson.datetime_ms import DatetimeMS
from bson.errors import InvalidBSON
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps

from core.errors import ServiceError
from jobs.decode.batch import Reject

_MAX_LEVELS: Final = 100
"""MongoDB's limit of nesting."""
_NAMES: Final = 20
_MEMORY_BYTES: Final = 1024 * 1024
"""Rejects of a partition beyond this size are in a temporary file."""


class RejectLine(NamedTuple):
    """One encoded reject.

    :param head: the line up to its position; `tail` is the rest.
    :param position: see `jobs.decode.batch.Reject`.
    """

    head: bytes
    position: int
    tail: bytes

    def after(self, positions: int) -> bytes:
        """The whole line, with the offset `positions` of the partition."""
        number = dumps(self.position + positions, json_options=CANONICAL_JSON_OPTIONS)
        return self.head + number.encode("ascii") + self.tail


def line_of(reject: Reject, document: Any) -> RejectLine:
    """The line of `reject` with its `document`."""
    document_id = document.get("_id") if isinstance(document, dict) else None
    if not _survives_round_trip(document):
        document = Binary(encode(document))
    rest = {
        "_id": document_id if _survives_round_trip(document_id) else None,
        "field": reject.field,
        "reason": reject.reason,
        "document": document,
    }
    head = f'{{"source": {_dumped(reject.source)}, "position": {{{_dumped(reject.unit)}: '
    return RejectLine(_encoded(head), reject.position, _encoded(f"}}, {_dumped(rest)[1:]}\n"))


def _dumped(value: Any) -> str:
    return dumps(value, json_options=CANONICAL_JSON_OPTIONS, ensure_ascii=False)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _survives_round_trip(value: Any, levels: int = _MAX_LEVELS) -> bool:
    """Whether `bson.json_util` encodes and decodes `value` without loss.

    It interprets names that begin with a dollar sign as types of Extended JSON, fails for dates outside of Python's
    range, and recurses into documents.
    """
    if levels == 0:
        return False
    if isinstance(value, dict):
        named = not any(name.startswith("$") for name in value)
        return named and all(_survives_round_trip(inner, levels - 1) for inner in value.values())
    if isinstance(value, list):
        return all(_survives_round_trip(inner, levels - 1) for inner in value)
    if isinstance(value, DatetimeMS):
        try:
            value.as_datetime()
        except InvalidBSON:
            return False
    return True


@dataclass(frozen=True, slots=True)
class RejectLimits:
    """Limits of the collected rejects of a partition.

    :param size: at least this many bytes are collected; further rejects are only counted.
    :param quarantine: the quarantine file, in whose folder temporary files are created; None: the system's folder.
    """

    size: int
    quarantine: Path | None = None


def unwritable(path: Path, error: OSError) -> ServiceError:
    """The error of a quarantine file that cannot be written."""
    return ServiceError(
        f"the quarantine file {path} cannot be written: {error.strerror or error}",
        "Nothing was published. Free some space, or set QUARANTINE_DIR to a folder that can be written.",
    )


class Rejects:
    """The first rejects of one partition, in order; picklable with its content.

    :ivar first_names: the names of the first fields of the first document.
    """

    def __init__(self, limits: RejectLimits) -> None:
        self._file: tempfile.SpooledTemporaryFile[bytes] | None = None
        self._limits = limits
        self._size = 0
        self.size = 0
        """Total bytes of `blocks`."""
        self._full = limits.size <= 0
        self.first_names: tuple[str, ...] = ()

    def add(self, rejects: list[Reject], positions_before: int = 0) -> None:
        """Add `rejects`, up to the limit.

        :param positions_before: the offset of their positions.
        :raises ServiceError: a temporary file cannot be written.
        """
        for reject in rejects:
            if self._full:
                return
            document = reject.document()
            if not self.size and isinstance(document, dict):
                self.first_names = tuple(document)[:_NAMES]
            line = line_of(reject, document)
            sizes = b"%d %d %d\n" % (len(line.head), line.position + positions_before, len(line.tail))
            self._put(sizes + line.head + line.tail)
            self._size += len(line.head) + len(line.tail)
            self._full = self._size > self._limits.size

    def _opened(self) -> tempfile.SpooledTemporaryFile[bytes]:
        folder = None
        if self._limits.quarantine is not None:
            self._limits.quarantine.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = str(self._limits.quarantine.parent)
        return tempfile.SpooledTemporaryFile(_MEMORY_BYTES, prefix="rejects-", dir=folder)

    def __iter__(self) -> Iterator[RejectLine]:
        file = self._rewound()
        while sizes := file.readline():
            head, position, tail = map(int, sizes.split())
            yield RejectLine(file.read(head), position, file.read(tail))

    def blocks(self) -> Iterator[bytes]:
        """The content as blocks of bytes, for `of`."""
        file = self._rewound()
        while block := file.read(_MEMORY_BYTES):
            yield block

    def _rewound(self) -> IO[bytes]:
        if self._file is None:
            return io.BytesIO()
        with self._errors():
            self._file.seek(0)  # which writes what is buffered
        return self._file

    @classmethod
    def of(cls, limits: RejectLimits, blocks: Iterable[bytes], first_names: tuple[str, ...] = ()) -> Self:
        """Restore rejects from `blocks`."""
        rejects = cls(limits)
        rejects.first_names = first_names
        for block in blocks:
            rejects._put(block)
        return rejects

    def _put(self, content: bytes) -> None:
        with self._errors():
            if self._file is None:
                self._file = self._opened()
            self._file.write(content)
        self.size += len(content)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(self._limits.quarantine or Path(tempfile.gettempdir()), error) from None

    def close(self) -> None:
        """Release memory and temporary file."""
        if self._file is not None:
            with suppress(OSError):  # what a full disk could not take is not needed any more
                self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of, (RejectLimits(self._limits.size), tuple(self.blocks()), self.first_names)
