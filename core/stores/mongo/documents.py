"""Records as MongoDB documents: the id is the ``_id``, integers are int64, instants are dates without ``_ms``."""

from __future__ import annotations

from typing import Any

from bson import Int64
from bson.datetime_ms import DatetimeMS

from core.stores.mongo.database import Document
from core.stores.records import Record


def to_document(record: Record, number: str) -> Document:
    """The document of `record`.

    :param number: the name of the entry that becomes ``_id``.
    """
    document: Document = {}
    for name, value in record.items():
        if name.endswith("_ms"):
            document[name.removesuffix("_ms")] = None if value is None else DatetimeMS(value)
        else:
            document["_id" if name == number else name] = _with_integers(Int64, value)
    return document


def from_document(document: Document, number: str) -> Record:
    """The inverse of `to_document`, except that an instant that is None is missing."""
    record: Record = {}
    for name, value in document.items():
        if isinstance(value, DatetimeMS):
            record[f"{name}_ms"] = int(value)
        else:
            record[number if name == "_id" else name] = _with_integers(int, value)
    return record


def _with_integers(kind: type[int], value: Any) -> Any:
    """`value` with all integers converted to `kind`, as the driver would write small ones as int32."""
    if isinstance(value, list):
        return [_with_integers(kind, item) for item in value]
    if isinstance(value, dict):
        return {name: _with_integers(kind, item) for name, item in value.items()}
    return kind(value) if isinstance(value, int) else value
