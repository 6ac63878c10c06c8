"""Excludes processes that run the same lines as others from the coverage measurement, which costs a third."""

from __future__ import annotations

import os
from collections.abc import Mapping


def unmeasured(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """`environment`, or that of this process, for a process without coverage measurement."""
    given = os.environ if environment is None else environment
    return {name: value for name, value in given.items() if not name.startswith("COVERAGE")}
