"""The compiled walk over JSON documents, with MongoDB Extended JSON v2 (relaxed and canonical) and the dates of v1.

It checks the grammar of all it passes (RFC 8259, and the words NaN, Infinity and -Infinity that some exporters write),
so that damage is never taken for data. Of a name that occurs twice in one object the last one counts.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.decode import reasons as why
from jobs.decode import slots as kinds
from jobs.decode.bson_kernel import DONE, MERCHANTS_FULL, REJECTS_FULL, ROWS_FULL
from jobs.decode.jit import PADDING, Bool, Bytes, Int, Int32s, Int64s, Uint64s, helper, kernel
from jobs.decode.json_grammar import (
    CLOSE_BRACE,
    CLOSE_BRACKET,
    COMMA,
    MAX_NESTING,
    MINUS,
    NEWLINE,
    OPEN_BRACE,
    OPEN_BRACKET,
    QUOTE,
    after_colon,
    end_of_string,
    end_of_value,
    end_of_word,
    failed,
    skip_space,
    unescape,
)
from jobs.decode.json_values import read_extended, read_number
from jobs.decode.judge import Rules, judge
from jobs.decode.merchants import MerchantState
from jobs.decode.plan import MAX_DEPTH, NO_NODE, NO_SLOT, Plan, find_edge
from jobs.decode.slots import Slots

DAMAGED: Final = 4
SCRATCH_FULL: Final = 5

BEFORE_FIRST: Final = 0
AFTER_DOCUMENT: Final = 1
AFTER_COMMA: Final = 2
CLOSED: Final = 3


class Room(NamedTuple):
    """Room for the walk over one document: open brackets, an ObjectId, the stack of nodes, how much scratch is used."""

    nesting: Bytes
    words: Uint64s
    stack_node: Int64s
    used: Int64s


def new_room() -> Room:
    """Room for a walk."""
    return Room(
        np.zeros(MAX_NESTING, np.uint8),
        np.zeros(2, np.uint64),
        np.zeros(MAX_DEPTH + 1, np.int64),
        np.zeros(1, np.int64),
    )


@helper
def _forget(slots: Slots, below: Int) -> None:
    for slot in range(slots.kind.size):
        if (below >> np.uint64(slot)) & np.uint64(1) != np.uint64(0):
            slots.kind[slot] = kinds.MISSING


@helper
def _read_string(
    data: Bytes, at: Int, end: Int, scratch: Bytes, used: Int64s, slot: Int, slots: Slots
) -> tuple[Int, Bool]:
    """Read the string at `at`: (the position after it, whether `scratch` has room for its escapes)."""
    after, escaped = end_of_string(data, at + 1, end)
    if after < 0:
        return after, True
    slots.kind[slot] = kinds.STRING
    slots.start[slot] = at + 1
    slots.length[slot] = after - at - 2
    if escaped:
        if used[0] + slots.length[slot] > scratch.size - PADDING:
            return after, False
        slots.kind[slot] = kinds.UNESCAPED
        slots.start[slot] = used[0]
        last = unescape(data, at + 1, after - 1, scratch, used[0])
        slots.length[slot] = last - used[0]
        used[0] = last
    return after, True


@helper
def _read_value(
    data: Bytes, at: Int, end: Int, one_line: Bool, room: Room, scratch: Bytes, used: Int64s, slot: Int, slots: Slots
) -> tuple[Int, Bool]:
    """Read any value into `slot`: (the position after it or a failure, whether `scratch` had room)."""
    if at >= end:
        return failed(end), True
    c = data[at]
    if c == QUOTE:
        return _read_string(data, at, end, scratch, used, slot, slots)
    if c == MINUS or 0x30 <= c <= 0x39:
        return read_number(data, at, end, slot, slots), True
    if c == OPEN_BRACE:
        after, extended = read_extended(data, at, end, one_line, slot, slots, room.words)
        if after >= 0:
            return after, True
        slots.kind[slot] = kinds.UNREADABLE if extended else kinds.OTHER
        return end_of_value(data, at, end, one_line, room.nesting), True
    if c == OPEN_BRACKET:
        slots.kind[slot] = kinds.OTHER
        return end_of_value(data, at, end, one_line, room.nesting), True
    after = end_of_word(data, at, end)
    if c == 0x6E:
        slots.kind[slot] = kinds.NULL
    elif c == 0x74 or c == 0x66:
        slots.kind[slot] = kinds.BOOLEAN
        slots.number[slot] = 1 if c == 0x74 else 0
    else:
        slots.kind[slot] = kinds.DOUBLE
        slots.extra[slot] = why.NAN if c == 0x4E else why.INFINITY
    return after, True


@helper
def _find_name(
    data: Bytes, at: Int, end: Int, node: Int, plan: Plan, scratch: Bytes, used: Int
) -> tuple[Int, Int, Bool]:
    """For the name that begins at `at`: (its edge or -1, the position after it, whether `scratch` had room)."""
    edge = find_edge(data, at + 1, end, node, plan)
    if edge >= 0:
        return edge, at + 1 + plan.name_length[edge], True
    after, escaped = end_of_string(data, at + 1, end)
    if escaped and after >= 0:
        if used + after - at > scratch.size - PADDING:
            return -1, after, False
        last = unescape(data, at + 1, after - 1, scratch, used)
        scratch[last] = QUOTE
        # A name that holds a quotation mark of its own ends early here, and must not pass for a shorter one.
        for i in range(used, last):
            if scratch[i] == QUOTE:
                return -1, after, True
        edge = find_edge(scratch, used, last + 1, node, plan)
    return edge, after, True


@helper
def walk_json(
    data: Bytes, at: Int, end: Int, one_line: Bool, plan: Plan, room: Room, scratch: Bytes, used: Int64s, slots: Slots
) -> tuple[Int, Bool]:
    """Fill the slots of the document at `at`: (the position after it or a failure, whether `scratch` had room)."""
    for i in range(slots.kind.size):
        slots.kind[i] = kinds.MISSING
    used[0] = 0
    depth = 0
    node: Int = 0
    at = skip_space(data, at + 1, end, one_line)
    closing = at < end and data[at] == CLOSE_BRACE
    while True:
        if not closing:
            if at >= end or data[at] != QUOTE:
                return failed(at), True
            edge, at, fits = _find_name(data, at, end, node, plan, scratch, used[0])
            if at < 0 or not fits:
                return at, fits
            at = after_colon(data, at, end, one_line)
            if at < 0:
                return at, True
            value = at
            slot: Int = NO_SLOT
            inner: Int = NO_NODE
            if edge >= 0:
                slot = plan.slot[edge]
                inner = plan.node[edge]
                if inner != NO_NODE:
                    _forget(slots, plan.below[edge])
            if slot != NO_SLOT:
                at, fits = _read_value(data, at, end, one_line, room, scratch, used, slot, slots)
                if not fits:
                    return at, False
            if inner != NO_NODE and value < end and data[value] == OPEN_BRACE:
                room.stack_node[depth] = node
                depth += 1
                node = inner
                at = skip_space(data, value + 1, end, one_line)
                closing = at < end and data[at] == CLOSE_BRACE
                continue
            if slot == NO_SLOT:
                at = end_of_value(data, at, end, one_line, room.nesting)
            if at < 0:
                return at, True
        while True:
            if not closing:
                at = skip_space(data, at, end, one_line)
            if at >= end:
                return failed(end), True
            if data[at] != CLOSE_BRACE:
                break
            closing = False
            at += 1
            if depth == 0:
                return at, True
            depth -= 1
            node = room.stack_node[depth]
        if data[at] != COMMA:
            return failed(at), True
        at = skip_space(data, at + 1, end, one_line)


@kernel
def decode_json(
    data: Bytes,
    start: Int,
    end: Int,
    one_line: Bool,
    plan: Plan,
    rules: Rules,
    room: Room,
    slots: Slots,
    scratch: Bytes,
    merchants: MerchantState,
    codes: Int32s,
    amounts: Int64s,
    instants: Int64s,
    rejects: Int64s,
    tally: Int64s,
) -> tuple[Int, Int]:
    """Judge the documents from `start` to `end`: (status, where it stopped, or what is damaged).

    :param one_line: every document stands on a line of its own; else documents are separated by white space and
        commas, whose places have been checked.
    :param codes: out, as for `jobs.decode.bson_kernel.decode_bson`; likewise the parameters after it.
    """
    at = start
    used = room.used
    while True:
        while at < end and (data[at] <= 0x20 or (data[at] == COMMA and not one_line)):
            if skip_space(data, at, at + 1, False) == at and data[at] != COMMA:
                return DAMAGED, at
            at += 1
        if at >= end:
            return DONE, at
        if tally[1] == codes.size:
            return ROWS_FULL, at
        if tally[2] == rejects.shape[0]:
            return REJECTS_FULL, at
        if data[at] != OPEN_BRACE:
            return DAMAGED, at
        after, fits = walk_json(data, at, end, one_line, plan, room, scratch, used, slots)
        if not fits:
            return SCRATCH_FULL, at
        if after < 0:
            return DAMAGED, -1 - after
        if one_line:
            rest = skip_space(data, after, end, True)
            if rest < end and data[rest] != NEWLINE:
                return DAMAGED, rest
        verdict, code, amount, instant = judge(slots, data, scratch, rules, merchants)
        if verdict == why.COUNTED:
            row = tally[1]
            codes[row] = code
            amounts[row] = amount
            instants[row] = instant
            tally[1] += 1
        elif verdict == why.FILTERED:
            tally[3] += 1
        elif verdict == why.OUT_OF_RANGE:
            tally[4] += 1
        elif verdict == why.NO_ROOM:
            return MERCHANTS_FULL, at
        else:
            reject = tally[2]
            rejects[reject, 0] = verdict
            rejects[reject, 1] = at
            rejects[reject, 2] = after
            tally[2] += 1
        tally[0] += 1
        at = after


@kernel
def end_of_json_documents(data: Bytes, start: Int, end: Int, array: Bool, state: Int64s) -> Int:
    """Step over whole documents that are not one a line: where the last whole one ends, or a failure.

    :param array: the documents are the elements of one array, whose opening bracket has been passed.
    :param state: in and out, what may come next: `BEFORE_FIRST`, `AFTER_DOCUMENT`, `AFTER_COMMA` or `CLOSED`.
    """
    at = start
    whole = start
    while True:
        at = skip_space(data, at, end, False)
        if at >= end:
            return whole
        c = data[at]
        if state[0] == CLOSED:
            return failed(at)
        if array and c == CLOSE_BRACKET and state[0] != AFTER_COMMA:
            state[0] = CLOSED
            at += 1
        elif array and c == COMMA and state[0] == AFTER_DOCUMENT:
            state[0] = AFTER_COMMA
            at += 1
        elif c == OPEN_BRACE and (not array or state[0] != AFTER_DOCUMENT):
            at = _end_of_braces(data, at, end)
            if at < 0:
                return whole if -1 - at >= end else at
            state[0] = AFTER_DOCUMENT
        else:
            return failed(at)
        whole = at


@helper
def _end_of_braces(data: Bytes, at: Int, end: Int) -> Int:
    """The position after the bracket that closes the one at `at`; of the grammar only strings are looked at."""
    depth = 0
    while at < end:
        c = data[at]
        at += 1
        if c == QUOTE:
            at, _ = end_of_string(data, at, end)
            if at < 0:
                return at
        elif c == OPEN_BRACE or c == OPEN_BRACKET:
            depth += 1
        elif c == CLOSE_BRACE or c == CLOSE_BRACKET:
            depth -= 1
            if depth == 0:
                return at
    return failed(end)
