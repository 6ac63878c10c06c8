"""A shop with its own database, and a SQLite store, which may be a copy."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from live_shop import FirstRefresh, JobRunner, Shop

from bench.mongo_urls import with_database
from core.stores import Stores, open_stores

NOW = datetime(2024, 3, 23, 9, tzinfo=UTC)
"""The first Saturday of 1403; three days before, the year, a month and not a week began."""


@pytest.fixture(scope="module")
def _shop(mongo_url: str) -> Iterator[Shop]:
    name = f"shop_{uuid.uuid4().hex}"
    with Shop(with_database(mongo_url, name)) as shop:
        yield shop
        shop.collection.database.client.drop_database(name)


@pytest.fixture
def shop(_shop: Shop) -> Iterator[Shop]:
    """An empty collection, which for all tests of a module has the same name."""
    database = _shop.collection.database
    database.create_collection("transaction")
    yield _shop
    for name in database.list_collection_names():
        if not name.startswith("system."):  # MongoDB keeps views there
            database.drop_collection(name)


@pytest.fixture
def sqlite_stores(tmp_path: Path) -> Iterator[Stores]:
    """An empty store, in the file ``summaries.db`` of `tmp_path`."""
    with open_stores(f"sqlite:///{tmp_path / 'summaries.db'}", timeout_s=10) as stores:
        yield stores


@pytest.fixture
def runner(shop: Shop, sqlite_stores: Stores, tmp_path: Path) -> JobRunner:
    """The jobs, at `NOW`."""
    return JobRunner(sqlite_stores, shop, tmp_path, NOW)


@pytest.fixture(scope="module")
def first_refresh(tmp_path_factory: pytest.TempPathFactory) -> FirstRefresh:
    """Refreshes the shop as it is before each test of a module."""
    return FirstRefresh(tmp_path_factory.mktemp("refreshed") / "summaries.db")
