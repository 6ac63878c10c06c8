"""The compiled decoder of JSON documents: MongoDB Extended JSON v2 (relaxed and canonical), and the dates of v1.

It validates the grammar of the whole text (RFC 8259, and NaN, Infinity and -Infinity, which some exporters write), so
damage is never read as data. If a name occurs twice in an object, the last one counts.
"""

from __future__ import annotations

from typing import Final

from jobs.decode.classify import Rules, classify
from jobs.decode.jit import Bool, Bytes, Int, Int64s, helper, kernel
from jobs.decode.json_grammar import (
    CLOSE_BRACE,
    CLOSE_BRACKET,
    COMMA,
    NEWLINE,
    OPEN_BRACE,
    OPEN_BRACKET,
    QUOTE,
    end_of_string,
    failed,
    skip_space,
)
from jobs.decode.json_templates import JsonTemplates, learn_template, match_template
from jobs.decode.json_values import Found, read_slots
from jobs.decode.json_walk import WalkBuffers, walk_json
from jobs.decode.merchants import MerchantState
from jobs.decode.outputs import DAMAGED, DONE, MERCHANTS_FULL, SCRATCH_FULL, Outputs, record, what_is_full
from jobs.decode.plan import Plan
from jobs.decode.slots import Slots

BEFORE_FIRST: Final = 0
AFTER_DOCUMENT: Final = 1
AFTER_COMMA: Final = 2
CLOSED: Final = 3


@kernel
def decode_json(
    data: Bytes,
    start: Int,
    end: Int,
    one_line: Bool,
    plan: Plan,
    rules: Rules,
    buffers: WalkBuffers,
    templates: JsonTemplates,
    found: Found,
    day: Int64s,
    slots: Slots,
    scratch: Bytes,
    merchants: MerchantState,
    outputs: Outputs,
) -> tuple[Int, Int]:
    """Classify the documents from `start` to `end`: (status, position where it stopped or of the damage).

    :param one_line: one document per line; else documents are separated by white space and commas, which have been
        validated.
    :param day: see `jobs.decode.numbers.instant_of_similar_text`.
    :param outputs: out, their results.
    """
    at = start
    while True:
        while at < end and (data[at] <= 0x20 or (data[at] == COMMA and not one_line)):
            if skip_space(data, at, at + 1, False) == at and data[at] != COMMA:
                return DAMAGED, at
            at += 1
        if at >= end:
            return DONE, at
        full = what_is_full(outputs)
        if full != DONE:
            return full, at
        if data[at] != OPEN_BRACE:
            return DAMAGED, at
        after = match_template(data, at, end, templates, slots, day)
        if after < 0:
            after, fits = walk_json(data, at, end, one_line, plan, buffers, scratch, found)
            if not fits:
                return SCRATCH_FULL, at
            if after < 0:
                return DAMAGED, -1 - after
            learn_template(data, at, after, templates, found)
            if not read_slots(data, found, slots, scratch, day):
                return SCRATCH_FULL, at
        if one_line:
            rest = skip_space(data, after, end, True)
            if rest < end and data[rest] != NEWLINE:
                return DAMAGED, rest
        outcome, code, amount, instant = classify(slots, data, scratch, rules, merchants)
        if not record(outcome, code, amount, instant, at, after, outputs):
            return MERCHANTS_FULL, at
        at = after


@kernel
def end_of_json_documents(data: Bytes, start: Int, end: Int, array: Bool, state: Int64s) -> Int:
    """Step over whole documents that are not one per line: the end of the last whole one, or a failure.

    :param array: the documents are elements of an array; `at` is after its opening bracket.
    :param state: in and out, the parser state: `BEFORE_FIRST`, `AFTER_DOCUMENT`, `AFTER_COMMA` or `CLOSED`.
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
    """The position after the bracket that closes the one at `at`; checks no grammar but that of strings."""
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
