"""The cache of compiled kernels: located also in a read-only folder, and loaded without the compiler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, UserProvidedCacheLocator


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


class LoadedCache(FunctionCache):
    """The cached code of one function.

    Before it loads code, Numba imports everything that it can compile, which takes longer than importing Numba itself.
    The compiler does that when it is needed.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function for the argument types `sig`; None if there is none."""
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]
