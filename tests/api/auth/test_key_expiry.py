"""Expiry of API keys, and the record of their last use."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from api_client import FRESHNESS_S, KEYS_ONLY, SUMMARY, Api, add_key, document, problem
from examples import NOW_MS
from sales import published_in

from api.auth.api_keys import id_in
from core.stores import Stores, open_stores
from core.stores.api_keys import Scope

SERIES = "mode=monthly&type=amount"
FIVE_MINUTES_S = 300


@pytest.fixture
def url(tmp_path: Path) -> str:
    return published_in(tmp_path)


@pytest.fixture
def api(url: str) -> Api:
    return Api(url, KEYS_ONLY)


def _last_used(url: str) -> dict[str, int]:
    with open_stores(url, timeout_s=10) as stores:
        return stores.key_uses.all()


def test_an_expired_key_is_refused_and_the_error_gives_its_expiry(api: Api, url: str) -> None:
    key = add_key(url, [Scope.SUMMARIES], expires_at_ms=NOW_MS + 1000)
    assert api.ask(SUMMARY, SERIES, key=key).status_code == 200
    api.clock = lambda: NOW_MS + 999
    assert api.ask(SUMMARY, SERIES, key=key).status_code == 200
    api.clock = lambda: NOW_MS + 1000
    refused = api.ask(SUMMARY, SERIES, key=key)
    assert problem(refused) == (401, "bad-key")
    assert document(refused)["detail"] == "The key expired at 2024-06-24T12:00:01Z."
    assert refused.headers["www-authenticate"] == 'Bearer realm="transaction summaries"'


def test_the_secret_of_an_expired_key_is_still_a_secret(api: Api, url: str) -> None:
    key = add_key(url, [Scope.SUMMARIES], expires_at_ms=NOW_MS)
    guessed = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert document(api.ask("/api/me", key=guessed))["detail"] == "The header Authorization has no valid key."


def test_cached_responses_are_refused_once_the_key_expires(api: Api, url: str) -> None:
    key = add_key(url, [Scope.SUMMARIES], expires_at_ms=NOW_MS + 1000)
    for _ in range(3):
        assert api.ask(SUMMARY, SERIES, key=key).status_code == 200
    api.clock = lambda: NOW_MS + 1000
    assert [api.ask(SUMMARY, SERIES, key=key).status_code for _ in range(2)] == [401, 401]


def test_last_use_is_recorded_at_once_then_every_five_minutes_at_most(api: Api, url: str) -> None:
    key, other, unused = (add_key(url, [Scope.SUMMARIES]) for _ in range(3))
    for token in (key, other):
        api.ask(SUMMARY, SERIES, key=token)
    assert _last_used(url) == {id_in(key): NOW_MS, id_in(other): NOW_MS}
    api.clock = lambda: NOW_MS + 5000
    api.moment.advance(FIVE_MINUTES_S - 1)
    api.ask(SUMMARY, SERIES, key=key)
    assert set(_last_used(url).values()) == {NOW_MS}
    api.moment.advance(1)
    api.ask(SUMMARY, SERIES, key=key)
    assert _last_used(url) == {id_in(key): NOW_MS + 5000, id_in(other): NOW_MS}
    assert id_in(unused) not in _last_used(url)


def test_a_refused_request_does_not_update_last_use(api: Api, url: str) -> None:
    expired, right = add_key(url, expires_at_ms=NOW_MS), add_key(url)
    for token in (expired, right[:-1] + ("A" if right[-1] != "A" else "B")):
        assert api.ask("/api/me", key=token).status_code == 401
    assert _last_used(url) == {}


def test_neither_requests_nor_key_lookups_wait_for_recording_last_use(url: str, tmp_path: Path) -> None:
    api = Api(url, KEYS_ONLY, settles=False)
    keys = [add_key(url, [Scope.SUMMARIES]) for _ in range(3)]
    with closing(sqlite3.connect(tmp_path / "summaries.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        for key in keys:  # each lookup happens while recording the last use waits for a lock
            assert api.ask(SUMMARY, SERIES, key=key).status_code == 200
            api.moment.advance(FRESHNESS_S)
        assert _last_used_by_others(tmp_path) == []
        writer.execute("ROLLBACK")
    noted = threading.Event()
    for _ in range(400):
        if len(_last_used_by_others(tmp_path)) == 3:
            return
        noted.wait(0.1)
    pytest.fail("the uses were never noted")


def _last_used_by_others(folder: Path) -> list[object]:
    with closing(sqlite3.connect(folder / "summaries.db")) as reader:
        return reader.execute("SELECT key_id FROM api_key_uses").fetchall()


def test_a_key_whose_use_cannot_be_recorded_still_works(url: str) -> None:
    class Failing(Api):
        def open_stores(self) -> Stores:
            stores = super().open_stores()
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
                connection.execute("DROP TABLE IF EXISTS api_key_uses")
            return stores

    api = Failing(url, KEYS_ONLY)
    key = add_key(url, [Scope.SUMMARIES])
    for _ in range(2):
        assert api.ask(SUMMARY, SERIES, key=key).status_code == 200
        api.moment.advance(FIVE_MINUTES_S)
