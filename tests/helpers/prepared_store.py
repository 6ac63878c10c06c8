"""New SQLite stores, copied from one that was created before, which takes a fifth of the time."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from core.stores import Stores, open_stores

_SQLITE: Final = "sqlite:///"


def open_prepared(store_url: str, **options: Any) -> Stores:
    """Like `open_stores`; a missing SQLite store is copied."""
    path = Path(store_url.removeprefix(_SQLITE))
    if store_url.startswith(_SQLITE) and not path.exists():
        path.write_bytes(_new_store())
    return open_stores(store_url, **options)


@cache
def _new_store() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        open_stores(f"{_SQLITE}{path}", timeout_s=10).close()
        return path.read_bytes()
