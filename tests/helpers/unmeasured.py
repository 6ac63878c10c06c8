"""Processes that run what others run as well are left out of the measurement of coverage, which costs a third."""

from __future__ import annotations

import os
from collections.abc import Mapping


def unmeasured(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """`environment`, or this process's, as one has it that is not measured."""
    given = os.environ if environment is None else environment
    return {name: value for name, value in given.items() if not name.startswith("COVERAGE")}
