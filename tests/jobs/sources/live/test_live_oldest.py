"""The oldest document of a collection that counts, found without reading the others."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from bson import DatetimeMS, Int64, ObjectId
from decoded import EVER
from live_collections import EAGER, START_MS, collection_at, fill, read, transaction

from jobs.decode.classify import Window
from jobs.decode.plan import Fields
from jobs.sources.live.collection import open_collection
from jobs.sources.live.options import LiveOptions

AN_ID = "0123456789abcdef01234567"


def oldest(url: str, fields: Fields | None = None, window: Window = EVER, options: LiveOptions = EAGER) -> int | None:
    """How many seconds after the first `transaction` the oldest document is."""
    with open_collection(url, None, options) as live:
        found = live.oldest_counted_ms(fields or Fields(), window)
    return None if found is None else (found - START_MS) // 1000


@pytest.fixture(params=[False, True], ids=["without an index", "with an index"])
def url(request: pytest.FixtureRequest, mongo_database_url: str) -> str:
    """A database with the collection, which is empty."""
    with collection_at(mongo_database_url) as collection:
        collection.insert_one({})
        collection.delete_many({})
        if request.param:
            collection.create_index([("createdAt", 1)])
    return mongo_database_url


def test_an_empty_collection_has_no_oldest_document(url: str) -> None:
    assert oldest(url) is None


def test_the_oldest_document_is_found_behind_uncounted_ones(url: str) -> None:
    """Of these are more than are asked for at once."""
    rejected: list[dict[str, Any]] = [{"amount": "much"}, {"merchantId": None}, {"amount": 0.5}, {"merchantId": ""}]
    fill(url, [transaction(number, **rejected[number % 4]) for number in range(230)])
    for options in (EAGER, LiveOptions()):
        assert oldest(url, options=options) is None
    fill(url, [transaction(number) for number in (300, 231, 232)])
    for options in (EAGER, LiveOptions()):
        assert oldest(url, options=options) == 231


def test_documents_without_a_valid_date_are_not_the_oldest(url: str) -> None:
    strange: list[Any] = ["2020-01-01", 5, None, [DatetimeMS(START_MS - 9000)], DatetimeMS(START_MS - 10_000)]
    fill(url, [transaction(0, createdAt=time) for time in strange])
    fill(url, [transaction(7)])
    assert oldest(url, window=replace(EVER, wanted_first_ms=START_MS - 9999)) == 7
    assert oldest(url) == -10
    assert oldest(url, window=replace(EVER, wanted_first_ms=START_MS, wanted_end_ms=START_MS + 7000)) is None


@pytest.mark.parametrize("value", ["paid", "5", "-0", "true", "false", "null", AN_ID, "9223372036854775808"])
def test_the_oldest_document_matches_the_filter(url: str, value: str) -> None:
    """Whatever type a value has: the oldest is the oldest of a whole reading."""
    states: list[Any] = [
        "paid", "5", 5, Int64(5), 5.0, -0.0, 0, "-0", True, "true", False, "false", None, "null", ObjectId(AN_ID),
        AN_ID, ["paid"], {"paid": 5}, "9223372036854775808", 2.0**63,
    ]  # fmt: skip
    numbers = list(range(len(states)))
    Random(value).shuffle(numbers)
    fill(url, [transaction(number, card={"state": state}) for number, state in zip(numbers, states, strict=True)])
    fill(url, [transaction(99), transaction(98, card="paid")])
    fields = Fields(where=(("card.state", value), ("card.state2", "null")))
    assert oldest(url, fields) is None
    fields = replace(fields, where=fields.where[:1])
    with open_collection(url, None, EAGER) as live:
        rows: list[tuple[Any, ...]] = list(read(live, fields)[0].rows)
    assert rows
    assert oldest(url, fields) == (min(instant for *_, instant in rows) - START_MS) // 1000
