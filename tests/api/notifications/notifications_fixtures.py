"""Fixtures of the tests of notifications over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_client import Api
from example_store import copy_of

from core.stores import open_stores


@pytest.fixture(scope="session")
def _empty_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty SQLite store, of which there are copies: making one takes a dozen writes to the disk."""
    url = f"sqlite:///{tmp_path_factory.mktemp('empty') / 'store.db'}"
    open_stores(url, timeout_s=10).close()
    return url


@pytest.fixture
def url(_empty_store: str, tmp_path: Path) -> str:
    """An empty SQLite store of this test alone."""
    return copy_of(_empty_store, tmp_path)


@pytest.fixture
def queued() -> list[str]:
    """The ids of queued notifications."""
    return []


@pytest.fixture
def api(url: str, queued: list[str]) -> Api:
    """The API over `url`."""
    return Api(url, queue=queued.append)
