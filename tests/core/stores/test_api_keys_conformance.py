"""Conformance tests of API key stores, on every backend."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from examples import NOW_MS, publication, uniform
from prepared_store import open_prepared

from core.stores import Stores, open_stores
from core.stores.api_keys import ApiKey, Scope, all_tenants
from core.tenants import OPERATOR, is_tenant_name


def key(key_id: str, created_at_ms: int = NOW_MS, name: str = "a till") -> ApiKey:
    return ApiKey(
        id=key_id,
        name=name,
        digest=hashlib.sha256(key_id.encode()).digest(),
        scopes=frozenset({Scope.SUMMARIES}),
        merchants=frozenset({"m0001"}),
        created_at_ms=created_at_ms,
    )


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


def test_a_new_store_has_no_key(stores: Stores) -> None:
    assert stores.keys.all() == []
    assert stores.keys.get("k1") is None


@pytest.mark.parametrize(
    "stored",
    [
        key("k1"),
        replace(key("k2"), scopes=frozenset(Scope), merchants=frozenset()),
        replace(key("k3"), scopes=frozenset(), merchants=frozenset({"فروشگاه\u200cها", '"', "a\x00b", "m" * 1000})),
        replace(key("k4"), digest=bytes(range(32)), name="درگاه «یک»"),
        replace(key("k5"), created_at_ms=-1, revoked_at_ms=2**53 // 1000),
        replace(key("k6"), tenant_name="فروشگاه"),
        replace(key("k7"), expires_at_ms=NOW_MS + 1),
    ],
    ids=lambda stored: stored.id,
)
def test_a_key_is_read_back_exactly(stores: Stores, stored: ApiKey) -> None:
    stores.keys.add(stored)
    assert stores.keys.get(stored.id) == stored
    assert stores.keys.all() == [stored]


def test_a_key_is_found_only_by_its_exact_id(stores: Stores) -> None:
    stores.keys.add(key("Key"))
    assert [stores.keys.get(wrong) for wrong in ("key", "Key ", "Ke", "")] == [None] * 4


def test_a_duplicate_key_id_is_refused(stores: Stores) -> None:
    stores.keys.add(key("k1"))
    for second in (key("k1"), key("k1", name="another")):
        with pytest.raises(ValueError, match="there is a key k1 already"):
            stores.keys.add(second)
    assert stores.keys.all() == [key("k1")]


def test_of_concurrent_inserts_of_one_id_one_succeeds(stores: Stores, store_url: str) -> None:
    barrier = threading.Barrier(4)
    refused: list[str] = []

    def add(name: str) -> None:
        with open_stores(store_url, timeout_s=10) as own:
            barrier.wait(timeout=60)
            try:
                own.keys.add(key("k1", name=name))
            except ValueError:
                refused.append(name)

    names = {f"writer {number}" for number in range(4)}
    threads = [threading.Thread(target=add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    (winner,) = stores.keys.all()
    assert {winner.name, *refused} == names
    assert len(refused) == 3


def test_keys_are_listed_by_creation_and_then_by_id(stores: Stores) -> None:
    for key_id, created_at_ms in (("c", 2), ("b", 1), ("a", 2), ("d", 0)):
        stores.keys.add(key(key_id, created_at_ms))
    assert [found.id for found in stores.keys.all()] == ["d", "b", "a", "c"]


def test_a_revoked_key_stays_with_its_revocation_time(stores: Stores) -> None:
    for key_id in ("k1", "k2"):
        stores.keys.add(key(key_id))
    revoked = replace(key("k1"), revoked_at_ms=NOW_MS + 5)
    assert stores.keys.revoke("k1", NOW_MS + 5) == revoked
    assert stores.keys.get("k1") == revoked
    assert stores.keys.all() == [revoked, key("k2")]


def test_revoking_again_keeps_the_first_revocation_time(stores: Stores) -> None:
    stores.keys.add(key("k1"))
    stores.keys.revoke("k1", NOW_MS)
    for at_ms in (NOW_MS - 1, NOW_MS + 1):
        assert stores.keys.revoke("k1", at_ms).revoked_at_ms == NOW_MS


def test_an_unknown_key_cannot_be_revoked(stores: Stores) -> None:
    stores.keys.add(key("k1"))
    with pytest.raises(LookupError, match="there is no key k2"):
        stores.keys.revoke("k2", NOW_MS)
    assert stores.keys.all() == [key("k1")]


def test_keys_survive_publications_and_reopening(stores: Stores, store_url: str) -> None:
    stores.keys.add(key("k1"))
    for generation in (1, 2):
        rows = uniform(generation)
        stores.summaries.publish(publication(generation, rows), rows)
    with open_stores(store_url, timeout_s=10, create=False) as others:
        assert others.keys.get("k1") == key("k1")


def test_changes_by_other_processes_are_visible_at_once(stores: Stores, store_url: str) -> None:
    with open_stores(store_url, timeout_s=10) as others:
        others.keys.add(key("k1"))
        assert stores.keys.get("k1") == key("k1")
        others.keys.revoke("k1", NOW_MS)
        found = stores.keys.get("k1")
    assert found is not None
    assert found.revoked_at_ms == NOW_MS


def test_the_digest_of_a_key_is_not_shown() -> None:
    assert key("k1").digest.hex()[:8] not in repr(key("k1"))
    assert "digest" not in repr(key("k1"))


def test_the_tenant_of_a_key_is_named_derived_or_the_operator(stores: Stores) -> None:
    merchants = frozenset({"m2", "m1", "m3"})
    made = [
        replace(key("k1"), merchants=merchants),
        replace(key("k2"), merchants=frozenset(sorted(merchants)), revoked_at_ms=NOW_MS),
        replace(key("k3"), merchants=merchants - {"m1"}),
        replace(key("k4"), merchants=merchants, tenant_name="acme"),
        replace(key("k5"), merchants=frozenset(), tenant_name="acme"),
        replace(key("k6"), merchants=frozenset()),
    ]
    for one in made:
        stores.keys.add(one)
    tenants = [found.tenant for found in stores.keys.all()]

    assert tenants[0] == tenants[1] != tenants[2]
    assert not any(is_tenant_name(tenant) for tenant in tenants[:3])  # so that no two names are equal
    assert tenants[3:] == ["acme", "acme", OPERATOR]
    assert all_tenants(stores.keys) == set(tenants)
    assert all_tenants(stores.keys) >= {OPERATOR}


def test_tenant_keys_cannot_have_operator_scopes(stores: Stores) -> None:
    every = replace(key("k1"), scopes=frozenset(Scope), merchants=frozenset())
    assert every.allowed_scopes == frozenset(Scope)
    assert replace(every, tenant_name="acme").allowed_scopes == {Scope.NOTIFICATIONS}
    assert replace(every, merchants=frozenset({"m1"})).allowed_scopes == {Scope.NOTIFICATIONS}


def test_a_key_is_expired_from_its_expiry_on() -> None:
    expiring = replace(key("k1"), expires_at_ms=NOW_MS)
    assert [expiring.has_expired(NOW_MS + later_ms) for later_ms in (-1, 0, 1)] == [False, True, True]
    assert [expiring.is_valid(NOW_MS + later_ms) for later_ms in (-1, 0)] == [True, False]
    assert not replace(expiring, revoked_at_ms=NOW_MS - 2).is_valid(NOW_MS - 1)
    assert key("k2").is_valid(2**52)


def test_the_last_use_of_a_key_is_the_latest_recorded_one(stores: Stores, store_url: str) -> None:
    stores.key_uses.record({})
    assert stores.key_uses.all() == {}
    stores.key_uses.record({"k1": NOW_MS, "k2": NOW_MS + 7})
    with open_stores(store_url, timeout_s=10) as others:
        others.key_uses.record({"k1": NOW_MS + 5, "k2": NOW_MS})
    stores.key_uses.record({"k1": NOW_MS + 4})
    assert stores.key_uses.all() == {"k1": NOW_MS + 5, "k2": NOW_MS + 7}
