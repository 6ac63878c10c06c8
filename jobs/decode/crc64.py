"""CRC-64 as mongodump archives use it: ECMA-182 polynomial, reflected, all ones before and after (CRC-64/XZ)."""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.decode.jit import Bytes, Int, Uint64s, kernel, load_u64

_POLYNOMIAL: Final = 0xC96C5795D7870F42
_BYTE: Final = np.uint64(0xFF)


def _tables() -> Uint64s:
    """Table k says what a byte does to the checksum after k more bytes (slicing by eight)."""
    tables = np.zeros((8, 256), np.uint64)
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        tables[0, byte] = value
    for k in range(1, 8):
        for byte in range(256):
            value = int(tables[k - 1, byte])
            tables[k, byte] = value >> 8 ^ int(tables[0, value & 0xFF])
    return tables


_TABLES: Final = _tables()


@kernel
def crc64(checksum: Int, data: Bytes, start: Int, end: Int) -> Int:
    """The checksum of what `checksum` covers (0 for nothing) followed by the bytes from `start` to `end`.

    :returns: the checksum as a signed 64-bit integer, the form in which archives hold it.
    """
    crc = ~np.uint64(checksum)
    at = start
    while end - at >= 8:
        word = load_u64(data, at) ^ crc
        crc = np.uint64(0)
        for k in range(8):
            crc ^= _TABLES[7 - k, (word >> np.uint64(8 * k)) & _BYTE]
        at += 8
    while at < end:
        crc = (crc >> np.uint64(8)) ^ _TABLES[0, (crc ^ np.uint64(data[at])) & _BYTE]
        at += 1
    return np.int64(~crc)
