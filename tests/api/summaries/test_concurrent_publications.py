"""During publications each response, its ETag and its cursor are of one publication."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from api_client import MERCHANTS, SUMMARY, Api
from examples import publication, uniform

from core.stores import open_stores

MERCHANT_COUNT, DAYS = 5, 12
READERS = 3
PATIENCE_S = 60

QUESTIONS = [
    (SUMMARY, {"mode": "daily", "type": "amount"}),
    (SUMMARY, {"mode": "daily", "type": "amount", "merchant_id": "m0003", "limit": "5"}),
    (SUMMARY, {"mode": "daily", "type": "amount", "merchant_id": "m0001", "locale": "fa"}),
    (MERCHANTS, {"limit": "2"}),
]


@contextmanager
def publishing(store_url: str, last: int) -> Iterator[threading.Event]:
    """Publish generations 2 to `last`, in each of which every amount is its number; the event says when it is done."""
    done, errors = threading.Event(), []

    def publish_again_and_again() -> None:
        try:
            with open_stores(store_url, timeout_s=10) as stores:
                for generation in range(2, last + 1):
                    _publish(stores, generation)
        except Exception as error:  # shown by the test
            errors.append(error)
        finally:
            done.set()

    publisher = threading.Thread(target=publish_again_and_again)
    publisher.start()
    try:
        yield done
    finally:
        publisher.join(timeout=PATIENCE_S)
    assert not publisher.is_alive()
    assert not errors


def _publish(stores: Any, generation: int) -> None:
    rows = uniform(generation, MERCHANT_COUNT, DAYS)
    months = rows.filter(rows["key"] == "1403/01/01").with_columns(mode=_text("monthly"), key=_text("1403/01"))
    everything = rows.vstack(months)
    stores.summaries.publish(publication(generation, everything), everything)


def _text(value: str) -> Any:
    import polars as pl

    return pl.lit(value)


def values_in(answer: Any) -> set[int]:
    if isinstance(answer, list):
        return {point["value"] for point in answer}
    return {merchant["amount"] for merchant in answer["merchants"]}


def read_pages(api: Api, number: int) -> list[tuple[str, str, bytes]]:
    """Follow the pages of a question; returns the tag, the question and the body of each."""
    path, query = QUESTIONS[number % len(QUESTIONS)]
    text, versions = urlencode(query), set()
    seen: list[tuple[str, str, bytes]] = []
    for _ in range(DAYS):
        answer = api.ask(path, text)
        if answer.status_code == 409:  # published between two pages
            assert seen
            break
        assert answer.status_code == 200, answer.text
        values = values_in(answer.json)
        assert len(values) == 1, "a body of two versions"
        versions |= values
        assert answer.headers["etag"].startswith(f'"{values.pop()}-')
        seen.append((answer.headers["etag"], text, answer.content))
        if "link" not in answer.headers:
            break
        text = urlsplit(answer.headers["link"].partition(">")[0][1:]).query
    assert len(versions) == 1, "pages of two versions"
    return seen


def test_responses_and_pages_never_mix_two_publications(store_url: str) -> None:
    with open_stores(store_url, timeout_s=10) as stores:
        _publish(stores, 1)
    api = Api(store_url, {"api_freshness_s": 0})
    bodies: dict[tuple[str, str], bytes] = {}

    def read(reader: int) -> None:
        number = reader
        while not done.is_set():
            for tag, question, body in read_pages(api, number):
                assert bodies.setdefault((tag, question), body) == body
            number += 1

    with publishing(store_url, 12 if store_url.startswith("sqlite") else 6) as done, _readers() as readers:
        list(readers.map(read, range(READERS), timeout=PATIENCE_S))
    assert len({tag.partition("-")[0] for tag, _ in bodies}) > 2, "hardly anything was read meanwhile"


def test_an_older_publication_is_never_served_after_a_newer_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    with open_stores(url, timeout_s=10) as stores:
        _publish(stores, 1)
    api = Api(url, {"api_freshness_s": 0})

    def versions(_: int) -> list[int]:
        seen = []
        while not done.is_set():
            seen.append(int(api.series(limit="1").headers["etag"][1:].partition("-")[0]))
        return seen

    with publishing(url, 12) as done, _readers() as readers:
        for seen in readers.map(versions, range(READERS), timeout=PATIENCE_S):
            assert seen == sorted(seen)


def _readers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(READERS)


@pytest.mark.parametrize("path", [SUMMARY, MERCHANTS])
def test_a_read_fails_if_publications_overtake_every_retry(tmp_path: Path, path: str) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    with open_stores(url, timeout_s=10) as stores:
        _publish(stores, 1)
        generation = 1
        api = Api(url)

        def and_publish(*arguments: Any) -> Any:
            nonlocal generation
            found = asked(*arguments)
            generation += 1
            _publish(stores, generation)
            return found

        api.ask(path, QUESTIONS[0][1] if path == SUMMARY else "")
        (opened,) = api.stores
        name = "series" if path == SUMMARY else "merchants"
        asked = getattr(opened.summaries, name)
        setattr(opened.summaries, name, and_publish)
        answer = api.ask(
            path, {"mode": "daily", "type": "count", "limit": "5"} if path == SUMMARY else {"from": "1403/01"}
        )
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


def test_a_merchant_published_during_the_read_has_its_series(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'summaries.db'}"
    with open_stores(url, timeout_s=10) as stores:
        _publish(stores, 1)
        api = Api(url)
        api.series(limit="1")
        summaries: Any = api.stores[0].summaries
        read = summaries.series_json

        def and_publish_another_merchant(*arguments: Any) -> Any:
            summaries.series_json = read
            found = read(*arguments)
            rows = uniform(2, MERCHANT_COUNT + 1, DAYS)
            stores.summaries.publish(publication(2, rows), rows)
            return found

        summaries.series_json = and_publish_another_merchant
        answer = api.series(merchant_id=f"m{MERCHANT_COUNT:04}")
    assert values_in(answer.json) == {2}
    assert answer.headers["etag"].startswith('"2-')
