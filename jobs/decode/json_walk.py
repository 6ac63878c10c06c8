"""The walk over one JSON document: locates the wanted values by name, and validates the grammar of all others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jobs.decode.jit import PADDING, Bool, Bytes, Int, Int64s, helper, outlined
from jobs.decode.json_grammar import (
    CLOSE_BRACE,
    COMMA,
    MAX_NESTING,
    OPEN_BRACE,
    QUOTE,
    after_colon,
    end_of_string,
    end_of_value,
    failed,
    skip_space,
    unescape,
)
from jobs.decode.json_values import READ_NOTHING, Found, find_value
from jobs.decode.plan import MAX_DEPTH, NO_NODE, NO_SLOT, Plan, find_edge


class WalkBuffers(NamedTuple):
    """Stacks for the walk over one document: open brackets, and the ancestors of the current node."""

    nesting: Bytes
    stack_node: Int64s


def new_walk_buffers() -> WalkBuffers:
    """Empty buffers for a walk."""
    return WalkBuffers(np.zeros(MAX_NESTING, np.uint8), np.zeros(MAX_DEPTH + 1, np.int64))


@helper
def _forget(found: Found, below: Int) -> None:
    for slot in range(found.reader.size):
        if (below >> np.uint64(slot)) & np.uint64(1) != np.uint64(0):
            found.reader[slot] = READ_NOTHING


@helper
def _find_name(data: Bytes, at: Int, end: Int, node: Int, plan: Plan, scratch: Bytes) -> tuple[Int, Int, Bool]:
    """For the name at `at`: (its edge or -1, the position after it, whether `scratch` was large enough)."""
    edge = find_edge(data, at + 1, end, node, plan)
    if edge >= 0:
        return edge, at + 1 + plan.name_length[edge], True
    after, escaped = end_of_string(data, at + 1, end)
    if escaped and after >= 0:
        if after - at > scratch.size - PADDING:
            return -1, after, False
        last = unescape(data, at + 1, after - 1, scratch, np.int64(0))
        scratch[last] = QUOTE
        # A name that contains a quotation mark ends early here, and must not match a shorter one.
        for i in range(last):
            if scratch[i] == QUOTE:
                return -1, after, True
        edge = find_edge(scratch, np.int64(0), last + 1, node, plan)
    return edge, after, True


@outlined
def walk_json(
    data: Bytes, at: Int, end: Int, one_line: Bool, plan: Plan, buffers: WalkBuffers, scratch: Bytes, found: Found
) -> tuple[Int, Bool]:
    """Locate the wanted values of the document at `at`: (position after it or failure, `scratch` was large enough)."""
    for i in range(found.reader.size):
        found.reader[i] = READ_NOTHING
    depth = 0
    node: Int = np.int64(0)
    at = skip_space(data, at + 1, end, one_line)
    closing = at < end and data[at] == CLOSE_BRACE
    while True:
        if not closing:
            if at >= end or data[at] != QUOTE:
                return failed(at), True
            edge, at, fits = _find_name(data, at, end, node, plan, scratch)
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
                    _forget(found, plan.below[edge])
            if slot != NO_SLOT:
                at = find_value(data, at, end, one_line, buffers.nesting, slot, found, scratch)
            if inner != NO_NODE and value < end and data[value] == OPEN_BRACE:
                buffers.stack_node[depth] = node
                depth += 1
                node = inner
                at = skip_space(data, value + 1, end, one_line)
                closing = at < end and data[at] == CLOSE_BRACE
                continue
            if slot == NO_SLOT:
                at = end_of_value(data, at, end, one_line, buffers.nesting)
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
            node = buffers.stack_node[depth]
        if data[at] != COMMA:
            return failed(at), True
        at = skip_space(data, at + 1, end, one_line)
