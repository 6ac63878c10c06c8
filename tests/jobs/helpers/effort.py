"""How much to try: property tests are thorough with compiled kernels and small where every step is Python."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

COMPILED: Final = os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"
"""Whether the kernels run compiled; if not, they are some thousand times slower."""

CHECKED: Final = os.environ.get("NUMBA_BOUNDSCHECK", "0") != "0"
"""Whether the compiled kernels check every index."""


def tries(compiled: int, uncompiled: int | None = None) -> settings:
    """Settings for a property test of `compiled` examples; a fraction of that where the kernels are slow."""
    few = max(5, compiled // 15) if uncompiled is None else uncompiled
    count = compiled if COMPILED and not CHECKED else max(few, compiled // 3) if COMPILED else few
    return settings(
        max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
