"""Fixtures of the API's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_client import close_all


@pytest.fixture(scope="module", autouse=True)
def _closed_stores() -> Iterator[None]:
    yield
    close_all()
