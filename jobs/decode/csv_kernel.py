"""Finds the ends of CSV rows (RFC 4180), by the rules of Arrow's parser, which splits them into fields.

A field that begins with a quotation mark ends at the next one that is not doubled; elsewhere a quotation mark is an
ordinary character. A row ends with a newline, a carriage return, or both.

Most exports have neither quotation marks nor carriage returns. Such *plain* rows are decoded here, without Arrow.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.decode import slots as kinds
from jobs.decode.classify import Rules, classify
from jobs.decode.columns import read_text_amount, read_text_id, read_text_time
from jobs.decode.jit import Bool, Bytes, Int, Int64s, helper, kernel, load_u64, trailing_zeros
from jobs.decode.merchants import MerchantState
from jobs.decode.outputs import DAMAGED, DONE, MERCHANTS_FULL, Outputs, record, what_is_full
from jobs.decode.plan import NO_SLOT
from jobs.decode.slots import Slots

EVERY_ROW: Final = 2**62

_NEWLINE: Final = 0x0A
_QUOTE: Final = 0x22
_RETURN: Final = 0x0D

_ONES: Final = np.uint64(0x0101010101010101)
_HIGHS: Final = np.uint64(0x8080808080808080)
_QUOTES: Final = np.uint64(0x2222222222222222)
_RETURNS: Final = np.uint64(0x0D0D0D0D0D0D0D0D)
_COMMAS: Final = np.uint64(0x2C2C2C2C2C2C2C2C)
_NEWLINES: Final = np.uint64(0x0A0A0A0A0A0A0A0A)

AS_TIME: Final = 0
AS_AMOUNT: Final = 1
AS_ID: Final = 2


@kernel
def end_of_rows(data: Bytes, start: Int, end: Int, most: Int, delimiter: Int) -> tuple[Int, Int, Bool, Int]:
    """Step over at most `most` whole rows.

    :param delimiter: the byte between two fields.
    :returns: the end of the last one, their number, whether the rest ends inside quotes, and where the first quoted
        field begins that text follows, or -1.
    """
    whole = start
    opened = start
    followed = -1
    rows = 0
    field_begins = True
    quoted = False
    at = start
    while at < end and rows < most:
        c = data[at]
        at += 1
        if quoted:
            if c == _QUOTE:
                if at < end and data[at] == _QUOTE:
                    at += 1
                else:
                    quoted = False
                    is_last = at == end or data[at] == delimiter or data[at] == _NEWLINE or data[at] == _RETURN
                    if not is_last and followed < 0:
                        followed = opened
        elif c == _NEWLINE or c == _RETURN:
            if c == _RETURN and at < end and data[at] == _NEWLINE:
                at += 1
            field_begins = True
            whole = at
            rows += 1
        elif c == delimiter:
            field_begins = True
        else:
            quoted = field_begins and c == _QUOTE
            field_begins = False
            opened = at - 1
    return whole, rows, quoted, followed


@helper
def _marks_of(word: np.uint64) -> np.uint64:
    """A word with the high bit set in its lowest zero byte, perhaps also in later bytes; 0 without zero bytes."""
    return (word - _ONES) & ~word & _HIGHS


@kernel
def end_of_plain_rows(data: Bytes, start: Int, end: Int) -> Int:
    """The end of the last whole row, or -1 if these bytes are not plain."""
    marks = np.uint64(0)
    at = start
    while at + 8 <= end:
        word = load_u64(data, at)
        marks |= _marks_of(word ^ _QUOTES) | _marks_of(word ^ _RETURNS)
        at += 8
    if marks != np.uint64(0):
        return -1
    while at < end:
        if data[at] == _QUOTE or data[at] == _RETURN:
            return -1
        at += 1
    while end > start and data[end - 1] != _NEWLINE:
        end -= 1
    return end


@helper
def _end_of_field(data: Bytes, at: Int, end: Int) -> Int:
    """The position of the next comma or newline."""
    while at < end:
        word = load_u64(data, at)
        marks = _marks_of(word ^ _COMMAS) | _marks_of(word ^ _NEWLINES)
        if marks != np.uint64(0):
            return at + (trailing_zeros(marks) >> 3)
        at += 8
    return end


@kernel
def decode_plain_rows(
    data: Bytes,
    start: Int,
    end: Int,
    slot_of_column: Int64s,
    readers: Bytes,
    rules: Rules,
    day: Int64s,
    rows_before: Int64s,
    slots: Slots,
    merchants: MerchantState,
    outputs: Outputs,
) -> tuple[Int, Int]:
    """Classify the plain rows from `start` to `end`, the end of the last one: (status, position where it stopped).

    Empty lines are skipped. A row with more or fewer fields than columns is damaged.

    :param slot_of_column: the slot of each column, or `NO_SLOT`.
    :param readers: for each slot `AS_TIME`, `AS_AMOUNT` or `AS_ID`.
    :param day: see `jobs.decode.numbers.instant_of_similar_text`.
    :param rows_before: in and out, the number of rows before `start`; rejects are identified by row number.
    :param outputs: out, their results.
    """
    at = start
    while at < end:
        if data[at] == _NEWLINE:
            at += 1
            continue
        full = what_is_full(outputs)
        if full != DONE:
            return full, at
        column = 0
        field = at
        is_last = False
        while not is_last:
            if column == slot_of_column.size:
                return DAMAGED, at
            after = _end_of_field(data, field, end)
            slot = slot_of_column[column]
            if slot != NO_SLOT:
                slots.kind[slot] = kinds.STRING
                slots.start[slot] = field
                slots.length[slot] = after - field
            is_last = data[after] == _NEWLINE
            column += 1
            field = after + 1
        if column != slot_of_column.size:
            return DAMAGED, at
        for slot in range(readers.size):
            if readers[slot] == AS_TIME:
                read_text_time(data, slot, slots, day)
            elif readers[slot] == AS_AMOUNT:
                read_text_amount(data, slot, slots, False)
            else:
                read_text_id(data, slot, slots)
        outcome, code, amount, instant = classify(slots, data, data, rules, merchants)
        row = rows_before[0]
        if not record(outcome, code, amount, instant, row, row + 1, outputs):
            return MERCHANTS_FULL, at
        rows_before[0] = row + 1
        at = field
    return DONE, at
