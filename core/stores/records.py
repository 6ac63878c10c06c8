"""Converts objects to flat records, which all backends store; here publications and runs.

A record has text, integers, None, and lists of texts or of flat records; names of instants (integers) end in ``_ms``. A
backend may store lists and instants in its own form, but returns an equal record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from core.stores.runs import Counts, Holder, Run, RunStatus
from core.stores.summaries import DayRange, Fingerprint, Publication

Record = dict[str, Any]
T = TypeVar("T")
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


def storable(text: str) -> str:
    """`text` with escapes for what UTF-8 cannot encode, as file names may be any bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def plain(value: Any) -> Any:
    """`value` in the types of a record: sequences as lists, sets sorted, bytes in hexadecimal."""
    if value is None or type(value) is int:
        return value
    if isinstance(value, str):  # of an enum, too
        return storable(value)
    convert = _PLAIN.get(type(value))
    return value if convert is None else convert(value)


_PLAIN: Final[Mapping[type, Callable[[Any], Any]]] = {
    bool: int,
    bytes: bytes.hex,
    tuple: lambda values: [*map(plain, values)],
    frozenset: lambda values: sorted(map(plain, values)),
    DayRange: DayRange._asdict,
}


class Mapper(Generic[T]):
    """Converts objects of a dataclass to records and back.

    A field that is missing in a record, as of earlier versions, has its default.

    :param read: by field, converts its entry (if not None) to the value.
    :param write: by field, converts its value to the entry; default: `plain`.
    :param named: by field, a different name of its entry.
    :param spread: the mappers of fields whose own fields are entries of the record.
    """

    def __init__(
        self,
        kind: Callable[..., T],
        read: Mapping[str, Callable[[Any], Any]] = _NONE,
        write: Mapping[str, Callable[[Any], Any]] = _NONE,
        named: Mapping[str, str] = _NONE,
        spread: Mapping[str, Mapper[Any]] = _NONE,
    ) -> None:
        self._kind = kind
        self._spread = spread
        names = [field.name for field in fields(kind) if field.name not in spread]  # type: ignore[arg-type]
        self._fields = [(name, named.get(name, name), write.get(name, plain), read.get(name)) for name in names]

    def to_record(self, value: T) -> Record:
        """`value` as a record."""
        record = {entry: write(getattr(value, name)) for name, entry, write, _ in self._fields}
        for name, mapper in self._spread.items():
            record |= mapper.to_record(getattr(value, name))
        return record

    def from_record(self, record: Record) -> T:
        """The inverse of `to_record`; ignores entries without a field."""
        values = {name: mapper.from_record(record) for name, mapper in self._spread.items()}
        for name, entry, _, read in self._fields:
            if entry in record:
                found = record[entry]
                values[name] = found if found is None or read is None else read(found)
        return self._kind(**values)


def _days(records: list[Record]) -> tuple[DayRange, ...]:
    return tuple(DayRange(**one) for one in records)


_FINGERPRINT: Final = Mapper(
    Fingerprint,
    read={
        "where": lambda filters: tuple((one["field"], one["value"]) for one in filters),
        "amount_text": bool,
        "csv_decimal_comma": bool,
    },
    write={"where": lambda where: [{"field": field, "value": value} for field, value in where]},
    named={"where": "where_filters"},
)
_PUBLICATION: Final = Mapper(
    Publication,
    read={"total_amount": int, "complete_days": _days},
    write={"total_amount": str},  # it may exceed 64 bits
    spread={"fingerprint": _FINGERPRINT},
)
_RUN: Final = Mapper(
    Run,
    read={
        "status": RunStatus,
        "incremental": bool,
        "sources": tuple,
        "warnings": tuple,
        "rejects_by_reason": lambda rejects: {one["reason"]: one["count"] for one in rejects},
        "complete_days": _days,
    },
    write={"rejects_by_reason": lambda counts: [{"reason": reason, "count": n} for reason, n in counts.items()]},
    spread={
        "holder": Mapper(Holder, named={"identity": "process_identity"}),
        "fingerprint": _FINGERPRINT,
        "counts": Mapper(Counts),
    },
)

publication_to_record, publication_from_record = _PUBLICATION.to_record, _PUBLICATION.from_record
run_to_record, run_from_record = _RUN.to_record, _RUN.from_record
