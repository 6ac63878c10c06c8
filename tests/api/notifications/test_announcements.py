"""Announcements contain the figures of merchants: only keys that may read those can read or redirect them.

This is what limits keys of one tenant, and those of the operator; ``test_tenants.py`` is about what limits tenants.
"""

from __future__ import annotations

import pytest
from api_client import Api, add_key, problem
from examples import NOW_MS
from sending import NOTIFICATIONS, SUBSCRIPTIONS, append_events, contacts_of, send, subscription

from core.notifications.events import EventKind
from core.notifications.model import Notification, new_id
from core.stores import open_stores
from core.stores.api_keys import Scope

pytest_plugins = ["notifications_fixtures"]

_MERCHANTS = ("tea-house", "book-market", None)


@pytest.fixture
def announced(url: str) -> dict[str | None, str]:
    """The ids of announcements of the tenant acme, by merchant."""
    with open_stores(url, timeout_s=10) as stores:
        made = {
            merchant_id: Notification(
                new_id(),
                "sara",
                "t",
                "b",
                ("sms",),
                "en",
                NOW_MS,
                announces=True,
                merchant_id=merchant_id,
                tenant="acme",
            )
            for merchant_id in _MERCHANTS
        }
        for notification in made.values():
            stores.notifications.add(notification, NOW_MS)
    return {merchant_id: notification.id for merchant_id, notification in made.items()}


@pytest.fixture
def key(url: str) -> str:
    """One of the tenant that may read one merchant."""
    return add_key(url, [Scope.NOTIFICATIONS], ["tea-house"], tenant="acme")


@pytest.fixture
def everything(url: str) -> str:
    """One of the operator that may read all."""
    return add_key(url, [Scope.NOTIFICATIONS, Scope.SUMMARIES])


def _ids(api: Api, key: str, query: str = "") -> set[str]:
    return {reported["id"] for reported in api.ask(NOTIFICATIONS, query, key=key).json["notifications"]}


def test_a_list_hides_announcements_of_other_merchants(
    api: Api, url: str, announced: dict[str | None, str], key: str, everything: str
) -> None:
    message = send(api, key=key).json["id"]

    assert _ids(api, key) == {message, announced["tea-house"]}
    assert _ids(api, key, "user_id=sara&status=pending") == {message, announced["tea-house"]}
    assert _ids(api, add_key(url, [Scope.NOTIFICATIONS])) == {message}
    assert _ids(api, everything) == {message, *announced.values()}


def test_a_page_does_not_reveal_that_announcements_are_hidden(
    api: Api, announced: dict[str | None, str], key: str
) -> None:
    answer = api.ask(NOTIFICATIONS, "limit=1", key=key)

    assert [reported["id"] for reported in answer.json["notifications"]] == [announced["tea-house"]]
    assert "link" not in answer.headers


def test_announcements_of_other_merchants_cannot_be_read_retried_or_cancelled(
    api: Api, url: str, queued: list[str], announced: dict[str | None, str], key: str, everything: str
) -> None:
    for notification_id in (announced["book-market"], announced[None]):
        path = f"{NOTIFICATIONS}/{notification_id}"
        assert problem(api.ask(path, key=key)) == (403, "out-of-scope")
        assert problem(send(api, f"{path}/cancel", {}, key=key)) == (403, "out-of-scope")
        append_events(url, notification_id, "sms", EventKind.ATTEMPT, EventKind.DEAD, at_ms=NOW_MS)
        assert problem(send(api, f"{path}/retry", {}, key=key)) == (403, "out-of-scope")
        assert api.ask(path, key=everything).json["status"] == "failed"
    assert queued == []


def test_announcements_of_the_own_merchant_can_be_read_retried_and_cancelled(
    api: Api, url: str, announced: dict[str | None, str], key: str
) -> None:
    path = f"{NOTIFICATIONS}/{announced['tea-house']}"
    append_events(url, announced["tea-house"], "sms", EventKind.ATTEMPT, EventKind.DEAD, at_ms=NOW_MS)

    assert api.ask(path, key=key).json["status"] == "failed"
    assert send(api, f"{path}/retry", {}, key=key).json["status"] == "pending"
    assert send(api, f"{path}/cancel", {}, key=key).json["status"] == "cancelled"


@pytest.mark.parametrize("merchant_id", ["book-market", None])
def test_contacts_of_a_user_subscribed_to_other_merchants_are_not_replaced(
    api: Api, key: str, everything: str, merchant_id: str | None
) -> None:
    path, mine, other = contacts_of("sara"), {"sms": "+989123456789"}, {"sms": "+989351112233"}
    whose = "tenant=acme"
    subscribed = send(api, SUBSCRIPTIONS, subscription(merchant_id), whose, key=everything)
    send(api, path, {"contacts": mine}, whose, method="PUT", key=everything)

    refused = send(api, path, {"contacts": other}, method="PUT", key=key)
    assert problem(refused) == (403, "out-of-scope")
    assert api.ask(path, key=key).json["contacts"] == mine

    send(api, subscribed.headers["location"], {}, method="DELETE", key=everything)
    assert send(api, path, {"contacts": other}, method="PUT", key=key).json["contacts"] == other


def test_contacts_of_a_user_subscribed_to_the_own_merchant_are_replaced(api: Api, key: str) -> None:
    send(api, SUBSCRIPTIONS, subscription("tea-house"), key=key)

    answer = send(api, contacts_of("sara"), {"contacts": {"sms": "+989123456789"}}, method="PUT", key=key)

    assert answer.status_code == 200
