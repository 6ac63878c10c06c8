"""Opening live collections: which one is read, and the errors if there is none."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from bson import Int64
from decoded import read_source
from live_collections import EAGER, amounts, fill, transaction
from mongo_proxy import MongoProxy
from mongo_ways import with_user

from bench.mongo_urls import database_of
from core.errors import SourceError, UsageError
from jobs.decode.plan import Fields
from jobs.sources.live.collection import open_live
from jobs.sources.live.options import LiveOptions
from jobs.sources.recognise import open_source
from jobs.sources.url import redacted_url


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("name", ["transaction", "transactions"])
def test_the_default_collections_are_found(mongo_database_url: str, name: str) -> None:
    fill(mongo_database_url, [transaction(i) for i in range(3)], name)
    fill(mongo_database_url, [transaction(9)], "other")
    source = open_source(mongo_database_url, Fields(), None, live=EAGER)
    assert source.file_format == "live collection"
    assert source.name == f"{redacted_url(mongo_database_url)}.{name}"
    assert amounts(read_source(source, Fields())) == [0, 1, 2]
    source.close()


def test_a_collection_can_be_named_with_its_database(mongo_database_url: str) -> None:
    fill(mongo_database_url, [transaction(5)], "payments")
    database = database_of(mongo_database_url)
    for name in ("payments", f"{database}.payments"):
        source = open_source(mongo_database_url, Fields(), name, live=EAGER)
        assert amounts(read_source(source, Fields())) == [5]
        source.close()


def test_a_missing_collection_is_reported_with_the_existing_ones(mongo_database_url: str) -> None:
    fill(mongo_database_url, [transaction(1)], "payments")
    with pytest.raises(SourceError, match=r"has no collection transaction or transactions: it has \w+\.payments$"):
        open_live(mongo_database_url, Fields(), None, EAGER)


def test_two_collections_of_default_names_are_reported(mongo_database_url: str) -> None:
    for name in ("transaction", "transactions"):
        fill(mongo_database_url, [transaction(1)], name)
    with pytest.raises(SourceError, match="has more than one collection transaction or transactions"):
        open_live(mongo_database_url, Fields(), None, EAGER)


def test_a_view_that_leaves_out_the_ids_is_refused(mongo_database_url: str) -> None:
    fill(mongo_database_url, [transaction(1)])
    with MongoProxy(mongo_database_url) as proxy:
        proxy.answer("find", {"ok": 1.0, "cursor": {"id": Int64(0), "ns": "shop.transaction", "firstBatch": [{}]}})
        with pytest.raises(SourceError, match=r"transaction have no _id$"):
            open_live(proxy.url, Fields(), None, EAGER)


def test_an_unreachable_server_is_reported_without_the_password() -> None:
    with pytest.raises(SourceError) as caught:
        open_live("mongodb://u:s3cret@127.0.0.1:1/shop", Fields(), None, LiveOptions(timeout_s=0.2))
    assert caught.value.sentence.startswith("mongodb://127.0.0.1:1/shop does not answer: ")
    assert "s3cret" not in f"{caught.value.sentence}{caught.value.hint}"


def test_the_timeouts_of_the_url_apply_to_a_silent_server(silent_server: str) -> None:
    url = f"mongodb://{silent_server}/shop?serverSelectionTimeoutMS=300&connectTimeoutMS=300"
    with pytest.raises(SourceError, match="does not answer: "):
        open_live(url, Fields(), None, LiveOptions(timeout_s=600))


def test_a_login_failure_is_reported_without_the_password(mongo_database_url: str) -> None:
    fill(mongo_database_url, [transaction(1)])
    with pytest.raises(SourceError, match="refuses the request: ") as caught:
        open_live(with_user(mongo_database_url, "u:s3cret"), Fields(), None, EAGER)
    assert "password" in caught.value.hint
    assert "\n" not in caught.value.sentence
    assert "s3cret" not in f"{caught.value.sentence}{caught.value.hint}"


def test_a_url_without_a_database_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="is not a valid MongoDB URL with a database"):
        open_source("mongodb://127.0.0.1:1", Fields(), None)
