"""How often a second a disk makes a small write durable: what bounds every store that promises durability."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_WRITTEN: Final = bytes(4096)


def syncs_per_s(folder: Path, seconds: float) -> float:
    """How often a second a file in `folder` takes another 4 KiB and ``fdatasync``."""
    path = folder / "syncs"
    done = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        began = time.perf_counter()
        while (took := time.perf_counter() - began) < seconds:
            os.write(descriptor, _WRITTEN)
            os.fdatasync(descriptor)
            done += 1
    finally:
        os.close(descriptor)
        path.unlink()
    return done / took
