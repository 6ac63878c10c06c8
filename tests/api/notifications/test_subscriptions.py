"""Subscriptions to summaries: creating, listing and ending them."""

from __future__ import annotations

from typing import Any

import pytest
from api_client import Api, add_key, problem, wrong
from examples import NOW_MS
from falcon.testing import Result
from sales import publish
from sending import NEW, NOTIFICATIONS, SUBSCRIPTIONS, contacts_of, send, subscription

from core.instants import iso_instant
from core.stores import open_stores
from core.stores.api_keys import Scope

pytest_plugins = ["notifications_fixtures"]

_FULL = subscription("tea/خانه", modes=["monthly", "daily"], locale="en", channels=["email"])


def _subscribe(api: Api, *, key: str | None = None, repeatable: str | None = None, **changes: Any) -> Result:
    return send(api, SUBSCRIPTIONS, subscription(**changes), key=key, repeatable=repeatable)


def _listed(api: Api, query: str = "", key: str | None = None) -> list[str]:
    return [reported["id"] for reported in api.ask(SUBSCRIPTIONS, query, key=key).json["subscriptions"]]


def test_a_subscription_is_stored_and_found_at_its_location(store_url: str) -> None:
    open_stores(store_url, timeout_s=10).close()
    api = Api(store_url)

    made = send(api, SUBSCRIPTIONS, _FULL)

    assert made.status_code == 201
    assert made.headers["location"] == f"{SUBSCRIPTIONS}/{made.json['id']}"
    reported = {"created_at": iso_instant(NOW_MS), "ended_at": None, "id": made.json["id"], "tenant": "operator"}
    stored = _FULL | reported | {"modes": ["daily", "monthly"]}
    assert made.json == stored | {"warnings": made.json["warnings"]}
    assert api.ask(made.headers["location"]).json == stored
    assert api.ask(SUBSCRIPTIONS).json == {"subscriptions": [stored], "next_cursor": None}


def test_a_list_has_current_merchant_names_in_the_requested_language(
    store_url: str,
) -> None:
    open_stores(store_url, timeout_s=10).close()
    api = Api(store_url)
    for merchant_id in ("tea", "nameless", None):
        assert send(api, SUBSCRIPTIONS, subscription(merchant_id)).status_code == 201

    def names(query: str) -> dict[str | None, object]:
        listed = api.ask(SUBSCRIPTIONS, query).json["subscriptions"]
        return {one["merchant_id"]: one.get("merchant_name", "no field") for one in listed}

    assert names("locale=fa") == {"tea": None, "nameless": None, None: None}
    with open_stores(store_url, timeout_s=10) as stores:
        assert stores.merchant_names.replace({"tea": {"fa": "چای‌خانه", "en": "Tea House"}}, after="", now_ms=5)
        assert names("locale=fa") == {"tea": "چای‌خانه", "nameless": None, None: None}
        assert names("locale=en&limit=1000")["tea"] == "Tea House"
        assert names("") == dict.fromkeys(["tea", "nameless", None], "no field")
        version = stores.merchant_names.version()
        assert stores.merchant_names.replace({"tea": {"en": "Tea Room"}}, after=version, now_ms=6)
    assert names("locale=fa")["tea"] == "Tea Room"
    assert wrong(api.ask(SUBSCRIPTIONS, "locale=tr")).keys() == {"locale"}


def test_a_subscription_to_all_merchants_must_be_explicit(api: Api) -> None:
    made = _subscribe(api, all_merchants=True).json

    assert (made["merchant_id"], made["all_merchants"], made["locale"]) == (None, True, "fa")


@pytest.mark.parametrize(
    ("whose", "parameter", "detail"),
    [
        ({}, "all_merchants", "must be true if merchant_id is not given"),
        ({"all_merchants": False}, "all_merchants", "must be true if merchant_id is not given"),
        ({"merchant_id": None}, "all_merchants", "must be true if merchant_id is not given"),
        ({"merchant_id": "x", "all_merchants": True}, "all_merchants", "must not be true if merchant_id is given"),
        ({"all_merchants": "true"}, "all_merchants", "must be true or false"),
        ({"all_merchants": 1}, "all_merchants", "must be true or false"),
        ({"all_merchants": None}, "all_merchants", "must be true or false"),
        ({"merchant_id": 7}, "merchant_id", "must be text, in quotes"),
    ],
    ids=str,
)
def test_exactly_one_way_to_select_merchants_is_required(
    api: Api, whose: dict[str, Any], parameter: str, detail: str
) -> None:
    body = {"user_id": "sara", "modes": ["daily"], "channels": ["sms"], **whose}
    reported = wrong(send(api, SUBSCRIPTIONS, body))

    assert reported.keys() == {parameter}
    assert reported[parameter].startswith(detail)
    assert _listed(api) == []


def _codes(answer: Result) -> list[str]:
    return [warning["code"] for warning in answer.json["warnings"]]


def test_warnings_list_what_prevents_delivery_until_it_is_configured(url: str) -> None:
    publish(url)
    api = Api(url, {"notify_senders": "sms=kavenegar,email=print"})
    first = _subscribe(api, merchant_id="nobody", channels=["sms", "email", "webhook"])
    assert first.status_code == 201
    assert first.json["warnings"] == [
        {
            "code": "unknown-merchant",
            "detail": "There are no summaries of merchant 'nobody' yet, so nothing is announced.",
        },
        {
            "code": "channel-not-set-up",
            "detail": "Messages over email are only logged, and reach nobody: its sender in NOTIFY_SENDERS is print.",
        },
        {
            "code": "channel-not-set-up",
            "detail": "Nothing is sent over webhook until NOTIFY_SENDERS names a sender for it.",
        },
        {
            "code": "no-address",
            "detail": "User sara has no address for sms, email, webhook, so these messages cannot be delivered yet.",
        },
    ]
    assert _codes(_subscribe(api, channels=["sms"])) == ["no-address"]
    send(api, contacts_of("sara"), {"contacts": {"sms": "09121234567"}}, method="PUT")
    again = _subscribe(api, channels=["sms"])
    assert (again.status_code, _codes(again)) == (200, [])
    assert _codes(_subscribe(api, channels=["sms"], merchant_id="shop-1")) == []
    assert set(wrong(_subscribe(api, channels=["fax"]))) == {"channels"}


def test_creating_the_same_subscription_again_returns_the_existing_one(api: Api) -> None:
    first = _subscribe(api, channels=["sms", "email"])
    again = _subscribe(api, channels=["email", "sms"])
    named = _subscribe(api, channels=["sms", "email"], repeatable="a")

    assert (again.status_code, again.json) == (named.status_code, named.json) == (200, first.json)
    assert "location" not in again.headers
    assert _listed(api) == [first.json["id"]]


def test_after_a_subscription_ends_the_same_request_creates_a_new_one(api: Api) -> None:
    first = _subscribe(api)
    send(api, first.headers["location"], {}, method="DELETE")
    second = _subscribe(api)

    assert second.status_code == 201
    assert _listed(api) == [second.json["id"]] != [first.json["id"]]


def test_a_list_is_paginated(api: Api) -> None:
    made = []
    for number in range(5):
        api.clock = lambda number=number: NOW_MS + number  # type: ignore[misc]
        made.append(_subscribe(api, user_id=f"u{number}").json["id"])
    listed, target = [], f"{SUBSCRIPTIONS}?limit=2"
    while target:
        path, _, query = target.partition("?")
        answer = api.ask(path, query)
        page = [reported["id"] for reported in answer.json["subscriptions"]]
        assert len(page) <= 2
        listed += page
        target = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
        assert target.partition("cursor=")[2] == (answer.json["next_cursor"] or "")

    assert listed == made


def test_a_page_does_not_reveal_subscriptions_to_other_merchants(api: Api, url: str) -> None:
    token, other = (
        add_key(url, [Scope.NOTIFICATIONS], [merchant_id], tenant="acme")
        for merchant_id in ("tea-house", "book-market")
    )
    for number, (key, merchant_id) in enumerate(
        [(other, "book-market"), (token, "tea-house"), (other, "book-market")] * 2
    ):
        api.clock = lambda number=number: NOW_MS + number  # type: ignore[misc]
        _subscribe(api, key=key, merchant_id=merchant_id, user_id=f"u{number}")

    first = api.ask(SUBSCRIPTIONS, "limit=1", key=token)
    assert [reported["user_id"] for reported in first.json["subscriptions"]] == ["u1"]
    path, _, query = first.headers["link"].partition(">")[0].removeprefix("<").partition("?")
    second = api.ask(path, query, key=token)
    assert [reported["user_id"] for reported in second.json["subscriptions"]] == ["u4"]
    assert "link" not in second.headers


@pytest.mark.parametrize(
    ("query", "names"),
    [("limit=0&cursor=", {"limit", "cursor"}), ("limit=1001", {"limit"}), ("cursor=x", {"cursor"})],
)
def test_invalid_pagination_parameters_are_reported(api: Api, query: str, names: set[str]) -> None:
    assert set(wrong(api.ask(SUBSCRIPTIONS, query))) == names


def test_a_cursor_of_another_list_is_refused(api: Api) -> None:
    for user_id in ("u1", "u2"):
        _subscribe(api, user_id=user_id)
        send(api, body=NEW | {"user_id": user_id})
    lists = (SUBSCRIPTIONS, NOTIFICATIONS)
    cursors = [api.ask(path, "limit=1").headers["link"].partition("cursor=")[2].partition(">")[0] for path in lists]
    for path, cursor in zip(lists, reversed(cursors), strict=True):
        assert set(wrong(api.ask(path, f"limit=1&cursor={cursor}"))) == {"cursor"}


def test_a_list_can_be_filtered_by_user(api: Api) -> None:
    mine, other = _subscribe(api).json["id"], _subscribe(api, user_id="رضا").json["id"]

    assert set(_listed(api)) == {mine, other}
    assert _listed(api, "user_id=%D8%B1%D8%B6%D8%A7") == [other]
    assert set(wrong(api.ask(SUBSCRIPTIONS, "user_id=&status=x"))) == {"user_id", "status"}


def test_an_ended_subscription_is_not_listed_and_keeps_its_end(api: Api) -> None:
    where = _subscribe(api).headers["location"]
    first = send(api, where, b"", method="DELETE")
    api.clock = lambda: NOW_MS + 5000
    again = send(api, where, {}, method="DELETE")

    assert (first.status_code, first.json["ended_at"]) == (200, iso_instant(NOW_MS))
    assert again.json == first.json == api.ask(where).json
    assert _listed(api) == []


@pytest.mark.parametrize("subscription_id", ["a" * 26, "x", "%00", "é"])
def test_an_unknown_subscription_id_is_not_found(api: Api, subscription_id: str) -> None:
    assert problem(api.ask(f"{SUBSCRIPTIONS}/{subscription_id}")) == (404, "unknown-subscription")
    answer = send(api, f"{SUBSCRIPTIONS}/{subscription_id}", {}, method="DELETE")
    assert problem(answer) == (404, "unknown-subscription")


def test_a_repeated_idempotency_key_returns_the_subscription_even_if_ended(api: Api) -> None:
    first = _subscribe(api, repeatable="a")
    api.clock = lambda: NOW_MS + 5000
    again = _subscribe(api, repeatable="a")
    send(api, first.headers["location"], {}, method="DELETE")
    ended = _subscribe(api, repeatable="a")

    assert (again.status_code, again.json, again.headers["location"]) == (201, first.json, first.headers["location"])
    assert (ended.status_code, ended.json["ended_at"]) == (201, iso_instant(NOW_MS + 5000))


@pytest.mark.parametrize(
    "change",
    [{"user_id": "reza"}, {"modes": ["weekly"]}, {"channels": ["email"]}, {"merchant_id": "x"}, {"locale": "en"}],
)
def test_another_request_with_the_same_idempotency_key_is_refused(api: Api, change: dict[str, Any]) -> None:
    _subscribe(api, repeatable="a")

    assert problem(_subscribe(api, repeatable="a", **change)) == (422, "idempotency-conflict")
    assert len(_listed(api)) == 1


def test_notifications_and_subscriptions_have_separate_idempotency_keys(api: Api) -> None:
    notification, subscription = send(api, repeatable="a"), _subscribe(api, repeatable="a")

    assert (notification.status_code, subscription.status_code) == (201, 201)
    assert notification.json["id"] != subscription.json["id"]


def test_subscribing_requires_a_key_that_may_read_these_summaries(api: Api, url: str) -> None:
    token = add_key(url, [Scope.NOTIFICATIONS], ["tea-house"])

    assert _subscribe(api, key=token, merchant_id="tea-house").status_code == 201
    assert problem(_subscribe(api, key=token, merchant_id="book-market")) == (403, "out-of-scope")
    assert problem(_subscribe(api, key=token)) == (403, "out-of-scope")
    of_all = add_key(url, [Scope.NOTIFICATIONS, Scope.SUMMARIES])
    assert _subscribe(api, key=of_all, user_id="reza").status_code == 201


def test_subscriptions_to_summaries_that_the_key_may_not_read_are_hidden(api: Api, url: str) -> None:
    everything = add_key(url, [Scope.NOTIFICATIONS, Scope.SUMMARIES])
    token = add_key(url, [Scope.NOTIFICATIONS], ["tea-house"], tenant="acme")
    mine, *others = (
        send(api, SUBSCRIPTIONS, subscription(merchant_id), "tenant=acme", key=everything)
        for merchant_id in ("tea-house", "book-market", None)
    )

    assert _listed(api, key=token) == [mine.json["id"]]
    assert api.ask(mine.headers["location"], key=token).status_code == 200
    for other in others:
        assert problem(api.ask(other.headers["location"], key=token)) == (403, "out-of-scope")
        refused = send(api, other.headers["location"], {}, method="DELETE", key=token)
        assert problem(refused) == (403, "out-of-scope")
        assert api.ask(other.headers["location"], key=everything).json["ended_at"] is None
