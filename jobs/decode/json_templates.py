"""Templates of JSON documents: the structure that documents of a collection share, and the positions of their values.

A template is the text of a walked document, cut at its variable values: the content of strings, and bare numbers. A
text that equals the pieces between them, with a string or number in each gap, has the same structure, so its values are
known without a walk.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.decode.jit import Bool, Bytes, Int, Int64s, differing_bits, helper, load_u64, outlined, string_marks
from jobs.decode.json_grammar import COLON, MINUS, QUOTE, end_of_number, end_of_string, failed, next_mark, skip_space
from jobs.decode.json_values import (
    LAST_OF_TEXT,
    READ_DATE,
    READ_DOUBLE,
    READ_INTEGER,
    READ_NOTHING,
    READ_OBJECT_ID,
    Found,
    read_constant,
    read_date,
    read_object_id,
    read_text,
    set_number,
)
from jobs.decode.numbers import leading_digits, number_of_digits
from jobs.decode.slots import Slots

_TEMPLATES: Final = 4
_PIECES: Final = 80
_PIECE_BYTES: Final = 32
_NO_SLOT: Final = -1
_SEVERAL: Final = -2
_ZERO: Final = 0x30

_LENGTH: Final = 0
_MASK: Final = 1
_GAP: Final = 2
_READER: Final = 3
_SLOT: Final = 4
_SIZE: Final = 5

_NO_GAP: Final = 0
_STRING: Final = 1
_NUMBER: Final = 2
_CONSTANT: Final = 3

_HITS: Final = 0
_MISSES: Final = 1
_NEXT: Final = 2


class JsonTemplates(NamedTuple):
    """Recorded structures, one per row.

    Template t has ``piece_count[t]`` pieces (0: no template). Piece i is up to 32 bytes of ``text`` at 32 * i. Its row
    of ``pieces`` has their number (`_LENGTH`), a bit for each of them (`_MASK`), the kind of the value after it
    (`_GAP`), the value's reader (`jobs.decode.json_values`) and slot, and the length of the last string (`_SIZE`).
    ``counts`` has hits and misses: while most documents miss, no templates are learned.
    """

    piece_count: Int64s
    pieces: Int64s
    text: Bytes
    counts: Int64s


def new_json_templates() -> JsonTemplates:
    """Empty templates."""
    return JsonTemplates(
        np.zeros(_TEMPLATES, np.int64),
        np.zeros((_TEMPLATES, _PIECES, 6), np.int64),
        np.zeros((_TEMPLATES, _PIECES * _PIECE_BYTES), np.uint8),
        np.zeros(3, np.int64),
    )


@helper
def _match(data: Bytes, at: Int, end: Int, t: Int, templates: JsonTemplates, slots: Slots, day: Int64s) -> Int:
    """Read the values of the document at `at` by template `t`; the position after it, or -1 if it does not match."""
    # `end` is compared last: no piece and no value has zero bytes, and `PADDING` of them end the buffer.
    text = templates.text[t]
    for i in range(templates.piece_count[t]):
        piece = templates.pieces[t, i]
        if differing_bits(data, at, text, _PIECE_BYTES * i) & np.uint64(piece[_MASK]) != np.uint64(0):
            return -1
        at += piece[_LENGTH]
        gap = piece[_GAP]
        reader = piece[_READER]
        slot = piece[_SLOT]
        if gap == _STRING:
            # A predicted length lets the processor compare the next piece before it has found the end of the string.
            size = piece[_SIZE]
            mark = np.uint64(1) << np.uint64(size)
            after = at + size
            if string_marks(data, at) & (mark ^ (mark - np.uint64(1))) != mark:
                after = next_mark(data, at, end)
                if after == end:
                    return -1
                piece[_SIZE] = min(after - at, _PIECE_BYTES)
            if reader == READ_OBJECT_ID:
                read_object_id(data, at, after, slot, slots)
            elif reader == READ_DATE:
                read_date(data, at, after, slot, slots, day)
            elif reader != READ_NOTHING:
                read_text(data, at, after, reader, slot, slots, day)
            at = after
        elif gap == _NUMBER:
            word = load_u64(data, at)
            digits = leading_digits(word)
            after, integer = at + digits, True
            ends = data[after] == text[_PIECE_BYTES * (i + 1)]
            short = ends and 0 < digits < 8 and (digits == 1 or data[at] != _ZERO)
            if not short:
                if digits == 0 and data[at] != MINUS:
                    return -1
                after, integer = end_of_number(data, at, end)
                if after < 0:
                    return -1
            if reader == READ_INTEGER or reader == READ_DOUBLE:
                # A bare number may be an integer in one document and a double in the next.
                reader = READ_INTEGER if integer else READ_DOUBLE
            if short and reader == READ_INTEGER:
                set_number(number_of_digits(word << np.uint64(64 - 8 * digits)), slot, slots)
            elif reader != READ_NOTHING:
                read_text(data, at, after, reader, slot, slots, day)
            at = after
        elif gap == _CONSTANT:
            read_constant(reader, slot, slots)
    return at if at <= end else -1


@helper
def match_template(data: Bytes, at: Int, end: Int, templates: JsonTemplates, slots: Slots, day: Int64s) -> Int:
    """Read the values of the document at `at` by any template; the position after it, or -1 if none matches.

    :param day: see `jobs.decode.numbers.instant_of_similar_text`.
    """
    for t in range(_TEMPLATES):
        if templates.piece_count[t] != 0:
            after = _match(data, at, end, t, templates, slots, day)
            if after >= 0:
                templates.counts[_HITS] += 1
                return after
    return -1


@helper
def _add_piece(
    data: Bytes, start: Int, end: Int, gap: Int, reader: Int, slot: Int, t: Int, templates: JsonTemplates
) -> Bool:
    """Add the text from `start` to `end`, which `gap` follows, to a template; whether it has capacity."""
    while True:
        i = templates.piece_count[t]
        if i == _PIECES:
            return False
        length = min(end - start, _PIECE_BYTES)
        for k in range(length):
            templates.text[t, _PIECE_BYTES * i + k] = data[start + k]
        start += length
        piece = templates.pieces[t, i]
        piece[_LENGTH] = length
        piece[_MASK] = (1 << length) - 1
        piece[_GAP] = gap if start == end else _NO_GAP
        piece[_READER] = reader
        piece[_SLOT] = slot
        piece[_SIZE] = 0
        templates.piece_count[t] = i + 1
        if start == end:
            return True


@helper
def _slot_at(found: Found, at: Int) -> Int:
    """The slot of the text at `at`, `_NO_SLOT`, or `_SEVERAL`, as for ``a`` and ``a.$oid``."""
    of_text: Int = np.int64(_NO_SLOT)
    for slot in range(found.reader.size):
        reader = found.reader[slot]
        if reader != READ_NOTHING and reader <= LAST_OF_TEXT and found.at[slot] == at:
            of_text = slot if of_text == _NO_SLOT else _SEVERAL
    return of_text


@helper
def _next_gap(data: Bytes, at: Int, end: Int) -> tuple[Int, Int, Bool]:
    """The next variable value of a valid document: (its start, its end, whether it is a string).

    The start is the end of the document if there is none, or a failure if a string has escapes: templates have none.
    """
    while at < end:
        c = data[at]
        if c == QUOTE:
            after, escaped = end_of_string(data, at + 1, end)
            if escaped or after < 0:
                return failed(at), end, True
            following = skip_space(data, after, end, False)
            if following >= end or data[following] != COLON:
                return at + 1, after - 1, True
            at = after
        elif c == MINUS or 0x30 <= c <= 0x39:
            after, _ = end_of_number(data, at, end)
            return (at if after >= 0 else after), after, False
        else:
            at += 1
    return end, end, False


@helper
def _cut(data: Bytes, start: Int, end: Int, t: Int, templates: JsonTemplates, found: Found) -> Bool:
    """Make an empty template of the walked document from `start` to `end`; whether that is possible."""
    at = start
    after: Int = start
    gap: Int = start
    is_string: Bool = False
    while gap < end:
        gap, after, is_string = _next_gap(data, after + 1 if is_string else after, end)
        if gap < 0:
            return False
        slot = _slot_at(found, gap)
        reader: Int = found.reader[slot] if slot >= 0 else READ_NOTHING
        kind = _NO_GAP if gap == end else _STRING if is_string else _NUMBER
        if slot == _SEVERAL or not _add_piece(data, at, gap, kind, reader, slot, t, templates):
            return False
        at = after
    for slot in range(found.reader.size):
        reader = found.reader[slot]
        if reader == READ_NOTHING or reader > LAST_OF_TEXT:
            if not _add_piece(data, end, end, np.int64(_CONSTANT), reader, slot, t, templates):
                return False
    return True


@outlined
def learn_template(data: Bytes, start: Int, end: Int, templates: JsonTemplates, found: Found) -> None:
    """Record a template of the walked document from `start` to `end`, if possible."""
    templates.counts[_MISSES] += 1
    if templates.counts[_MISSES] > 2 * templates.counts[_HITS] + 64:
        return
    t = templates.counts[_NEXT]
    templates.counts[_NEXT] = (t + 1) % _TEMPLATES
    templates.piece_count[t] = 0
    if not _cut(data, start, end, t, templates, found):
        templates.piece_count[t] = 0
