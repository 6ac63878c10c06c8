"""The baselines, which every program must exceed: only reading the bytes, or only decompressing them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from isal import igzip

from bench.programs import Totals

_BUFFER_BYTES: Final = 1024 * 1024
_open_gzip: Any = igzip.open


def read(path: Path) -> Totals:
    """Read every byte into one buffer, over and over."""
    buffer = bytearray(_BUFFER_BYTES)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return tuple


def decompress(path: Path) -> Totals:
    """Decompress with the library that this program uses."""
    buffer = bytearray(_BUFFER_BYTES)
    with _open_gzip(path, "rb") as file:
        while file.readinto(buffer):
            pass
    return tuple
