"""Where compiled kernels are looked for: also in a folder that cannot be written."""

from __future__ import annotations

from pathlib import Path

from numba.core.caching import UserProvidedCacheLocator


class KernelCache(UserProvidedCacheLocator):
    """The folder of ``numba.config.CACHE_DIR``, even where nothing can be added to it.

    Numba's own locator passes over a folder in which it cannot make a file. In a container with a read-only file system
    it would find no other, although everything was compiled when the image was built.
    """

    def ensure_cache_path(self) -> None:
        """Make the folder where it is missing.

        :raises OSError: it is missing and cannot be made.
        """
        try:
            super().ensure_cache_path()  # type: ignore[no-untyped-call]
        except OSError:
            if not Path(self._cache_path).is_dir():
                raise
