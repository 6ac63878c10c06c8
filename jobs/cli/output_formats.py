"""Writes frames in each value of ``--format``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import polars as pl

from core.command_line import printable
from core.money import grouped
from core.tables import aligned

_DECIMALS: Final = 2


class Column(NamedTuple):
    """The heading of a column, and the decimal places of its amounts."""

    heading: str
    scale: int = 0


def _table(answer: pl.DataFrame, columns: Sequence[Column]) -> str:
    rows = [[_shown(value, column.scale) for value, column in zip(row, columns, strict=True)] for row in answer.rows()]
    numbers = [place for place, dtype in enumerate(answer.dtypes) if dtype.is_numeric()]
    return aligned([[column.heading for column in columns], *rows], numbers)


def _shown(value: Any, scale: int) -> str:
    """A value for people: with thousands separators, amounts in major units, fractions rounded."""
    match value:
        case None:
            return "-"
        case float():
            return f"{value / 10**scale:,.{max(_DECIMALS, scale)}f}"
        case int():
            return grouped(value, scale)
        case _:
            return printable(str(value))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


FORMS: Final[Mapping[str, Callable[[pl.DataFrame, Sequence[Column]], str]]] = {
    "table": _table,
    "json": lambda answer, _: _json(answer.to_dicts()),
    "jsonl": lambda answer, _: "".join(map(_json, answer.iter_rows(named=True))),
    "csv": lambda answer, _: answer.write_csv(),
}
"""The text of a frame; only tables have the headings of columns."""
