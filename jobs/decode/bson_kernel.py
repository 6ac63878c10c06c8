"""The compiled walk over BSON documents (bsonspec.org, version 1.1).

The input is untrusted: every length is checked against the end of its container before use. Other fields are skipped
by their length. If a field name occurs twice in a document, the last one counts, as in PyMongo and JSON parsers.

Most documents of a collection have the same structure, so the walk records *templates*: the structure bytes of a
document (types, names, lengths, terminators) under a mask, and the positions of the wanted values. A document that
equals a template under its mask has its values at the same positions, and need not be walked.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.decode import reasons as why
from jobs.decode import slots as kinds
from jobs.decode.classify import Rules, classify
from jobs.decode.jit import (
    Bool,
    Bytes,
    Int,
    Int64s,
    Uint64s,
    double_of_bits,
    helper,
    kernel,
    load_i32,
    load_i64,
    load_u32,
    load_u64,
    outlined,
    trailing_zeros,
)
from jobs.decode.merchants import MerchantState
from jobs.decode.numbers import integer_of_decimal128, integer_of_double
from jobs.decode.outputs import DONE, MERCHANTS_FULL, Outputs, record, what_is_full
from jobs.decode.plan import MAX_DEPTH, NO_NODE, NO_SLOT, Plan, find_edge
from jobs.decode.slots import Slots

IMPOSSIBLE_LENGTH: Final = 1
NO_TERMINATOR: Final = 2

DOUBLE_TYPE: Final = 0x01
STRING_TYPE: Final = 0x02
DOCUMENT_TYPE: Final = 0x03
ARRAY_TYPE: Final = 0x04
BINARY_TYPE: Final = 0x05
OBJECT_ID_TYPE: Final = 0x07
BOOLEAN_TYPE: Final = 0x08
DATE_TYPE: Final = 0x09
NULL_TYPE: Final = 0x0A
REGEX_TYPE: Final = 0x0B
DB_POINTER_TYPE: Final = 0x0C
SCOPED_CODE_TYPE: Final = 0x0F
INT32_TYPE: Final = 0x10
INT64_TYPE: Final = 0x12
DECIMAL128_TYPE: Final = 0x13

SMALLEST_DOCUMENT: Final = 5

_BY_STRING: Final = -1  # int32 length, bytes, NUL counted in the length
_BY_DOCUMENT: Final = -2  # int32 total length, itself counted, NUL at the end
_BY_BINARY: Final = -3  # int32 length, subtype, bytes
_BY_TWO_NAMES: Final = -4
_BY_POINTER: Final = -5  # string, 12 bytes
_BY_TOTAL: Final = -6  # int32 total length, itself counted
_UNKNOWN: Final = -7

_SIZES: Final = np.full(256, _UNKNOWN, np.int64)
for _type, _size in {
    DOUBLE_TYPE: 8,
    STRING_TYPE: _BY_STRING,
    DOCUMENT_TYPE: _BY_DOCUMENT,
    ARRAY_TYPE: _BY_DOCUMENT,
    BINARY_TYPE: _BY_BINARY,
    0x06: 0,  # undefined, deprecated
    OBJECT_ID_TYPE: 12,
    BOOLEAN_TYPE: 1,
    DATE_TYPE: 8,
    NULL_TYPE: 0,
    REGEX_TYPE: _BY_TWO_NAMES,
    DB_POINTER_TYPE: _BY_POINTER,
    0x0D: _BY_STRING,  # code
    0x0E: _BY_STRING,  # symbol, deprecated
    SCOPED_CODE_TYPE: _BY_TOTAL,
    INT32_TYPE: 4,
    0x11: 8,  # timestamp
    INT64_TYPE: 8,
    DECIMAL128_TYPE: 16,
    0x7F: 0,  # max key
    0xFF: 0,  # min key
}.items():
    _SIZES[_type] = _size

_ONES: Final = np.uint64(0x0101010101010101)
_HIGHS: Final = np.uint64(0x8080808080808080)

TEMPLATE_BYTES: Final = 512
"""Longer documents are always walked."""
_TEMPLATES: Final = 4
_WORDS: Final = TEMPLATE_BYTES // 8


class Templates(NamedTuple):
    """Recorded structures; template i is for documents of ``length[i]`` bytes (0: unused).

    A document matches when ``(word ^ value) & mask`` is 0 for each of its 8-byte words. ``type`` and ``at`` hold the
    BSON type of each slot's value (0: missing) and its offset in the document. ``counts`` has hits and misses: while
    most documents miss, no templates are learned.
    """

    length: Int64s
    value: Uint64s
    mask: Uint64s
    type: Bytes
    at: Int64s
    draft: Bytes
    counts: Int64s


class Walk(NamedTuple):
    """State of the walk over one document: the BSON type and absolute position of each slot's value, and its stack."""

    type: Bytes
    at: Int64s
    stack_node: Int64s
    stack_stop: Int64s


def new_templates(slot_count: int) -> Templates:
    """Empty templates for `slot_count` slots."""
    return Templates(
        np.zeros(_TEMPLATES, np.int64),
        np.zeros((_TEMPLATES, _WORDS), np.uint64),
        np.zeros((_TEMPLATES, _WORDS), np.uint64),
        np.zeros((_TEMPLATES, slot_count), np.uint8),
        np.zeros((_TEMPLATES, slot_count), np.int64),
        np.zeros(TEMPLATE_BYTES + 64, np.uint8),
        np.zeros(2, np.int64),
    )


def new_walk(slot_count: int) -> Walk:
    """Arrays for a walk over documents with `slot_count` slots."""
    return Walk(
        np.zeros(slot_count, np.uint8),
        np.zeros(slot_count, np.int64),
        np.zeros(MAX_DEPTH + 1, np.int64),
        np.zeros(MAX_DEPTH + 1, np.int64),
    )


@helper
def _after_name(data: Bytes, at: Int, stop: Int) -> Int:
    """The position after the NUL that ends the name at `at`, or -1 when there is none before `stop`."""
    while at < stop:
        word = load_u64(data, at)
        zeros = (word - _ONES) & ~word & _HIGHS
        if zeros != np.uint64(0):
            at += (trailing_zeros(zeros) >> 3) + 1
            return at if at <= stop else -1
        at += 8
    return -1


@helper
def _size_of_value(data: Bytes, type_: Int, at: Int, stop: Int) -> Int:
    """The size of the value of a BSON type at `at`, or -1 if it does not end by `stop`."""
    size = _SIZES[type_]
    if size >= 0:
        return size if size <= stop - at else -1
    if size == _UNKNOWN:
        return -1
    if size == _BY_TWO_NAMES:
        end = _after_name(data, at, stop)
        if end >= 0:
            end = _after_name(data, end, stop)
        return end - at if end >= 0 else -1
    available = stop - at - 4
    if available < 0:
        return -1
    length = load_i32(data, at)
    if size == _BY_STRING:
        return 4 + length if 1 <= length <= available and data[at + 3 + length] == 0 else -1
    if size == _BY_DOCUMENT:
        return length if SMALLEST_DOCUMENT <= length <= available + 4 and data[at + length - 1] == 0 else -1
    if size == _BY_BINARY:
        return 5 + length if 0 <= length < available else -1
    if size == _BY_POINTER:
        return 16 + length if 1 <= length <= available - 12 and data[at + 3 + length] == 0 else -1
    return length if 14 <= length <= available + 4 else -1


@helper
def _forget(walk: Walk, below: Int) -> None:
    for slot in range(walk.type.size):
        if (below >> np.uint64(slot)) & np.uint64(1) != np.uint64(0):
            walk.type[slot] = 0


@helper
def _blank(draft: Bytes, at: Int, size: Int, type_: Int) -> None:
    """Clear the variable bytes of a value in the mask: the content of a string, all bytes of a fixed-size value."""
    fixed = _SIZES[type_]
    first, end = at, at + size
    if fixed == _BY_STRING:
        first, end = at + 4, at + size - 1
    elif fixed == _BY_DOCUMENT:
        first, end = at + 4, at + size - 1
    elif fixed == _BY_BINARY:
        first = at + 5
    elif fixed < 0:
        return
    for i in range(first, end):
        draft[i] = 0


@helper
def _walk(data: Bytes, start: Int, end: Int, plan: Plan, walk: Walk, learning: Bool, draft: Bytes) -> Int:
    """Find the wanted values of the document from `start` to `end`: 0, or the position where it is malformed.

    With `learning`, `draft` receives the mask of the structure bytes.
    """
    for slot in range(walk.type.size):
        walk.type[slot] = 0
    depth = 0
    node: Int = np.int64(0)
    stop: Int = end - 1
    at = start + 4
    while True:
        type_ = np.int64(data[at])
        if type_ == 0:
            if at != stop:
                return at
            if depth == 0:
                return 0
            at += 1
            depth -= 1
            node = walk.stack_node[depth]
            stop = walk.stack_stop[depth]
            continue
        name = at + 1
        edge = find_edge(data, name, stop, node, plan)
        value = name + plan.name_length[edge] if edge >= 0 else _after_name(data, name, stop)
        if value < 0:
            return at
        size = _size_of_value(data, type_, value, stop)
        if size < 0:
            return value
        if edge >= 0:
            if plan.node[edge] != NO_NODE:
                _forget(walk, plan.below[edge])
            wanted: Int = plan.slot[edge]
            if wanted != NO_SLOT:
                walk.type[wanted] = type_
                walk.at[wanted] = value
            if plan.node[edge] != NO_NODE and type_ == DOCUMENT_TYPE:
                walk.stack_node[depth] = node
                walk.stack_stop[depth] = stop
                depth += 1
                node = plan.node[edge]
                stop = value + size - 1
                at = value + 4
                continue
        if learning:
            _blank(draft, value - start, size, type_)
        at = value + size


@helper
def _fill_slot(data: Bytes, type_: Int, at: Int, slot: Int, slots: Slots) -> None:
    """Read the value of a BSON type at `at` into `slot`."""
    if type_ == OBJECT_ID_TYPE:
        slots.kind[slot] = kinds.OBJECT_ID
        slots.number[slot] = load_i64(data, at)
        slots.extra[slot] = np.int64(load_u32(data, at + 8))
    elif type_ == INT32_TYPE:
        slots.kind[slot] = kinds.INTEGER
        slots.number[slot] = load_i32(data, at)
    elif type_ == DATE_TYPE:
        slots.kind[slot] = kinds.DATE
        slots.number[slot] = load_i64(data, at)
    elif type_ == INT64_TYPE:
        slots.kind[slot] = kinds.INTEGER
        slots.number[slot] = load_i64(data, at)
    elif type_ == STRING_TYPE:
        slots.kind[slot] = kinds.STRING
        slots.start[slot] = at + 4
        slots.length[slot] = load_i32(data, at) - 1
    elif type_ == 0:
        slots.kind[slot] = kinds.MISSING
    elif type_ == DOUBLE_TYPE:
        slots.kind[slot] = kinds.DOUBLE
        slots.number[slot], slots.extra[slot] = integer_of_double(double_of_bits(load_u64(data, at)))
        slots.start[slot], slots.length[slot] = at, kinds.BITS_64
    elif type_ == DECIMAL128_TYPE:
        slots.kind[slot] = kinds.DECIMAL
        low, high = load_u64(data, at), load_u64(data, at + 8)
        slots.number[slot], slots.extra[slot] = integer_of_decimal128(low, high, 0, False)
        slots.start[slot], slots.length[slot] = at, kinds.BITS_128
    elif type_ == BOOLEAN_TYPE:
        slots.kind[slot] = kinds.BOOLEAN
        slots.number[slot] = 1 if data[at] != 0 else 0
    elif type_ == NULL_TYPE:
        slots.kind[slot] = kinds.NULL
    else:
        slots.kind[slot] = kinds.OTHER


@helper
def _matches(data: Bytes, start: Int, length: Int, i: Int, templates: Templates) -> Bool:
    difference = np.uint64(0)
    for word in range((length + 7) >> 3):
        difference |= (load_u64(data, start + 8 * word) ^ templates.value[i, word]) & templates.mask[i, word]
    return difference == np.uint64(0)


@helper
def _learn(data: Bytes, start: Int, length: Int, i: Int, walk: Walk, templates: Templates) -> None:
    templates.length[i] = length
    for word in range((length + 7) >> 3):
        mask = load_u64(templates.draft, 8 * word)
        templates.mask[i, word] = mask
        templates.value[i, word] = load_u64(data, start + 8 * word) & mask
    for slot in range(walk.type.size):
        templates.type[i, slot] = walk.type[slot]
        templates.at[i, slot] = walk.at[slot] - start


@outlined
def _walk_and_learn(data: Bytes, start: Int, length: Int, i: Int, plan: Plan, walk: Walk, templates: Templates) -> Int:
    """Walk over a document that matches no template: 0, or the position where it is malformed."""
    learning = length <= TEMPLATE_BYTES and templates.counts[1] <= 2 * templates.counts[0] + 64
    if learning:
        for k in range(length + 8):
            templates.draft[k] = 0xFF if k < length else 0
    trouble = _walk(data, start, start + length, plan, walk, learning, templates.draft)
    if trouble != 0:
        return trouble
    templates.counts[1] += 1
    if learning:
        _learn(data, start, length, i, walk, templates)
    return 0


@helper
def _read_slots(
    data: Bytes, start: Int, length: Int, plan: Plan, walk: Walk, templates: Templates, slots: Slots
) -> Int:
    """Fill the slots of a document, by a template if one matches: 0, or the position where it is malformed."""
    i = length & (_TEMPLATES - 1)
    types, positions, first = templates.type[i], templates.at[i], start
    if templates.length[i] == length and _matches(data, start, length, i, templates):
        templates.counts[0] += 1
    else:
        trouble = _walk_and_learn(data, start, length, i, plan, walk, templates)
        if trouble != 0:
            return trouble
        types, positions, first = walk.type, walk.at, np.int64(0)
    for slot in range(walk.type.size):
        _fill_slot(data, np.int64(types[slot]), first + positions[slot], slot, slots)
    return 0


@kernel
def decode_bson(
    data: Bytes,
    start: Int,
    end: Int,
    plan: Plan,
    rules: Rules,
    walk: Walk,
    templates: Templates,
    slots: Slots,
    scratch: Bytes,
    merchants: MerchantState,
    outputs: Outputs,
) -> tuple[Int, Int]:
    """Classify the documents from `start` to `end`, whose outer lengths are valid: (status, position where it stopped).

    :param outputs: out, their results.
    """
    at = start
    while at < end:
        full = what_is_full(outputs)
        if full != DONE:
            return full, at
        length = load_i32(data, at)
        code, amount, instant = 0, 0, 0
        if _read_slots(data, at, length, plan, walk, templates, slots) != 0:
            outcome = why.FIELD_DOCUMENT * why.OUTCOME_BASE + why.MALFORMED
        else:
            outcome, code, amount, instant = classify(slots, data, scratch, rules, merchants)
        if not record(outcome, code, amount, instant, at, at + length, outputs):
            return MERCHANTS_FULL, at
        at += length
    return DONE, at


@kernel
def end_of_documents(data: Bytes, start: Int, end: Int, largest: Int) -> tuple[Int, Int, Int]:
    """Step over whole documents by their outer lengths: (end of the last whole one, their number, error).

    The error is 0, or of the document after the last whole one: `IMPOSSIBLE_LENGTH` for a length below 5 or above
    `largest`, `NO_TERMINATOR` if its last byte is not NUL.
    """
    at = start
    count = 0
    while end - at >= 4:
        length = load_i32(data, at)
        if length < SMALLEST_DOCUMENT or length > largest:
            return at, count, IMPOSSIBLE_LENGTH
        if length > end - at:
            break
        if data[at + length - 1] != 0:
            return at, count, NO_TERMINATOR
        at += length
        count += 1
    return at, count, 0
