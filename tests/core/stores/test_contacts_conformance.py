"""Conformance tests of contact stores, on every backend."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from effort import THOROUGH
from prepared_store import open_prepared

from core.stores import Stores, open_stores


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


def test_an_unknown_user_has_no_contacts(stores: Stores) -> None:
    assert stores.contacts.get("u1") == {}


def test_addresses_are_read_back_exactly_after_reopening_the_store(stores: Stores, store_url: str) -> None:
    addresses = {"sms": "+989123456789", "email": "علی@نمونه.ایران", "webhook": "https://shop.example/" + "a" * 2000}
    stores.contacts.replace("کاربر ۱", addresses)
    stores.contacts.replace("u2", {"sms": "+989123456780"})
    with open_stores(store_url, timeout_s=10, create=False) as others:
        assert others.contacts.get("کاربر ۱") == addresses
        assert others.contacts.get("u2") == {"sms": "+989123456780"}


def test_a_user_is_found_only_by_the_exact_id(stores: Stores) -> None:
    stores.contacts.replace("User", {"sms": "1"})
    assert [stores.contacts.get(wrong) for wrong in ("user", "User ", "Use", "")] == [{}] * 4


def test_replacing_contacts_removes_all_previous_ones(stores: Stores) -> None:
    stores.contacts.replace("u1", {"sms": "1", "email": "a@shop.example"})
    stores.contacts.replace("u1", {"telegram": "42", "sms": "2"})
    assert stores.contacts.get("u1") == {"telegram": "42", "sms": "2"}
    stores.contacts.replace("u1", {})
    assert stores.contacts.get("u1") == {}


def test_moving_an_address_is_a_compare_and_set(stores: Stores) -> None:
    stores.contacts.replace("u1", {"sms": "1", "telegram": "42"})
    stores.contacts.replace("u2", {"telegram": "42"})
    assert stores.contacts.move("u1", "telegram", "42", "-1001")
    assert not stores.contacts.move("u1", "telegram", "42", "-1002")
    assert not stores.contacts.move("u1", "email", "42", "-1002")
    assert not stores.contacts.move("nobody", "telegram", "42", "-1002")
    assert stores.contacts.get("u1") == {"sms": "1", "telegram": "-1001"}
    assert stores.contacts.get("u2") == {"telegram": "42"}
    assert stores.contacts.get("nobody") == {}


def test_a_concurrent_move_never_undoes_a_replacement(stores: Stores, store_url: str) -> None:
    """A user changes the contact while a gateway reports that its address has moved; each round has another user."""
    users = [f"u{number}" for number in range(100 if THOROUGH else 15)]
    for user in users:
        stores.contacts.replace(user, {"telegram": "42", "sms": "1"})
    barrier = threading.Barrier(2)

    def move() -> None:
        with open_stores(store_url, timeout_s=20) as own:
            for user in users:
                barrier.wait(timeout=60)
                own.contacts.move(user, "telegram", "42", "-1001")

    mover = threading.Thread(target=move)
    mover.start()
    for user in users:
        barrier.wait(timeout=60)
        stores.contacts.replace(user, {"email": "new@shop.example"})
    mover.join(timeout=60)
    assert [stores.contacts.get(user) for user in users] == [{"email": "new@shop.example"}] * len(users)


def test_concurrent_moves_of_different_channels_all_succeed(stores: Stores, store_url: str) -> None:
    channels = [f"c{number}" for number in range(4)]
    stores.contacts.replace("u1", dict.fromkeys(channels, "old"))
    barrier, moved = threading.Barrier(4), []

    def move(channel: str) -> None:
        with open_stores(store_url, timeout_s=20) as own:
            barrier.wait(timeout=60)
            moved.append(own.contacts.move("u1", channel, "old", "new"))

    threads = [threading.Thread(target=move, args=(channel,)) for channel in channels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert moved == [True] * 4
    assert stores.contacts.get("u1") == dict.fromkeys(channels, "new")


def test_a_moved_address_can_move_back_or_be_set_again(stores: Stores) -> None:
    stores.contacts.replace("u1", {"telegram": "42"})
    assert stores.contacts.move("u1", "telegram", "42", "43")
    assert stores.contacts.move("u1", "telegram", "43", "42")
    assert stores.contacts.get("u1") == {"telegram": "42"}
    assert stores.contacts.move("u1", "telegram", "42", "44")
    stores.contacts.replace("u1", {"telegram": "42"})
    assert stores.contacts.get("u1") == {"telegram": "42"}


def test_text_that_is_not_valid_utf_8_is_escaped(stores: Stores) -> None:
    stores.contacts.replace("u\ud800", {"sms": "\udcff"})
    assert stores.contacts.get("u\ud800") == {"sms": "\\udcff"}


def test_concurrent_replacements_do_not_mix(stores: Stores, store_url: str) -> None:
    barrier = threading.Barrier(4)
    written = [{"sms": str(number), "email": str(number)} for number in range(4)]

    def replace(addresses: dict[str, str]) -> None:
        with open_stores(store_url, timeout_s=20) as own:
            barrier.wait(timeout=60)
            own.contacts.replace("u1", addresses)

    threads = [threading.Thread(target=replace, args=(addresses,)) for addresses in written]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert stores.contacts.get("u1") in written


def test_equal_user_ids_in_different_tenants_are_separate(stores: Stores) -> None:
    tenants = ("operator", "acme", "acm", "merchants:x", "فروشگاه")
    for number, tenant in enumerate(tenants):
        stores.contacts.replace("u1", {"telegram": "42", "sms": str(number)}, tenant=tenant)
    stores.contacts.replace("eu1", {"sms": "9"}, tenant="acm")  # whose parts have the letters of another's
    stores.contacts.replace("u1", {}, tenant="gone")

    assert stores.contacts.move("u1", "telegram", "42", "-1001", tenant="acme")
    stores.contacts.replace("u1", {"email": "a@shop.example"}, tenant="acm")

    assert [stores.contacts.get("u1", tenant=tenant) for tenant in (*tenants, "none", "gone")] == [
        {"sms": "0", "telegram": "42"},
        {"sms": "1", "telegram": "-1001"},
        {"email": "a@shop.example"},
        {"sms": "3", "telegram": "42"},
        {"sms": "4", "telegram": "42"},
        {},
        {},
    ]
    assert stores.contacts.get("u1") == stores.contacts.get("u1", tenant="operator")
    assert stores.contacts.tenants_of("u1") == set(tenants)
    assert stores.contacts.tenants_of("eu1") == {"acm"}
    assert stores.contacts.tenants_of("nobody") == frozenset()


def test_user_ids_cannot_collide_with_keys_of_other_tenants(stores: Stores) -> None:
    stores.contacts.replace("u1", {"sms": "1"}, tenant="acme")
    for user_id in ("acme", "acmeu1", "acme:u1", '{"tenant": "acme", "user_id": "u1"}'):
        stores.contacts.replace(user_id, {"sms": "2"})
    assert stores.contacts.get("u1", tenant="acme") == {"sms": "1"}
    assert stores.contacts.get("u1") == {}


def test_changing_some_channels_keeps_the_others(stores: Stores) -> None:
    assert stores.contacts.change("u1", {"sms": "1", "email": None}) == {"sms": "1"}
    assert stores.contacts.change("u1", {"email": "a@shop.example"}) == {"sms": "1", "email": "a@shop.example"}
    assert stores.contacts.change("u1", {"sms": None, "telegram": "42"}, tenant="acme") == {"telegram": "42"}
    changed = stores.contacts.change("u1", {"sms": None, "email": "b@shop.example", "webhook": None})
    assert changed == stores.contacts.get("u1") == {"email": "b@shop.example"}
    stores.contacts.replace("u1", {"sms": "2"})
    assert stores.contacts.get("u1") == {"sms": "2"}
    assert stores.contacts.get("u1", tenant="acme") == {"telegram": "42"}


def test_removing_the_last_address_removes_the_user(stores: Stores) -> None:
    stores.contacts.replace("u1", {})
    stores.contacts.change("u1", {"sms": "1"})
    stores.contacts.replace("u1", {"sms": "2"}, tenant="acme")
    assert stores.contacts.tenants_of("u1") == {"operator", "acme"}
    stores.contacts.change("u1", {"sms": None}, tenant="acme")
    assert stores.contacts.tenants_of("u1") == {"operator"}


def test_concurrent_changes_of_different_channels_are_all_stored(stores: Stores, store_url: str) -> None:
    channels = [f"c{number}" for number in range(4)]
    barrier = threading.Barrier(4)

    def change(channel: str) -> None:
        with open_stores(store_url, timeout_s=20) as own:
            barrier.wait(timeout=60)
            own.contacts.change("u1", {channel: "new"})

    threads = [threading.Thread(target=change, args=(channel,)) for channel in channels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert stores.contacts.get("u1") == dict.fromkeys(channels, "new")


def test_users_are_listed_by_tenant_in_pages_with_current_addresses(stores: Stores) -> None:
    contacts = stores.contacts
    for user_id in ("c", "کاربر", "a", "b", "B"):
        contacts.replace(user_id, {"sms": f"1{user_id}"})
    contacts.change("a", {"email": "a@shop.example", "sms": None})
    assert contacts.move("a", "email", "a@shop.example", "b@shop.example")
    contacts.change("new", {"telegram": "42"})
    contacts.replace("gone", {"sms": "1"})
    contacts.replace("gone", {})
    contacts.change("b", {"sms": None})
    contacts.replace("a", {"sms": "of acme", "email": "a@acme.example"}, tenant="acme")
    contacts.replace("z", {"sms": "of acme"}, tenant="acme")

    everybody = contacts.listed(limit=10)
    assert list(everybody) == ["B", "a", "c", "new", "کاربر"]
    assert everybody["a"] == {"email": "b@shop.example"}
    assert everybody["new"] == {"telegram": "42"}
    pages, after = [], None
    while page := contacts.listed(after=after, limit=2):
        pages.append(list(page))
        after = pages[-1][-1]
    assert pages == [["B", "a"], ["c", "new"], ["کاربر"]]
    of_acme = contacts.listed(tenant="acme", limit=10)
    assert [(user_id, list(reached)) for user_id, reached in of_acme.items()] == [
        ("a", ["email", "sms"]),
        ("z", ["sms"]),
    ]
    assert contacts.listed(tenant="acme", after="a", limit=10) == {"z": {"sms": "of acme"}}
    assert contacts.listed(tenant="other", limit=10) == contacts.listed(limit=0) == {}
