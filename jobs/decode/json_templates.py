"""Templates of JSON documents: the structure that documents of a collection share, and the positions of their values.

A template is the text of a walked document, cut at its variable values: the content of strings, and bare numbers. A
text that equals the pieces between them, with a string or number in each gap, has the same structure, so its values are
known without a walk.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.decode.jit import PADDING, Bool, Bytes, Int, Int64s, differing_bits, helper, outlined
from jobs.decode.json_grammar import COLON, MINUS, QUOTE, end_of_number, end_of_string, failed, next_mark, skip_space
from jobs.decode.json_values import LAST_OF_TEXT, READ_DOUBLE, READ_INTEGER, READ_NOTHING, Found

_TEMPLATES: Final = 4
_GAPS: Final = 48
_TEXT_BYTES: Final = 1024
_NO_SLOT: Final = -1

_HITS: Final = 0
_MISSES: Final = 1
_NEXT: Final = 2


class JsonTemplates(NamedTuple):
    """Recorded structures, one per row.

    Piece i of a template is ``length[i]`` bytes of ``text`` from ``start[i]``; a gap follows each but the last of its
    ``pieces`` (0: no template). ``is_string`` says whether a string or a number fills a gap, ``slot`` for which slot,
    if any. ``reader`` is that of each slot (`jobs.decode.json_values`). ``counts`` has hits and misses: while most
    documents miss, no templates are learned.
    """

    pieces: Int64s
    start: Int64s
    length: Int64s
    text: Bytes
    is_string: Bytes
    slot: Int64s
    reader: Bytes
    counts: Int64s


def new_json_templates(slot_count: int) -> JsonTemplates:
    """Empty templates for `slot_count` slots."""
    return JsonTemplates(
        np.zeros(_TEMPLATES, np.int64),
        np.zeros((_TEMPLATES, _GAPS + 1), np.int64),
        np.zeros((_TEMPLATES, _GAPS + 1), np.int64),
        np.zeros((_TEMPLATES, _TEXT_BYTES + PADDING), np.uint8),
        np.zeros((_TEMPLATES, _GAPS), np.uint8),
        np.zeros((_TEMPLATES, _GAPS), np.int64),
        np.zeros((_TEMPLATES, slot_count), np.uint8),
        np.zeros(3, np.int64),
    )


@helper
def _same(data: Bytes, at: Int, text: Bytes, start: Int, length: Int) -> Bool:
    whole = length & ~31
    for i in range(0, whole, 32):
        if differing_bits(data, at + i, text, start + i) != np.uint64(0):
            return False
    rest = (np.uint64(1) << np.uint64(length - whole)) - np.uint64(1)
    return differing_bits(data, at + whole, text, start + whole) & rest == np.uint64(0)


@helper
def _match(data: Bytes, at: Int, end: Int, t: Int, templates: JsonTemplates, found: Found) -> Int:
    """Find the values of the document at `at` by template `t`; the position after it, or -1 if it does not match."""
    text = templates.text[t]
    last = templates.pieces[t] - 1
    for piece in range(last + 1):
        length = templates.length[t, piece]
        if length > end - at or not _same(data, at, text, templates.start[t, piece], length):
            return -1
        at += length
        if piece == last:
            break
        slot = templates.slot[t, piece]
        reader = READ_NOTHING
        if templates.is_string[t, piece] != 0:
            after = next_mark(data, at, end)
            if after == end or data[after] != QUOTE:
                return -1
        else:
            c = data[at]
            if c != MINUS and not 0x30 <= c <= 0x39:
                return -1
            after, integer = end_of_number(data, at, end)
            if after < 0:
                return -1
            reader = READ_INTEGER if integer else READ_DOUBLE
        if slot != _NO_SLOT:
            found.at[slot] = at
            found.length[slot] = after - at
            known = templates.reader[t, slot]
            # A bare number may be an integer in one document and a double in the next.
            found.reader[slot] = reader if known == READ_INTEGER or known == READ_DOUBLE else known
        at = after
    for slot in range(found.reader.size):
        known = templates.reader[t, slot]
        if known > LAST_OF_TEXT or known == READ_NOTHING:
            found.reader[slot] = known
    return at


@helper
def match_template(data: Bytes, at: Int, end: Int, templates: JsonTemplates, found: Found) -> Int:
    """Find the values of the document at `at` by any template; the position after it, or -1 if none matches."""
    for t in range(_TEMPLATES):
        if templates.pieces[t] != 0:
            after = _match(data, at, end, t, templates, found)
            if after >= 0:
                templates.counts[_HITS] += 1
                return after
    return -1


@helper
def _add_piece(data: Bytes, start: Int, end: Int, t: Int, piece: Int, used: Int, templates: JsonTemplates) -> Int:
    """Add the text from `start` to `end` as a piece; the used length of the template's text, or a failure."""
    length = end - start
    if used + length > _TEXT_BYTES:
        return failed(start)
    for i in range(length):
        templates.text[t, used + i] = data[start + i]
    templates.start[t, piece] = used
    templates.length[t, piece] = length
    return used + length


@helper
def _slot_at(found: Found, at: Int) -> Int:
    for slot in range(found.reader.size):
        reader = found.reader[slot]
        if reader != READ_NOTHING and reader <= LAST_OF_TEXT and found.at[slot] == at:
            return slot
    return _NO_SLOT


@helper
def _share_a_value(found: Found) -> Bool:
    """Whether one text is the value of two slots, as for ``a`` and ``a.$oid``; a gap fills one slot only."""
    for slot in range(found.reader.size):
        if found.reader[slot] != READ_NOTHING and found.reader[slot] <= LAST_OF_TEXT:
            for other in range(slot):
                if found.reader[other] != READ_NOTHING and found.reader[other] <= LAST_OF_TEXT:
                    if found.at[other] == found.at[slot]:
                        return True
    return False


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


@outlined
def learn_template(data: Bytes, start: Int, end: Int, templates: JsonTemplates, found: Found) -> None:
    """Record a template of the walked document from `start` to `end`, if possible."""
    templates.counts[_MISSES] += 1
    if templates.counts[_MISSES] > 2 * templates.counts[_HITS] + 64:
        return
    t = templates.counts[_NEXT]
    templates.counts[_NEXT] = (t + 1) % _TEMPLATES
    templates.pieces[t] = 0
    if _share_a_value(found):
        return
    used: Int = np.int64(0)
    at = start
    for piece in range(_GAPS + 1):
        gap, after, is_string = _next_gap(data, at + 1 if piece > 0 and data[at] == QUOTE else at, end)
        if gap < 0:
            return
        used = _add_piece(data, at, gap, t, piece, used, templates)
        if used < 0:
            return
        if gap == end:
            for slot in range(found.reader.size):
                templates.reader[t, slot] = found.reader[slot]
            templates.pieces[t] = piece + 1
            return
        if piece == _GAPS:
            return
        templates.is_string[t, piece] = 1 if is_string else 0
        templates.slot[t, piece] = _slot_at(found, gap)
        at = after
