"""Dictionary encoding of merchants: a code for each distinct merchant, and the texts of all codes.

The text of a merchant is the 24 hex digits of an ObjectId, the string itself, or the decimal digits of an integer. The
table distinguishes 42 from "42", so that a run can report that it saw both; merging by text makes them one merchant.
"""

from __future__ import annotations

import secrets
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from core.errors import ServiceError
from jobs.decode.jit import Bool, Bytes, Int, Int32s, Int64s, Uint64s, helper, kernel, load_u64, outlined

KIND_OBJECT_ID: Final = 1
KIND_INTEGER: Final = 2
KIND_STRING: Final = 3

FULL: Final = -1
"""The table must grow before the merchant fits."""
NOT_TEXT: Final = -2
"""The bytes are not UTF-8."""

MAX_TEXT_BYTES: Final = 2**31 - 1
"""The offsets of texts have 32 bits."""

_LONGEST_NUMERAL: Final = 20
_EMPTY: Final = -1


class MerchantState(NamedTuple):
    """The table as arrays for the kernels.

    ``buckets`` (codes; -1: empty; its size is a power of two, twice the capacity) is a hash table with linear probing.
    ``kind``, ``first``, ``second`` hold the key by code: the words of an ObjectId, the integer, or the hash and length
    of a string, whose bytes are in ``text`` from ``offsets[code]`` to ``offsets[code + 1]``. ``size[0]`` is the number
    of codes, ``size[1]`` the length of the last text whose capacity was checked.
    """

    buckets: Int32s
    kind: Bytes
    first: Uint64s
    second: Uint64s
    offsets: Int32s
    text: Bytes
    size: Int64s
    seed: Uint64s


_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_FINISH: Final = np.uint64(0xFF51AFD7ED558CCD)
_HIGH_HALF: Final = np.uint64(32)


@helper
def _mix(hash_: np.uint64, word: np.uint64) -> np.uint64:
    hash_ = (hash_ ^ word) * _MIX
    hash_ ^= hash_ >> _HIGH_HALF
    return hash_


@helper
def _hash_bytes(data: Bytes, start: Int, length: Int, seed: np.uint64) -> np.uint64:
    hash_ = _mix(seed, np.uint64(length))
    whole = length & ~7
    for i in range(0, whole, 8):
        hash_ = _mix(hash_, load_u64(data, start + i))
    if whole < length:
        tail = load_u64(data, start + whole) & ((np.uint64(1) << np.uint64(8 * (length - whole))) - np.uint64(1))
        hash_ = _mix(hash_, tail)
    return hash_ * _FINISH


@outlined
def _is_utf8(data: Bytes, start: Int, end: Int) -> Bool:
    """Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7)."""
    at = start
    while at < end:
        lead = np.int64(data[at])
        at += 1
        if lead < 0x80:
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= lead <= 0xDF:
            following = 1
        elif 0xE0 <= lead <= 0xEF:
            following = 2
            low = 0xA0 if lead == 0xE0 else 0x80
            high = 0x9F if lead == 0xED else 0xBF
        elif 0xF0 <= lead <= 0xF4:
            following = 3
            low = 0x90 if lead == 0xF0 else 0x80
            high = 0x8F if lead == 0xF4 else 0xBF
        else:
            return False
        if at + following > end:
            return False
        for _ in range(following):
            byte = np.int64(data[at])
            if byte < low or byte > high:
                return False
            low, high = 0x80, 0xBF
            at += 1
    return True


@helper
def _has_capacity(state: MerchantState, text_length: Int) -> Bool:
    size = state.size[0]
    state.size[1] = text_length
    return size + 1 < state.kind.size and np.int64(state.offsets[size]) + text_length <= state.text.size


@helper
def _append(
    state: MerchantState, bucket: np.uint64, kind: Int, first: np.uint64, second: np.uint64, length: Int
) -> Int:
    code = state.size[0]
    state.buckets[bucket] = code
    state.kind[code] = kind
    state.first[code] = first
    state.second[code] = second
    state.offsets[code + 1] = state.offsets[code] + length
    state.size[0] = code + 1
    return code


@helper
def _find(
    state: MerchantState, hash_: np.uint64, kind: Int, first: np.uint64, second: np.uint64
) -> tuple[Int, np.uint64]:
    """(The code of a key of fixed size or -1, the bucket where the search ended)."""
    mask = np.uint64(state.buckets.size - 1)
    bucket = hash_ & mask
    while True:
        code = np.int64(state.buckets[bucket])
        if code == _EMPTY or (state.first[code] == first and state.second[code] == second and state.kind[code] == kind):
            return code, bucket
        bucket = (bucket + np.uint64(1)) & mask


@helper
def intern_object_id(state: MerchantState, first: np.uint64, second: np.uint64) -> Int:
    """The code of an ObjectId of 12 bytes (8 in `first`, 4 in `second`, little-endian), or `FULL`."""
    hash_ = _mix(_mix(state.seed[0], first), second)
    code, bucket = _find(state, hash_, np.int64(KIND_OBJECT_ID), first, second)
    if code != _EMPTY:
        return code
    if not _has_capacity(state, np.int64(24)):
        return FULL
    at = np.int64(state.offsets[state.size[0]])
    for i in range(12):
        word = first if i < 8 else second
        byte = np.int64((word >> np.uint64(8 * (i & 7))) & np.uint64(0xFF))
        for nibble in (byte >> 4, byte & 15):
            state.text[at] = nibble + (0x30 if nibble < 10 else 0x57)
            at += 1
    return _append(state, bucket, np.int64(KIND_OBJECT_ID), first, second, np.int64(24))


@outlined
def intern_integer(state: MerchantState, value: Int) -> Int:
    """The code of an integer, or `FULL`."""
    first = np.uint64(value)
    hash_ = _mix(_mix(state.seed[0], first), np.uint64(KIND_INTEGER))
    code, bucket = _find(state, hash_, np.int64(KIND_INTEGER), first, np.uint64(0))
    if code != _EMPTY:
        return code
    if not _has_capacity(state, np.int64(_LONGEST_NUMERAL)):
        return FULL
    start = np.int64(state.offsets[state.size[0]])
    magnitude = np.uint64(value) if value >= 0 else np.uint64(0) - np.uint64(value)
    length = 0
    rest = magnitude
    while rest != np.uint64(0) or length == 0:
        rest //= np.uint64(10)
        length += 1
    if value < 0:
        state.text[start] = 0x2D
        length += 1
    at = start + length
    rest = magnitude
    while True:
        at -= 1
        state.text[at] = np.uint8(np.uint64(0x30) + rest % np.uint64(10))
        rest //= np.uint64(10)
        if rest == np.uint64(0):
            break
    return _append(state, bucket, np.int64(KIND_INTEGER), first, np.uint64(0), length)


@outlined
def intern_string(state: MerchantState, data: Bytes, start: Int, length: Int) -> Int:
    """The code of the string of `length` bytes at `start`, or `FULL`, or `NOT_TEXT`."""
    hash_ = _hash_bytes(data, start, length, state.seed[0])
    mask = np.uint64(state.buckets.size - 1)
    bucket = hash_ & mask
    while True:
        code = np.int64(state.buckets[bucket])
        if code == _EMPTY:
            break
        if state.kind[code] == KIND_STRING and state.first[code] == hash_ and state.second[code] == np.uint64(length):
            at = np.int64(state.offsets[code])
            same = True
            for i in range(length):
                if state.text[at + i] != data[start + i]:
                    same = False
                    break
            if same:
                return code
        bucket = (bucket + np.uint64(1)) & mask
    if not _is_utf8(data, start, start + length):
        return NOT_TEXT
    if not _has_capacity(state, length):
        return FULL
    at = np.int64(state.offsets[state.size[0]])
    for i in range(length):
        state.text[at + i] = data[start + i]
    return _append(state, bucket, np.int64(KIND_STRING), hash_, np.uint64(length), length)


@kernel
def _rehash(state: MerchantState) -> None:
    mask = np.uint64(state.buckets.size - 1)
    for code in range(state.size[0]):
        kind = state.kind[code]
        if kind == KIND_OBJECT_ID:
            hash_ = _mix(_mix(state.seed[0], state.first[code]), state.second[code])
        elif kind == KIND_INTEGER:
            hash_ = _mix(_mix(state.seed[0], state.first[code]), np.uint64(KIND_INTEGER))
        else:
            hash_ = state.first[code]
        bucket = hash_ & mask
        while state.buckets[bucket] != _EMPTY:
            bucket = (bucket + np.uint64(1)) & mask
        state.buckets[bucket] = code


class MerchantTable:
    """The merchants that one worker has seen; belongs to one thread.

    Codes are 0, 1, 2, … in the order of first occurrence and never change, so that batches of a worker share them.
    """

    def __init__(self) -> None:
        self.state = MerchantState(
            np.full(1024, _EMPTY, np.int32),
            np.zeros(512, np.uint8),
            np.zeros(512, np.uint64),
            np.zeros(512, np.uint64),
            np.zeros(513, np.int32),
            np.zeros(16_384, np.uint8),
            np.zeros(2, np.int64),
            np.array([secrets.randbits(64)], np.uint64),
        )

    def __len__(self) -> int:
        return int(self.state.size[0])

    def grow(self) -> None:
        """Double the capacity for codes, for text, or for both, so that the merchant that did not fit has space.

        :raises ServiceError: the texts of all merchants together would exceed `MAX_TEXT_BYTES`.
        """
        size = len(self)
        used = int(self.state.offsets[size])
        needed = used + int(self.state.size[1])
        if needed > MAX_TEXT_BYTES:
            raise ServiceError(
                "the ids of all merchants together are longer than 2 GiB", "Check that --merchant-field is right."
            )

        def longer(array: Any, filled: int, count: int) -> Any:
            grown = np.zeros(count, array.dtype)
            grown[:filled] = array[:filled]
            return grown

        if needed > self.state.text.size:
            text_size = min(max(2 * self.state.text.size, needed), MAX_TEXT_BYTES)
            self.state = self.state._replace(text=longer(self.state.text, used, text_size))
        old = self.state
        capacity = old.kind.size
        if size + 1 >= capacity:
            self.state = old._replace(
                buckets=np.full(2 * old.buckets.size, _EMPTY, np.int32),
                kind=longer(old.kind, size, 2 * capacity),
                first=longer(old.first, size, 2 * capacity),
                second=longer(old.second, size, 2 * capacity),
                offsets=longer(old.offsets, size + 1, 2 * capacity + 1),
            )
            _rehash(self.state)

    def texts(self) -> list[str]:
        """The text of each code so far."""
        offsets = self.state.offsets[: len(self) + 1].tolist()
        content = self.state.text[: offsets[-1]].tobytes()
        if content.isascii():
            text = content.decode()
            return [text[start:end] for start, end in pairwise(offsets)]
        return [content[start:end].decode() for start, end in pairwise(offsets)]

    def kinds(self) -> Bytes:
        """The kind of each code so far: `KIND_OBJECT_ID`, `KIND_INTEGER` or `KIND_STRING`."""
        return self.state.kind[: len(self)]
