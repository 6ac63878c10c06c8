"""Skips tests on a machine that lacks a program."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip, or under ``CI=true`` fail, because the machine lacks something."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
