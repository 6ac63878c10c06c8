"""Decoding of tables (CSV, Parquet): the wanted columns become slots, the same judge decides row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.decode import slots as kinds
from jobs.decode.batch import Reject
from jobs.decode.decoder import CompiledDecoder
from jobs.decode.jit import Bool, Bytes, Int, Int64s, Uint64s, helper, kernel, load_u64
from jobs.decode.json_values import set_double, set_integer
from jobs.decode.judge import Rules, judge
from jobs.decode.merchants import MerchantState
from jobs.decode.numbers import instant_of_text, integer_of_decimal128, object_id_of_hex
from jobs.decode.outputs import DONE, MERCHANTS_FULL, Outputs, record, what_is_full
from jobs.decode.reasons import describe
from jobs.decode.slots import Slots


@dataclass(frozen=True, slots=True)
class TableChunk:
    """Some rows of a table.

    :param source: name of the file or stream.
    :param columns: the wanted columns, in the order of the field paths' slots; their arrays have an element a row.
    :param text: the bytes that string slots point into, with `PADDING` more.
    :param first_row: number of the first row in the source, from 1.
    :param document: gives a row of the chunk (from 0) as a document.
    """

    source: str
    columns: list[Slots]
    text: Bytes
    first_row: int
    document: Callable[[int], Any]


_OBJECT_ID_OPEN = np.frombuffer(b"ObjectId(", np.uint8)
_TRUE = np.frombuffer(b"true", np.uint8)
_FALSE = np.frombuffer(b"false", np.uint8)


@helper
def _is(text: Bytes, start: Int, end: Int, word: Bytes) -> Bool:
    if end - start != word.size:
        return False
    for i in range(word.size):
        if text[start + i] != word[i]:
            return False
    return True


@kernel
def read_text_times(text: Bytes, column: Slots) -> None:
    """Turn string slots into instants, in place; an empty text is a missing value."""
    for row in range(column.kind.size):
        if column.kind[row] == kinds.STRING:
            start, end = column.start[row], column.start[row] + column.length[row]
            instant, valid = instant_of_text(text, start, end)
            column.number[row] = instant
            column.kind[row] = kinds.DATE if valid else kinds.MISSING if end == start else kinds.UNREADABLE


@kernel
def read_text_amounts(text: Bytes, column: Slots, decimal: Bool) -> None:
    """Turn string slots into numbers, in place.

    :param decimal: all are decimals; else digits are an integer, and a point or an exponent makes a double.
    """
    for row in range(column.kind.size):
        if column.kind[row] != kinds.STRING:
            continue
        start, end = column.start[row], column.start[row] + column.length[row]
        if start == end:
            column.kind[row] = kinds.MISSING
            continue
        if _is(text, start, end, _TRUE) or _is(text, start, end, _FALSE):
            column.kind[row] = kinds.BOOLEAN
            continue
        integer = True
        for at in range(start, end):
            c = text[at]
            integer = integer and (0x30 <= c <= 0x39 or (at == start and (c == 0x2D or c == 0x2B)))
        if decimal or integer:
            set_integer(text, start, end, row, column)
        else:
            set_double(text, start, end, row, column)
        if column.kind[row] == kinds.UNREADABLE:
            column.kind[row] = kinds.STRING


@kernel
def read_text_doubles(text: Bytes, column: Slots) -> None:
    """Turn string slots that hold doubles as they are written into numbers, in place."""
    for row in range(column.kind.size):
        if column.kind[row] == kinds.STRING:
            set_double(text, column.start[row], column.start[row] + column.length[row], row, column)


@kernel
def read_decimal128s(text: Bytes, column: Slots) -> None:
    """Turn string slots of 16 bytes, those of BSON decimals, into numbers, in place."""
    for row in range(column.kind.size):
        if column.kind[row] == kinds.STRING:
            low, high = load_u64(text, column.start[row]), load_u64(text, column.start[row] + 8)
            column.kind[row] = kinds.DECIMAL
            column.number[row], column.extra[row] = integer_of_decimal128(low, high, 0, False)
            column.length[row] = kinds.BITS_128


@kernel
def read_text_ids(text: Bytes, column: Slots, words: Uint64s) -> None:
    """Turn string slots that read ``ObjectId(…)`` into ids, in place; an empty text is a missing value."""
    for row in range(column.kind.size):
        if column.kind[row] != kinds.STRING:
            continue
        start, end = column.start[row], column.start[row] + column.length[row]
        if start == end:
            column.kind[row] = kinds.MISSING
        elif end - start == 34 and _is(text, start, start + 9, _OBJECT_ID_OPEN) and text[end - 1] == 0x29:
            if object_id_of_hex(text, start + 9, end - 1, words):
                column.kind[row] = kinds.OBJECT_ID
                column.number[row] = np.int64(words[0])
                column.extra[row] = np.int64(words[1])


@kernel
def decode_rows(
    text: Bytes,
    first: Int,
    table: Slots,
    rules: Rules,
    slots: Slots,
    merchants: MerchantState,
    outputs: Outputs,
) -> tuple[Int, Int]:
    """Judge the rows from `first` on: (status, where it stopped).

    :param table: arrays of shape (rows, slots).
    :param outputs: out, what became of them.
    """
    for row in range(first, table.kind.shape[0]):
        full = what_is_full(outputs)
        if full != DONE:
            return full, row
        for slot in range(slots.kind.size):
            slots.kind[slot] = table.kind[row, slot]
            slots.number[slot] = table.number[row, slot]
            slots.extra[slot] = table.extra[row, slot]
            slots.start[slot] = table.start[row, slot]
            slots.length[slot] = table.length[row, slot]
        verdict, code, amount, instant = judge(slots, text, text, rules, merchants)
        if not record(verdict, code, amount, instant, row, row + 1, outputs):
            return MERCHANTS_FULL, row
    return DONE, table.kind.shape[0]


class TableDecoder(CompiledDecoder[TableChunk]):
    """Decodes chunks of tables."""

    _table: tuple[TableChunk, Slots] | None = None

    def _extent(self, chunk: TableChunk) -> tuple[int, int]:
        return 0, chunk.columns[0].kind.size

    def _rows(self, chunk: TableChunk) -> Slots:
        if self._table is None or self._table[0] is not chunk:
            stacked = (np.stack(parts, axis=1) for parts in zip(*chunk.columns, strict=True))
            self._table = (chunk, Slots(*stacked))
        return self._table[1]

    def _run(self, chunk: TableChunk, at: int, end: int, outputs: Outputs) -> tuple[int, int]:
        status, at = decode_rows(
            chunk.text,
            at,
            self._rows(chunk),
            self._rules,
            self._slots,
            self.merchants.state,
            outputs,
        )
        return status, at

    def _reject(self, chunk: TableChunk, row: Int64s) -> Reject:
        verdict, number = int(row[0]), int(row[1])
        return Reject(chunk.source, chunk.first_row + number, "row", *describe(verdict), lambda: chunk.document(number))
