"""What a document's wanted fields hold, in a form that no longer depends on the format it was read from.

A *slot* is the value of one wanted field path of the current document. Walkers (BSON, JSON, CSV) fill the slots, the
judge reads them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.decode import reasons as why
from jobs.decode.jit import Bytes, Int, Int64s, helper

MISSING: Final = 0
INTEGER: Final = 1
"""``number`` is the value."""
DOUBLE: Final = 2
"""``number`` is the value where ``extra`` is 0, else ``extra`` is the reason why it is no integer.

Of a fraction, what was read stands in the chunk at ``start``, or, where that is negative, at -1 - ``start`` in the
scratch buffer: a double where ``length`` is `BITS_64`, a decimal128 where it is `BITS_128`, else ``length`` bytes of
text."""
DECIMAL: Final = 3
"""As DOUBLE."""
STRING: Final = 4
"""UTF-8 bytes at ``start``, ``length`` of them, in the chunk."""
UNESCAPED: Final = 5
"""UTF-8 bytes at ``start``, ``length`` of them, in the scratch buffer."""
OBJECT_ID: Final = 6
"""``number`` holds the first 8 bytes, ``extra`` the last 4, both little-endian."""
BOOLEAN: Final = 7
"""``number`` is 0 or 1."""
NULL: Final = 8
DATE: Final = 9
"""``number`` is the instant, milliseconds since 1970 UTC."""
OTHER: Final = 10
"""A value of any other type."""
UNREADABLE: Final = 11
"""A value of a fitting type that says nothing sensible, such as month 13 or a non-canonical decimal."""
FAILED: Final = 12
"""A value that could not be converted; ``extra`` is the reason."""

BITS_64: Final = -8
BITS_128: Final = -16


class Slots(NamedTuple):
    """The slots of one document; every array has one element a wanted field path."""

    kind: Bytes
    number: Int64s
    extra: Int64s
    start: Int64s
    length: Int64s


def new_slots(count: int) -> Slots:
    """Slots for `count` field paths, all missing."""
    return Slots(
        np.zeros(count, np.uint8),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
    )


@helper
def reason_by_kind(kind: Int) -> Int:
    """Why a value of this kind is no time, merchant or amount."""
    if kind == MISSING:
        return why.MISSING_VALUE
    if kind == NULL:
        return why.NULL_VALUE
    if kind == BOOLEAN:
        return why.BOOLEAN_VALUE
    if kind == STRING or kind == UNESCAPED:
        return why.TEXT
    if kind == UNREADABLE:
        return why.UNREADABLE_VALUE
    return why.WRONG_TYPE
