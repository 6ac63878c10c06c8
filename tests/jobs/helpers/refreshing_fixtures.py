"""A shop with a database of its own, beside that of the store, and a SQLite store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from live_shop import Document, JobRunner, Shop
from pymongo import MongoClient

from bench.mongo_urls import with_database
from core.stores import Stores, open_stores

NOW = datetime(2024, 3, 23, 9, tzinfo=UTC)
"""The first Saturday of 1403; three days before, the year, a month and not a week began."""


@pytest.fixture
def shop(mongo_url: str) -> Iterator[Shop]:
    """An empty collection of this test alone."""
    name = f"shop_{uuid.uuid4().hex}"
    with Shop(with_database(mongo_url, name)) as shop:
        shop.collection.database.create_collection("transaction")
        yield shop
    client: MongoClient[Document]
    with MongoClient(mongo_url) as client:
        client.drop_database(name)


@pytest.fixture
def sqlite_stores(tmp_path: Path) -> Iterator[Stores]:
    """An empty store, in the file ``summaries.db`` of `tmp_path`."""
    with open_stores(f"sqlite:///{tmp_path / 'summaries.db'}", timeout_s=10) as stores:
        yield stores


@pytest.fixture
def runner(shop: Shop, sqlite_stores: Stores, tmp_path: Path) -> JobRunner:
    """The jobs, at `NOW`."""
    return JobRunner(sqlite_stores, shop, tmp_path, NOW)
