"""Conformance tests of session stores, on every backend."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from examples import NOW_MS
from prepared_store import open_prepared

from core.stores import Stores, open_stores
from core.stores.sessions import Session


def session(session_id: str, token: str = "token", expires_at_ms: int = NOW_MS + 1000) -> Session:
    return Session(session_id, hashlib.sha256(token.encode()).digest(), NOW_MS, expires_at_ms)


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


def test_a_session_is_read_back_exactly_by_its_exact_id(stores: Stores) -> None:
    stored = replace(session("link:s1"), ended_at_ms=NOW_MS + 5)
    assert stores.sessions.get("link:s1") is None
    assert stores.sessions.add(stored)
    assert stores.sessions.get("link:s1") == stored
    assert [stores.sessions.get(wrong) for wrong in ("s1", "link:s", "link:s1 ", "Link:s1", "")] == [None] * 5


def test_a_duplicate_session_id_is_refused(stores: Stores) -> None:
    assert stores.sessions.add(session("s1"))
    assert not stores.sessions.add(session("s1", "another"))
    assert stores.sessions.get("s1") == session("s1")


def test_of_concurrent_inserts_of_one_id_one_succeeds(stores: Stores, store_url: str) -> None:
    barrier = threading.Barrier(4)
    added: list[str] = []

    def add(token: str) -> None:
        with open_stores(store_url, timeout_s=10) as own:
            barrier.wait(timeout=60)
            if own.sessions.add(session("s1", token)):
                added.append(token)

    threads = [threading.Thread(target=add, args=(f"token {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [stores.sessions.get("s1")] == [session("s1", token) for token in added]


def test_ending_a_session_again_keeps_its_first_end(stores: Stores) -> None:
    stores.sessions.add(session("s1"))
    stores.sessions.add(session("s2"))
    for at_ms in (NOW_MS + 1, NOW_MS + 2):
        stores.sessions.end("s1", at_ms)
    stores.sessions.end("nobody", NOW_MS)
    assert stores.sessions.get("s1") == replace(session("s1"), ended_at_ms=NOW_MS + 1)
    assert stores.sessions.get("s2") == session("s2")


def test_valid_ids_are_those_of_active_sessions(stores: Stores) -> None:
    for session_id, expires_at_ms in (("s1", NOW_MS), ("s2", NOW_MS + 1), ("link:s3", NOW_MS + 2), ("s4", NOW_MS + 9)):
        stores.sessions.add(session(session_id, expires_at_ms=expires_at_ms))
    stores.sessions.end("s4", NOW_MS)
    assert stores.sessions.valid_ids(NOW_MS) == {"s2", "link:s3"}


def test_ending_all_sessions_keeps_earlier_ends(stores: Stores) -> None:
    for session_id in ("s1", "s2", "s3"):
        stores.sessions.add(session(session_id))
    stores.sessions.end("s1", NOW_MS + 1)
    assert stores.sessions.end_all(NOW_MS + 2) == 2
    ended = [stores.sessions.get(session_id) for session_id in ("s1", "s2", "s3")]
    assert [one and one.ended_at_ms for one in ended] == [NOW_MS + 1, NOW_MS + 2, NOW_MS + 2]
    assert stores.sessions.valid_ids(NOW_MS) == frozenset()


def test_pruning_removes_only_expired_sessions(stores: Stores) -> None:
    for session_id, expires_at_ms in (("s1", NOW_MS - 1), ("s2", NOW_MS), ("s3", NOW_MS + 1)):
        stores.sessions.add(session(session_id, expires_at_ms=expires_at_ms))
    stores.sessions.prune(NOW_MS)
    assert [stores.sessions.get(session_id) is None for session_id in ("s1", "s2", "s3")] == [True, False, False]


@pytest.mark.parametrize(
    ("stored", "valid_at"),
    [
        (session("s1"), [NOW_MS, NOW_MS + 999]),
        (replace(session("s1"), ended_at_ms=NOW_MS), []),
    ],
)
def test_a_session_is_valid_until_it_expires_or_is_ended(stored: Session, valid_at: list[int]) -> None:
    instants = [NOW_MS, NOW_MS + 999, NOW_MS + 1000, NOW_MS + 1001]
    assert [at_ms for at_ms in instants if stored.is_valid(at_ms)] == valid_at


def test_the_digest_of_a_session_is_not_shown() -> None:
    assert "digest" not in repr(session("s1"))
