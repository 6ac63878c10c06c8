"""The rejects of a partition, as lines for the quarantine file; the first of them, up to a size."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from bson import Binary, encode
from bson.datetime_ms import DatetimeMS
from bson.errors import InvalidBSON
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps

from core.errors import ServiceError
from jobs.decode.batch import Reject

_MAX_LEVELS: Final = 100
"""How deep MongoDB lets documents be nested."""
_NAMES: Final = 20
_MEMORY_BYTES: Final = 1024 * 1024
"""How much of the rejects of one partition is kept in memory; more goes to a temporary file."""


class RejectLine(NamedTuple):
    """One reject as it is kept.

    :param head: the line of the quarantine file up to its position; `tail` is what follows that.
    :param position: see `jobs.decode.batch.Reject`.
    """

    head: bytes
    position: int
    tail: bytes

    def after(self, positions: int) -> bytes:
        """The whole line, where `positions` come before the partition."""
        number = dumps(self.position + positions, json_options=CANONICAL_JSON_OPTIONS)
        return self.head + number.encode("ascii") + self.tail


def line_of(reject: Reject, document: Any) -> RejectLine:
    """What is kept of `reject`, whose document is `document`."""
    document_id = document.get("_id") if isinstance(document, dict) else None
    if not _comes_back(document):
        document = Binary(encode(document))
    rest = {
        "_id": document_id if _comes_back(document_id) else None,
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


def _comes_back(value: Any, levels: int = _MAX_LEVELS) -> bool:
    """Whether `bson.json_util` writes `value` and reads it back as it is.

    It takes names that begin with a dollar sign for types of Extended JSON, refuses dates that Python cannot hold, and
    goes into documents by recursion.
    """
    if levels == 0:
        return False
    if isinstance(value, dict):
        named = not any(name.startswith("$") for name in value)
        return named and all(_comes_back(inner, levels - 1) for inner in value.values())
    if isinstance(value, list):
        return all(_comes_back(inner, levels - 1) for inner in value)
    if isinstance(value, DatetimeMS):
        try:
            value.as_datetime()
        except InvalidBSON:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept of the rejects of a partition.

    :param size: so many bytes at least, if there are so many; what is beyond is only counted.
    :param quarantine: the file that they are for, next to which temporary files go; None: the system's place for those.
    """

    size: int
    quarantine: Path | None = None


def unwritable(path: Path, error: OSError) -> ServiceError:
    """The error of a quarantine file that cannot be written."""
    return ServiceError(
        f"the quarantine file {path} cannot be written: {error.strerror or error}",
        "Nothing was published. Make room, or set QUARANTINE_DIR to a folder that can be written.",
    )


class Rejects:
    """Keeps the first rejects of one partition in their order. Pickled it carries them along.

    :ivar first_names: the names of the first fields of the first document.
    """

    def __init__(self, limits: Limits) -> None:
        self._file: tempfile.SpooledTemporaryFile[bytes] | None = None
        self._limits = limits
        self._size = 0
        self._written = 0
        self._full = limits.size <= 0
        self.first_names: tuple[str, ...] = ()

    def add(self, rejects: list[Reject], positions_before: int = 0) -> None:
        """Keep `rejects`, as far as the limit allows.

        :param positions_before: is added to their positions.
        :raises ServiceError: a temporary file cannot be written.
        """
        for reject in rejects:
            if self._full:
                return
            document = reject.document()
            if not self._written and isinstance(document, dict):
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
        if self._file is None:
            return
        self._file.seek(0)
        while sizes := self._file.readline():
            head, position, tail = map(int, sizes.split())
            yield RejectLine(self._file.read(head), position, self._file.read(tail))

    @property
    def size(self) -> int:
        """How many bytes `blocks` have."""
        return self._written

    def blocks(self) -> Iterator[bytes]:
        """All that is kept, in blocks of bytes; `of` reads them."""
        if self._file is not None:
            self._file.seek(0)
            while block := self._file.read(_MEMORY_BYTES):
                yield block

    @classmethod
    def of(cls, limits: Limits, blocks: Iterable[bytes], first_names: tuple[str, ...] = ()) -> Self:
        """The rejects of which `blocks` were kept."""
        rejects = cls(limits)
        rejects.first_names = first_names
        for block in blocks:
            rejects._put(block)
        return rejects

    def _put(self, content: bytes) -> None:
        try:
            if self._file is None:
                self._file = self._opened()
            self._file.write(content)
        except OSError as error:
            raise unwritable(self._limits.quarantine or Path(tempfile.gettempdir()), error) from None
        self._written += len(content)

    def close(self) -> None:
        """Forget them."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of, (Limits(self._limits.size), tuple(self.blocks()), self.first_names)
