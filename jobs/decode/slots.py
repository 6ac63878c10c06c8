"""The values of a document's wanted fields, independent of the source format.

A *slot* is the value of one wanted field path of the current document. The decoders fill the slots;
`jobs.decode.classify` reads them.
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
"""``number`` is the value if ``extra`` is 0, else ``extra`` is the reason why it is no integer.

The source of a fraction is in the chunk at ``start`` or, if that is negative, in the scratch buffer at -1 - ``start``:
a double if ``length`` is `BITS_64`, a decimal128 if it is `BITS_128`, else ``length`` bytes of text."""
DECIMAL: Final = 3
"""As DOUBLE."""
STRING: Final = 4
"""``length`` bytes of UTF-8 at ``start`` in the chunk."""
UNESCAPED: Final = 5
"""``length`` bytes of UTF-8 at ``start`` in the scratch buffer."""
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
"""An invalid value of a valid type, such as month 13 or a non-canonical decimal."""
FAILED: Final = 12
"""A value that could not be converted; ``extra`` is the reason."""

BITS_64: Final = -8
BITS_128: Final = -16


class Slots(NamedTuple):
    """The slots of one document; each array has one element per wanted field path."""

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
    """The reason why a value of this kind is no time, merchant or amount."""
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
