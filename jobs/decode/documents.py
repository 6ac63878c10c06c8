"""Converts a rejected document to `bson` types, with all its fields, for the quarantine file."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bson import Binary, CodecOptions, Decimal128, decode, encode
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError
from bson.json_util import JSONOptions, loads

if TYPE_CHECKING:
    import pyarrow as pa

_AS_WRITTEN: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
_JSON_AS_WRITTEN = JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
_NOT_BSON: Final = (BSONError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Errors of `bson` for values that it cannot decode or encode."""


def bson_document(raw: bytes) -> Any:
    """The document that `raw` encodes, or `raw` as `bson.Binary` if decoding would lose anything.

    That is so for malformed documents, repeated field names and deprecated types.
    """
    try:
        document = decode(raw, _AS_WRITTEN)
        if encode(document, codec_options=_AS_WRITTEN) == raw:
            return document
    except _NOT_BSON:
        pass
    return Binary(raw)


def json_document(raw: bytes) -> Any:
    """The document of a JSON text, or the text if BSON cannot represent a value, such as a huge integer.

    Bytes that are not UTF-8 become binary.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return Binary(raw)
    try:
        pairs: list[int] = []
        json.loads(text, object_pairs_hook=lambda items: pairs.append(len(items) - len({k for k, _ in items})))
        document = loads(text, json_options=_JSON_AS_WRITTEN)
        encode(document, codec_options=_AS_WRITTEN)
    except _NOT_BSON:
        return text
    return text if any(pairs) else document


def row_document(batch: pa.RecordBatch, row: int) -> dict[str, Any]:
    """A row of a table. Values without a BSON type become text, and text that is not UTF-8 binary."""
    return {name: _bson_value(column[row]) for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _is_whole_ms(instant: pa.TimestampScalar) -> bool:
    per_ms = {"us": 1000, "ns": 1_000_000}.get(instant.type.unit, 1)
    return instant.value is None or instant.value % per_ms == 0


def _bson_value(value: pa.Scalar) -> Any:
    import pyarrow as pa  # on demand: only tables need it

    if isinstance(value, pa.DictionaryScalar):
        value = value.value
    try:
        plain = value.as_py()
        if pa.types.is_timestamp(value.type) and not _is_whole_ms(value):
            return value.cast(pa.string()).as_py()
        plain = Decimal128(plain) if isinstance(plain, Decimal) else plain
        encode({"": plain}, codec_options=_AS_WRITTEN)
        return plain
    except _NOT_BSON:
        pass
    try:
        return value.cast(pa.string()).as_py()
    except UnicodeDecodeError:
        return Binary(value.as_buffer().to_pybytes())
    except pa.ArrowException:
        return str(value)
