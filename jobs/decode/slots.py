"""What a document's wanted fields hold, in a form that no longer depends on the format it was read from.

A *slot* is the value of one wanted field path of the current document. Walkers (BSON, JSON, CSV) fill the slots, the
judge reads them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.decode.jit import Bytes, Int64s

MISSING: Final = 0
INTEGER: Final = 1
"""``number`` is the value."""
DOUBLE: Final = 2
"""``number`` is the value where ``extra`` is 0, else ``extra`` is the reason why it is no amount."""
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
