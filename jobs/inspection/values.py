"""The types of Python values, and whether a run would count them: the decoders of a run classify them."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate
from types import NoneType
from typing import Any, Final

import numpy as np
from bson import Code, DatetimeMS, Decimal128, Int64, ObjectId, encode

from jobs.decode.batch import Batch, Chunk
from jobs.decode.classify import Window
from jobs.decode.decoder import BsonDecoder, CompiledDecoder
from jobs.decode.formats import DELIMITERS, Formats
from jobs.decode.jit import PADDING
from jobs.decode.plan import Fields
from jobs.inspection.first_documents import Cell, OtherType

MISSING: Final = object()
"""The value of a field that a document does not have."""
OBJECT_ID: Final = re.compile(r"ObjectId\(([0-9a-fA-F]{24})\)")
"""The form of mongoexport's CSV; the group has the digits."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
)
_NAMES: Final[Mapping[type, str]] = {
    bool: "boolean",
    Int64: "int64",
    float: "double",
    Decimal128: "Decimal128",
    str: "string",
    ObjectId: "ObjectId",
    DatetimeMS: "date",
    datetime: "date",
    type(None): "null",
    list: "array",
    dict: "document",
    bytes: "binary",
}
_FIELDS: Final = Fields("merchant", "amount", "time")
_COUNTED: Final = {"merchant": "x", "amount": 0, "time": datetime(2000, 1, 1, tzinfo=UTC)}
"""A document that a run counts with the default formats."""
_TOO_LARGE: Final = Decimal128("1E+30")
_READ: Final = (bool, int, float, NoneType, datetime, DatetimeMS, Decimal128, ObjectId)
"""The types besides text that a decoder reads. It rejects all others for their type, so their content is not needed."""


def type_name(value: Any) -> str:
    """The name of the type of `value`; for a CSV cell, the type that its text resembles."""
    if isinstance(value, OtherType):
        return value.kind
    if isinstance(value, Cell):
        shapes = {"ObjectId": OBJECT_ID, "integer": _INTEGER, "number": _NUMBER, "instant": _INSTANT}
        return next((name for name, shape in shapes.items() if shape.fullmatch(value)), "text")
    if type(value) is int:
        return "int32" if _fits(value, 32) else "int64" if _fits(value, 64) else "integer beyond int64"
    return _NAMES.get(type(value), type(value).__name__)


def _fits(value: int, bits: int) -> bool:
    return -(1 << bits - 1) <= value < 1 << bits - 1


class RoleValues:
    """The values of a field as documents that the decoder of a run reads.

    :param role: ``time``, ``merchant`` or ``amount``.
    :param values: `MISSING` for a document without this field.
    """

    def __init__(self, role: str, values: Sequence[Any]) -> None:
        self.role = role
        self.values = values
        self._is_csv = any(isinstance(value, Cell) for value in values)
        if self._is_csv:
            content = _csv_rows(role, values)
            self._positions: Sequence[int] = range(1, len(values) + 1)
        else:
            others = b"".join(_element(name, value) for name, value in _COUNTED.items() if name != role)
            encoded = [_bson_document(others + _element(role, value)) for value in values]
            content = b"".join(encoded)
            self._positions = [0, *accumulate(map(len, encoded))][:-1]
        self._chunk = Chunk("", np.frombuffer(bytearray(content + bytes(PADDING)), np.uint8), len(content), 0)

    def rejected(self, named_ms: tuple[int, int], formats: Formats) -> Counter[str]:
        """The number of values for which a run would reject a document, by reason.

        :param named_ms: the half-open range of the calendar.
        :param formats: the accepted formats of amounts and times.
        """
        rejected = Counter[str]()
        for batch in self._batches(named_ms, formats):
            rejected.update({text.partition(": ")[2]: count for text, count in batch.rejects_by_reason.items()})
        return rejected

    def reasons(self, named_ms: tuple[int, int], formats: Formats = Formats()) -> list[str | None]:  # noqa: B008 - immutable
        """For each value the reason why a run would reject a document for it, or None; see `rejected`."""
        reasons: dict[int, str | None] = dict.fromkeys(self._positions)
        for batch in self._batches(named_ms, formats):
            reasons.update((reject.position, reject.reason) for reject in batch.rejects)
        return list(reasons.values())

    def _batches(self, named_ms: tuple[int, int], formats: Formats) -> Iterator[Batch]:
        if self.role != "time":
            formats = replace(formats, time_format=None)
        fields, window = replace(_FIELDS, formats=formats), Window(*named_ms, *named_ms)
        decoder: CompiledDecoder[Any]
        if self._is_csv:
            from jobs.sources.csv_text import CsvDecoder  # only for CSV, as it imports PyArrow

            decoder = CsvDecoder(fields, window, tuple(_COUNTED), DELIMITERS[0])
        else:
            decoder = BsonDecoder(fields, window)
        return decoder.batches(self._chunk)


def _csv_rows(role: str, values: Iterable[Any]) -> bytes:
    text = io.StringIO()
    rows = ((_COUNTED | {role: "" if value is MISSING else value}).values() for value in values)
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _bson_document(elements: bytes) -> bytes:
    return (len(elements) + 5).to_bytes(4, "little") + elements + b"\0"


def _element(name: str, value: Any) -> bytes:
    """An element of a BSON document with a value that the decoder classifies like `value`; empty if it is `MISSING`."""
    if value is MISSING:
        return b""
    if isinstance(value, str) and not isinstance(value, Code):  # `encode` would refuse text that is not UTF-8
        text = value.encode("utf-8", "surrogatepass") + b"\0"
        return b"\x02" + name.encode() + b"\0" + len(text).to_bytes(4, "little") + text
    if isinstance(value, int) and not _fits(value, 64):
        value = _TOO_LARGE
    elif not isinstance(value, _READ):
        value = b""
    return encode({name: value})[4:-1]
