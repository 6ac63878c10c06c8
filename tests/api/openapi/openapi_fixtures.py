"""Fixtures of the tests of the OpenAPI document and of all paths."""

from __future__ import annotations

import pytest
from api_client import Api
from example_store import api_over, fill


@pytest.fixture(scope="session")
def example_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with a few summaries and notifications, which tests only read."""
    url = f"sqlite:///{tmp_path_factory.mktemp('examples') / 'summaries.db'}"
    fill(url)
    return url


@pytest.fixture(scope="module")
def example_api(example_url: str) -> Api:
    """The API over `example_url`."""
    return api_over(example_url)
