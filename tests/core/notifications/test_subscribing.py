"""Subscribing is idempotent, on every backend."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prepared_store import open_prepared

from core.calendar import Mode
from core.notifications.subscribing import Subscribed, subscribe
from core.stores import Stores, open_stores
from core.stores.subscriptions import Subscription

ASKED = Subscription("asked", "m1", "u1", (Mode.DAILY,), ("sms", "email"), "fa", 1_000)


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=20) as opened:
        yield opened


def test_subscribing_again_returns_the_existing_subscription(stores: Stores) -> None:
    first = subscribe(stores.subscriptions, ASKED)
    again = subscribe(stores.subscriptions, replace(ASKED, channels=("email", "sms"), created_at_ms=2_000))
    assert (first.there_was, again) == (False, Subscribed(first.subscription, there_was=True))
    assert stores.subscriptions.all() == [first.subscription]


def test_subscribing_after_the_end_creates_a_new_subscription(stores: Stores) -> None:
    made = []
    for at_ms in (1_000, 2_000, 3_000):
        made.append(subscribe(stores.subscriptions, replace(ASKED, created_at_ms=at_ms)).subscription)
        stores.subscriptions.end(made[-1].id, at_ms + 1)
    assert len({one.id for one in made}) == 3
    stores.subscriptions.remove_ended(1_002)  # the first
    fourth = subscribe(stores.subscriptions, replace(ASKED, created_at_ms=4_000))
    assert not fourth.there_was
    assert stores.subscriptions.all(active=True) == [fourth.subscription]


def test_an_idempotency_key_returns_its_subscription_even_after_its_end(stores: Stores) -> None:
    first = subscribe(stores.subscriptions, ASKED, named=True)
    assert first == Subscribed(ASKED, there_was=False)
    ended = stores.subscriptions.end("asked", 2_000)
    assert subscribe(stores.subscriptions, ASKED, named=True) == Subscribed(ended, there_was=False)
    other = replace(ASKED, user_id="u2")
    assert subscribe(stores.subscriptions, other, named=True) == Subscribed(ended, there_was=False)


def test_subscribing_with_another_id_returns_the_existing_subscription(stores: Stores) -> None:
    first = subscribe(stores.subscriptions, ASKED, named=True).subscription
    again = subscribe(stores.subscriptions, replace(ASKED, id="other"), named=True)
    assert again == Subscribed(first, there_was=True)
    assert subscribe(stores.subscriptions, ASKED) == again


def test_concurrent_requests_create_one_subscription(stores: Stores, store_url: str) -> None:
    barrier = threading.Barrier(4)
    found: list[Subscribed] = []

    def ask(number: int) -> None:
        with open_stores(store_url, timeout_s=20) as own:
            barrier.wait(timeout=60)
            found.append(subscribe(own.subscriptions, replace(ASKED, id=f"{number}", created_at_ms=number)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(found) == 4
    assert {one.subscription.id for one in found} == {one.id for one in stores.subscriptions.all()}
    assert [one.there_was for one in found].count(False) == len(stores.subscriptions.all()) == 1
