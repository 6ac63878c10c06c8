"""Number of cases: enough to find a fault within a few runs, or with ``make test THOROUGH=1`` within one."""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

COMPILED: Final = os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"
"""Whether the kernels run compiled; if not, they are some thousand times slower."""

THOROUGH: Final = os.environ.get("THOROUGH", "") not in ("", "0")
"""Whether tests are exhaustive: property tests draw more examples, and kill tests try each step."""

CHECKED: Final = os.environ.get("NUMBA_BOUNDSCHECK", "0") != "0"
"""Whether the compiled kernels check every index."""

MONGODB_IF_THOROUGH: Final = pytest.mark.parametrize(
    "store_url", ["sqlite", pytest.param("mongo", marks=pytest.mark.thorough)], indirect=True
)
"""For what takes many seconds on MongoDB, as walks of kills do: that of test_kills.py always runs there."""


def tries(compiled: int, uncompiled: int | None = None) -> settings:
    """Settings for a property test.

    :param compiled: how many examples a thorough run draws; any other a fifth, and with checked indexes a tenth.
    :param uncompiled: how many a thorough run draws where every step of the kernels is Python; any other a half.
    """
    few = max(5, compiled // 15) if uncompiled is None else uncompiled
    few = few if THOROUGH else max(3, few // 2)
    part = 1 if THOROUGH else 5
    if CHECKED:
        part = 3 if THOROUGH else 10
    return settings(
        max_examples=max(5, compiled // part) if COMPILED else few,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
