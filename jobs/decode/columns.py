"""Decoding of tables (CSV, Parquet): the wanted columns become slots, and each row is classified like a document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from jobs.decode import slots as kinds
from jobs.decode.batch import Batch, Reject
from jobs.decode.classify import Rules, classify, intern_merchant, reason_of_merchant
from jobs.decode.decoder import CompiledDecoder, batch_of
from jobs.decode.jit import PADDING, Bool, Bytes, Int, Int32s, Int64s, helper, kernel, load_u64
from jobs.decode.json_values import set_double, set_integer
from jobs.decode.merchants import NOT_TEXT, MerchantState
from jobs.decode.numbers import instant_of_similar_text, integer_of_decimal128, object_id_of_hex
from jobs.decode.outputs import DONE, MERCHANTS_FULL, Outputs, record, what_is_full, whole_outputs
from jobs.decode.reasons import describe
from jobs.decode.slots import Slots


@dataclass(frozen=True, slots=True)
class TableChunk:
    """Some rows of a table.

    :param source: name of the file or stream.
    :param columns: the wanted columns in the order of slots; arrays with one element per row.
    :param text: the bytes that string slots point into, and `PADDING` more.
    :param first_row: number of the first row in the source, from 1.
    :param document: returns a row of the chunk (from 0) as a document.
    """

    source: str
    columns: list[Slots]
    text: Bytes
    first_row: int
    document: Callable[[int], Any]

    @property
    def end(self) -> int:
        """The number of rows."""
        return self.columns[0].kind.size


NO_TEXT: Final = np.frombuffer(bytes(PADDING), np.uint8)
"""The text of columns without strings."""
_UNKNOWN: Final = -3
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


@helper
def read_text_time(text: Bytes, slot: Int, slots: Slots, day: Int64s) -> None:
    """Convert a string slot to an instant; empty text is a missing value.

    :param day: see `jobs.decode.numbers.instant_of_similar_text`.
    """
    start, end = slots.start[slot], slots.start[slot] + slots.length[slot]
    instant, valid = instant_of_similar_text(text, start, end, day)
    slots.number[slot] = instant
    slots.kind[slot] = kinds.DATE if valid else kinds.MISSING if end == start else kinds.UNREADABLE


@helper
def read_text_amount(text: Bytes, slot: Int, slots: Slots, decimal: Bool) -> None:
    """Convert a string slot to a number; see `read_text_amounts`."""
    start, end = slots.start[slot], slots.start[slot] + slots.length[slot]
    if start == end:
        slots.kind[slot] = kinds.MISSING
    elif _is(text, start, end, _TRUE) or _is(text, start, end, _FALSE):
        slots.kind[slot] = kinds.BOOLEAN
    else:
        integer = True
        for at in range(start, end):
            c = text[at]
            integer = integer and (0x30 <= c <= 0x39 or (at == start and (c == 0x2D or c == 0x2B)))
        if decimal or integer:
            set_integer(text, start, end, slot, slots)
        else:
            set_double(text, start, end, slot, slots)
        if slots.kind[slot] == kinds.UNREADABLE:
            slots.kind[slot] = kinds.STRING


@helper
def read_text_id(text: Bytes, slot: Int, slots: Slots) -> None:
    """Convert a string slot of the form ``ObjectId(…)`` to an id; empty text is a missing value."""
    start, end = slots.start[slot], slots.start[slot] + slots.length[slot]
    if start == end:
        slots.kind[slot] = kinds.MISSING
    elif end - start == 34 and _is(text, start, start + 9, _OBJECT_ID_OPEN) and text[end - 1] == 0x29:
        first, last, valid = object_id_of_hex(text, start + 9, end - 1)
        if valid:
            slots.kind[slot] = kinds.OBJECT_ID
            slots.number[slot] = np.int64(first)
            slots.extra[slot] = np.int64(last)


@kernel
def read_text_times(text: Bytes, column: Slots, day: Int64s) -> None:
    """Convert string slots to instants, in place; see `read_text_time`."""
    for row in range(column.kind.size):
        if column.kind[row] == kinds.STRING:
            read_text_time(text, row, column, day)


@kernel
def read_text_amounts(text: Bytes, column: Slots, decimal: Bool) -> None:
    """Convert string slots to numbers, in place.

    :param decimal: read all as decimals; else text with a point or an exponent is a double, other digits an integer.
    """
    for row in range(column.kind.size):
        if column.kind[row] == kinds.STRING:
            read_text_amount(text, row, column, decimal)


@kernel
def read_text_doubles(text: Bytes, column: Slots) -> None:
    """Convert string slots that hold the text of doubles to numbers, in place."""
    for row in range(column.kind.size):
        if column.kind[row] == kinds.STRING:
            set_double(text, column.start[row], column.start[row] + column.length[row], row, column)


@kernel
def read_decimal128s(text: Bytes, column: Slots) -> None:
    """Convert string slots of 16 bytes (BSON decimal128) to numbers, in place."""
    for row in range(column.kind.size):
        if column.kind[row] == kinds.STRING:
            low, high = load_u64(text, column.start[row]), load_u64(text, column.start[row] + 8)
            column.kind[row] = kinds.DECIMAL
            column.number[row], column.extra[row] = integer_of_decimal128(low, high, 0, False)
            column.length[row] = kinds.BITS_128


@kernel
def read_text_ids(text: Bytes, column: Slots) -> None:
    """Convert string slots to ids, in place; see `read_text_id`."""
    for row in range(column.kind.size):
        if column.kind[row] == kinds.STRING:
            read_text_id(text, row, column)


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
    """Classify the rows from `first` on: (status, row where it stopped).

    :param table: arrays of shape (rows, slots).
    :param outputs: out, their results.
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
        outcome, code, amount, instant = classify(slots, text, text, rules, merchants)
        if not record(outcome, code, amount, instant, row, row + 1, outputs):
            return MERCHANTS_FULL, row
    return DONE, table.kind.shape[0]


@kernel
def intern_rows(
    indices: Int32s, first: Int, text: Bytes, values: Slots, merchants: MerchantState, known: Int32s, codes: Int32s
) -> Int:
    """Intern the merchants of the rows from `first` on; returns the row where it stopped.

    :param indices: for each row the index of its value in `values`.
    :param known: in and out: the code of each value, or `_UNKNOWN`.
    :param codes: out: the code of each row; of the row where it stopped `FULL`, or `NOT_TEXT` if it is no merchant.
    """
    for row in range(first, indices.size):
        value = np.int64(indices[row])
        code = np.int64(known[value])
        if code == _UNKNOWN:
            code = np.int64(NOT_TEXT)
            if reason_of_merchant(values, value) == 0:
                code = intern_merchant(values, value, text, text, merchants)
            if code >= 0:
                known[value] = code
        codes[row] = code
        if code < 0:
            return row
    return indices.size


class TableDecoder(CompiledDecoder[TableChunk]):
    """Decodes chunks of tables."""

    _table: tuple[TableChunk, Slots] | None = None

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

    def counts_all(self, instants: Int64s) -> bool:
        """Whether all `instants` (at least one) are in the calendar and in the requested range."""
        named_first, named_end, wanted_first, wanted_end = self._rules.bounds
        first, last = instants.min(), instants.max()
        return bool(first >= max(named_first, wanted_first) and last < min(named_end, wanted_end))

    def codes_of(self, indices: Int32s, values: Slots, text: Bytes) -> Int32s | None:
        """The merchant codes of rows without missing values; None if a value is no merchant.

        :param indices: for each row the index of its value in `values`, some of which may be unused.
        :param text: see `TableChunk`.
        """
        known, codes = np.full(values.kind.size, _UNKNOWN, np.int32), np.empty(indices.size, np.int32)
        row = 0
        while (row := intern_rows(indices, row, text, values, self.merchants.state, known, codes)) < indices.size:
            if codes[row] == NOT_TEXT:
                return None
            self.merchants.grow()
        return codes

    def whole_batch(self, codes: Int32s, amounts: Int64s, instants: Int64s) -> Batch:
        """The batch of rows that are all counted."""
        return batch_of(whole_outputs(codes, amounts, instants), self._no_reject)

    @staticmethod
    def _no_reject(row: Int64s) -> Reject:
        raise AssertionError(f"every row counts, yet {row} is rejected")

    def _reject(self, chunk: TableChunk, row: Int64s) -> Reject:
        outcome, number = int(row[0]), int(row[1])
        return Reject(chunk.source, chunk.first_row + number, "row", *describe(outcome), lambda: chunk.document(number))
