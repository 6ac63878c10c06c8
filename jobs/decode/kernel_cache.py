"""Locates the cache of compiled kernels, also in a read-only folder."""

from __future__ import annotations

from pathlib import Path

from numba.core.caching import UserProvidedCacheLocator


class KernelCache(UserProvidedCacheLocator):
    """The folder ``numba.config.CACHE_DIR``, even if it is read-only.

    Numba's own locator skips a folder without write permission. In a container with a read-only file system it would
    find none, although everything was compiled when the image was built.
    """

    def ensure_cache_path(self) -> None:
        """Create the folder if it is missing.

        :raises OSError: it is missing and cannot be created.
        """
        try:
            super().ensure_cache_path()  # type: ignore[no-untyped-call]
        except OSError:
            if not Path(self._cache_path).is_dir():
                raise
