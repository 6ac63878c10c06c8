"""Conformance tests of subscription stores, on every backend."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from notification_examples import FAR_MS, NOW_MS
from prepared_store import open_prepared

from core.calendar.periods import Mode
from core.stores import Stores, open_stores
from core.stores.subscriptions import Subscription


def subscription(subscription_id: str = "s1", user_id: str = "u1", created_at_ms: int = NOW_MS) -> Subscription:
    return Subscription(
        id=subscription_id,
        merchant_id="m0001",
        user_id=user_id,
        modes=(Mode.DAILY,),
        channels=("sms",),
        locale="fa",
        created_at_ms=created_at_ms,
    )


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


def test_a_new_store_has_no_subscriptions(stores: Stores) -> None:
    assert stores.subscriptions.all() == []
    assert stores.subscriptions.get("s1") is None


@pytest.mark.parametrize(
    "stored",
    [
        subscription("s1"),
        replace(subscription("s2"), merchant_id=None, modes=tuple(Mode), channels=("telegram", "email"), locale="en"),
        replace(subscription("s3"), merchant_id="فروشگاه\u200c«۱»", user_id="کاربر", modes=()),
        replace(subscription("s4"), created_at_ms=-1, ended_at_ms=FAR_MS),
        replace(subscription("s5"), tenant="فروشگاه"),
    ],
    ids=lambda stored: stored.id,
)
def test_a_subscription_is_read_back_exactly(stores: Stores, stored: Subscription) -> None:
    assert stores.subscriptions.add(stored) == stored
    assert stores.subscriptions.get(stored.id) == stored
    assert stores.subscriptions.all() == [stored]


def test_modes_are_stored_in_their_order(stores: Stores) -> None:
    stored = stores.subscriptions.add(replace(subscription(), modes=(Mode.MONTHLY, Mode.DAILY)))
    assert stored.modes == (Mode.DAILY, Mode.MONTHLY)
    assert stores.subscriptions.get(stored.id) == stored


def test_a_duplicate_id_keeps_the_first_subscription(stores: Stores) -> None:
    first = stores.subscriptions.add(subscription())
    assert stores.subscriptions.add(replace(subscription(), user_id="u2")) == first
    assert stores.subscriptions.all() == [first]


def test_of_concurrent_inserts_of_one_id_one_succeeds(stores: Stores, store_url: str) -> None:
    barrier = threading.Barrier(4)
    answers: list[Subscription] = []

    def add(user_id: str) -> None:
        with open_stores(store_url, timeout_s=20) as own:
            barrier.wait(timeout=60)
            answers.append(own.subscriptions.add(subscription(user_id=user_id)))

    threads = [threading.Thread(target=add, args=(f"u{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert answers == stores.subscriptions.all() * 4


def test_subscriptions_are_listed_by_creation_and_then_by_id(stores: Stores) -> None:
    for subscription_id, created_at_ms in (("c", 2), ("b", 1), ("a", 2), ("d", 0)):
        stores.subscriptions.add(subscription(subscription_id, created_at_ms=created_at_ms))
    assert [found.id for found in stores.subscriptions.all()] == ["d", "b", "a", "c"]


def test_subscriptions_can_be_filtered_by_user_and_activity(stores: Stores) -> None:
    for subscription_id, user_id in (("s1", "u1"), ("s2", "u2"), ("s3", "u1"), ("s4", "u2")):
        stores.subscriptions.add(subscription(subscription_id, user_id))
    for subscription_id in ("s1", "s2"):
        stores.subscriptions.end(subscription_id, NOW_MS)

    def listed(user_id: str | None, active: bool) -> list[str]:
        return [found.id for found in stores.subscriptions.all(user_id=user_id, active=active)]

    assert listed("u1", False) == ["s1", "s3"]
    assert listed("u1", True) == ["s3"]
    assert listed(None, True) == ["s3", "s4"]
    assert listed(None, False) == ["s1", "s2", "s3", "s4"]
    assert listed("u", False) == []


def test_an_ended_subscription_keeps_its_first_end(stores: Stores) -> None:
    stored = stores.subscriptions.add(subscription())
    ended = replace(stored, ended_at_ms=NOW_MS + 5)
    for at_ms in (NOW_MS + 5, NOW_MS, FAR_MS):
        assert stores.subscriptions.end(stored.id, at_ms) == ended
    assert stores.subscriptions.add(stored) == ended
    assert stores.subscriptions.get(stored.id) == ended


def test_a_subscription_added_during_its_removal_is_stored(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    stores.subscriptions.add(subscription())
    stores.subscriptions.end("s1", NOW_MS)
    get = stores.subscriptions.get

    def removed(subscription_id: str) -> Subscription | None:
        stores.subscriptions.remove_ended(FAR_MS)  # as another process may do just before
        return get(subscription_id)

    monkeypatch.setattr(stores.subscriptions, "get", removed)
    assert stores.subscriptions.add(subscription()) == subscription()
    monkeypatch.undo()
    assert stores.subscriptions.all() == [subscription()]


def test_ending_a_removed_subscription_returns_it(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = stores.subscriptions.add(subscription())
    update = stores.subscriptions._table.update

    def removed(*arguments: Any) -> int:
        changed = update(*arguments)
        stores.subscriptions.remove_ended(FAR_MS)  # as another process may do just afterwards
        return changed

    monkeypatch.setattr(stores.subscriptions._table, "update", removed)
    assert stores.subscriptions.end("s1", NOW_MS) == replace(stored, ended_at_ms=NOW_MS)
    assert stores.subscriptions.all() == []


def test_an_unknown_subscription_cannot_end(stores: Stores) -> None:
    with pytest.raises(LookupError, match="there is no subscription s2"):
        stores.subscriptions.end("s2", NOW_MS)


def test_subscriptions_are_returned_in_pages(stores: Stores) -> None:
    for subscription_id, created_at_ms in (("c", 2), ("b", 1), ("a", 2), ("d", 0), ("e", 2)):
        stores.subscriptions.add(subscription(subscription_id, created_at_ms=created_at_ms))
    stores.subscriptions.end("e", NOW_MS)
    found: list[str] = []
    after: tuple[int, str] | None = None
    while page := stores.subscriptions.all(user_id="u1", active=True, after=after, limit=2):
        assert len(page) <= 2
        after = page[-1].created_at_ms, page[-1].id
        found += [one.id for one in page]
    assert found == ["d", "b", "a", "c"]


def test_only_subscriptions_that_ended_before_an_instant_are_pruned(stores: Stores) -> None:
    for subscription_id in ("s1", "s2", "s3"):
        stores.subscriptions.add(subscription(subscription_id))
    stores.subscriptions.end("s1", NOW_MS)
    stores.subscriptions.end("s2", NOW_MS + 1)
    assert stores.subscriptions.remove_ended(NOW_MS + 1) == 1
    assert [found.id for found in stores.subscriptions.all()] == ["s2", "s3"]
    assert stores.subscriptions.remove_ended(FAR_MS) == 1
    assert stores.subscriptions.remove_ended(FAR_MS) == 0


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({"id": "s2", "created_at_ms": 5, "ended_at_ms": 6}, True),
        ({"channels": ("email", "sms")}, True),
        ({"user_id": "u2"}, False),
        ({"merchant_id": None}, False),
        ({"modes": (Mode.DAILY, Mode.WEEKLY)}, False),
        ({"channels": ("sms",)}, False),
        ({"locale": "en"}, False),
    ],
)
def test_the_order_of_channels_does_not_matter_for_equivalence(changes: dict[str, Any], alike: bool) -> None:
    one = replace(subscription(), channels=("sms", "email"))
    assert one.is_equivalent_to(replace(one, **changes)) is alike


def test_pages_can_be_limited_to_a_tenant_and_merchants(stores: Stores) -> None:
    merchants = ("m1", "m2", None)
    made = [
        replace(
            subscription(f"s{number:02}", "u1" if number % 2 else "u2", NOW_MS + number),
            tenant="acme" if number % 3 else "operator",
            merchant_id=merchants[number % 4 % 3],
        )
        for number in range(24)
    ]
    for one in made:
        stores.subscriptions.add(one)
    for tenant, readable, user_id in product(
        (None, "acme", "operator", "none"), (None, {"m1"}, {"m1", "m2"}, set()), (None, "u1")
    ):
        expected = [
            one
            for one in made
            if tenant in (None, one.tenant)
            and (readable is None or one.merchant_id in readable)
            and user_id in (None, one.user_id)
        ]
        requested: dict[str, Any] = {"tenant": tenant, "merchants": readable, "user_id": user_id}
        assert stores.subscriptions.all(**requested) == expected
        found: list[Subscription] = []
        after = None
        while page := stores.subscriptions.all(**requested, after=after, limit=5):
            found += page
            after = (page[-1].created_at_ms, page[-1].id)
        assert found == expected
