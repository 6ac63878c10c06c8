"""Records as MongoDB documents: the id is the ``_id``, integers are int64, instants are dates without ``_ms``."""

from __future__ import annotations

from typing import Any, Final

from bson import Int64
from bson.datetime_ms import DatetimeMS

from core.stores.mongo.database import Document
from core.stores.records import Record

_INSTANTS: Final = (
    "process_started",
    "started_at",
    "heartbeat_at",
    "ended_at",
    "published_at",
    "created_at",
    "revoked_at",
    "expires_at",
    "last_attempt_at",
    "finished_at",
    "due_at",
    "queue_at",
    "at",
    "until",
    "as_of",
    "complete_until",
)


def to_document(record: Record, number: str) -> Document:
    """The document of `record`.

    :param number: the name of the entry that becomes ``_id``.
    """
    document: Document = {}
    for name, value in record.items():
        instant = name.removesuffix("_ms")
        if instant in _INSTANTS:
            document[instant] = None if value is None else DatetimeMS(value)
        else:
            document["_id" if name == number else name] = _with_integers(Int64, value)
    return document


def from_document(document: Document, number: str) -> Record:
    """The inverse of `to_document`."""
    record: Record = {}
    for name, value in document.items():
        if name in _INSTANTS:
            record[f"{name}_ms"] = None if value is None else int(value)
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
