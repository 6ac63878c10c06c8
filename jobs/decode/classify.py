"""Classifies documents of every format: counted, filtered, out of range or rejected.

The order of checks: filters, time, requested range, merchant, amount. The first that fails decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from jobs.decode import reasons as why
from jobs.decode import slots as kinds
from jobs.decode.conversion import conversion_for, convert, converter_address
from jobs.decode.jit import PADDING, Bool, Bytes, Int, Int64s, Uint64s, helper
from jobs.decode.merchants import (
    FULL,
    NOT_TEXT,
    MerchantState,
    intern_integer,
    intern_object_id,
    intern_string,
)
from jobs.decode.plan import Fields, integer_of
from jobs.decode.slots import Slots


@dataclass(frozen=True, slots=True)
class Window:
    """The instants of the calendar and of the requested range; half-open, milliseconds since 1970 UTC.

    :param named_first_ms: first instant of the calendar; `named_end_ms` is the end.
    :param wanted_first_ms: first instant of the requested range; `wanted_end_ms` is the end.
    """

    named_first_ms: int
    named_end_ms: int
    wanted_first_ms: int
    wanted_end_ms: int


class Rules(NamedTuple):
    """Filters and window as arrays.

    ``roles`` are the slots of time, merchant and amount; ``bounds`` the window's four instants. Filter i compares
    ``filter_slot[i]`` with the text at ``text_start[i]``, and with the values that this text may denote: ``number`` if
    ``is_number``, ``boolean`` (-1: none), null if ``is_null``, the ObjectId of ``first`` and ``second`` if
    ``is_object_id``.

    ``converter`` holds the address of the function that converts amounts to integers and times to dates, with the
    parameters ``conversion``, after the filters; or 0.
    """

    roles: Int64s
    bounds: Int64s
    filter_slot: Int64s
    text_start: Int64s
    text_length: Int64s
    texts: Bytes
    is_number: Bytes
    number: Int64s
    boolean: Int64s
    is_null: Bytes
    is_object_id: Bytes
    first: Uint64s
    second: Uint64s
    converter: Int64s
    conversion: Int64s


_OBJECT_ID: Final = re.compile(r"[0-9a-fA-F]{24}")


def rules_for(fields: Fields, window: Window) -> Rules:
    """The arrays of `fields.where` and `window`; slots are numbered as in `fields.paths()`."""
    slot_of = {path: slot for slot, path in enumerate(fields.paths())}
    values = [value for _, value in fields.where]
    encoded = [value.encode() for value in values]
    numbers = list(map(integer_of, values))
    object_ids = [bytes.fromhex(v) if _OBJECT_ID.fullmatch(v) else None for v in values]
    return Rules(
        np.array([slot_of[fields.time], slot_of[fields.merchant], slot_of[fields.amount]], np.int64),
        np.array(
            [window.named_first_ms, window.named_end_ms, window.wanted_first_ms, window.wanted_end_ms],
            np.int64,
        ),
        np.array([slot_of[path] for path, _ in fields.where], np.int64),
        np.array([sum(map(len, encoded[:i])) for i in range(len(encoded))], np.int64),
        np.array([len(text) for text in encoded], np.int64),
        np.frombuffer(b"".join(encoded) + bytes(PADDING), np.uint8),
        np.array([n is not None for n in numbers], np.uint8),
        np.array([n or 0 for n in numbers], np.int64),
        np.array([{"true": 1, "false": 0}.get(v, -1) for v in values], np.int64),
        np.array([v == "null" for v in values], np.uint8),
        np.array([o is not None for o in object_ids], np.uint8),
        np.array([int.from_bytes(o[:8], "little") if o else 0 for o in object_ids], np.uint64),
        np.array([int.from_bytes(o[8:], "little") if o else 0 for o in object_ids], np.uint64),
        np.array([converter_address() if fields.formats.converts else 0], np.int64),
        conversion_for(fields.formats, slot_of[fields.time], slot_of[fields.amount]),
    )


@helper
def _text_is(data: Bytes, start: Int, length: Int, rules: Rules, i: Int) -> Bool:
    if length != rules.text_length[i]:
        return False
    at = rules.text_start[i]
    for k in range(length):
        if data[start + k] != rules.texts[at + k]:
            return False
    return True


@helper
def _filter_holds(slots: Slots, data: Bytes, scratch: Bytes, rules: Rules, i: Int) -> Bool:
    slot = rules.filter_slot[i]
    kind = slots.kind[slot]
    if kind == kinds.STRING:
        return _text_is(data, slots.start[slot], slots.length[slot], rules, i)
    if kind == kinds.UNESCAPED:
        return _text_is(scratch, slots.start[slot], slots.length[slot], rules, i)
    if kind == kinds.INTEGER:
        return rules.is_number[i] != 0 and slots.number[slot] == rules.number[i]
    if kind == kinds.DOUBLE or kind == kinds.DECIMAL:
        return rules.is_number[i] != 0 and slots.extra[slot] == 0 and slots.number[slot] == rules.number[i]
    if kind == kinds.BOOLEAN:
        return slots.number[slot] == rules.boolean[i]
    if kind == kinds.NULL:
        return rules.is_null[i] != 0
    if kind == kinds.OBJECT_ID:
        return (
            rules.is_object_id[i] != 0
            and np.uint64(slots.number[slot]) == rules.first[i]
            and np.uint64(slots.extra[slot]) == rules.second[i]
        )
    return False


@helper
def _reason_against(slots: Slots, slot: Int) -> Int:
    """The reason why the slot's value is no time or amount."""
    kind = slots.kind[slot]
    return slots.extra[slot] if kind == kinds.FAILED else kinds.reason_by_kind(kind)


@helper
def reason_of_merchant(slots: Slots, slot: Int) -> Int:
    """0, or the reason why the slot's value is no merchant. The merchant table checks that strings are UTF-8."""
    kind = slots.kind[slot]
    if kind == kinds.OBJECT_ID or kind == kinds.INTEGER:
        return 0
    if kind == kinds.STRING or kind == kinds.UNESCAPED:
        return why.EMPTY if slots.length[slot] == 0 else 0
    return kinds.reason_by_kind(kind)


@helper
def intern_merchant(slots: Slots, slot: Int, data: Bytes, scratch: Bytes, merchants: MerchantState) -> Int:
    """The code of the merchant in the slot, or `FULL`, or `NOT_TEXT`."""
    kind = slots.kind[slot]
    if kind == kinds.OBJECT_ID:
        return intern_object_id(merchants, np.uint64(slots.number[slot]), np.uint64(slots.extra[slot]))
    if kind == kinds.INTEGER:
        return intern_integer(merchants, slots.number[slot])
    if kind == kinds.STRING:
        return intern_string(merchants, data, slots.start[slot], slots.length[slot])
    return intern_string(merchants, scratch, slots.start[slot], slots.length[slot])


@helper
def classify(
    slots: Slots, data: Bytes, scratch: Bytes, rules: Rules, merchants: MerchantState
) -> tuple[Int, Int, Int, Int]:
    """Classify the document whose values are in `slots`: (result, merchant code, amount, instant).

    The result is a code of `jobs.decode.reasons`; the others are meaningful only if it is `COUNTED`.
    """
    for i in range(rules.filter_slot.size):
        if not _filter_holds(slots, data, scratch, rules, i):
            return why.FILTERED, 0, 0, 0
    time = rules.roles[0]
    if rules.converter[0] != 0:
        convert(
            rules.converter[0],
            slots.kind,
            slots.number,
            slots.extra,
            slots.start,
            slots.length,
            data,
            scratch,
            rules.conversion,
        )
    if slots.kind[time] != kinds.DATE:
        return why.FIELD_TIME * why.OUTCOME_BASE + _reason_against(slots, time), 0, 0, 0
    instant = slots.number[time]
    if instant < rules.bounds[0] or instant >= rules.bounds[1]:
        return why.FIELD_TIME * why.OUTCOME_BASE + why.OUT_OF_CALENDAR, 0, 0, 0
    if instant < rules.bounds[2] or instant >= rules.bounds[3]:
        return why.OUT_OF_RANGE, 0, 0, 0
    merchant = rules.roles[1]
    reason = reason_of_merchant(slots, merchant)
    if reason != 0:
        return why.FIELD_MERCHANT * why.OUTCOME_BASE + reason, 0, 0, 0
    code = intern_merchant(slots, merchant, data, scratch, merchants)
    if code == FULL:
        return why.NO_CAPACITY, 0, 0, 0
    if code == NOT_TEXT:
        return why.FIELD_MERCHANT * why.OUTCOME_BASE + why.NOT_UTF8, 0, 0, 0
    amount = rules.roles[2]
    kind = slots.kind[amount]
    if kind != kinds.INTEGER:
        if kind != kinds.DOUBLE and kind != kinds.DECIMAL:
            return why.FIELD_AMOUNT * why.OUTCOME_BASE + _reason_against(slots, amount), 0, 0, 0
        if slots.extra[amount] != 0:
            return why.FIELD_AMOUNT * why.OUTCOME_BASE + slots.extra[amount], 0, 0, 0
    return why.COUNTED, code, slots.number[amount], instant
