"""Random damage to bytes."""

from __future__ import annotations

import random


def changed(content: bytes, chance: random.Random) -> bytes:
    """`content` with a few bytes replaced, removed, duplicated or truncated."""
    raw = bytearray(content)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(raw)) if raw else 0
        match chance.randrange(5):
            case 0:
                raw[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del raw[at : at + chance.randrange(1, 9)]
            case 2:
                raw[at:at] = raw[at : at + chance.randrange(1, 9)]
            case 3:
                raw[at : at + 1] = chance.choice([b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"\n", b"\0", b"\xff"])
            case 4:
                raw[at : at + 4] = chance.choice([b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xff\xff\xff\xff", b"\4\0\0\0"])
    return bytes(raw)
