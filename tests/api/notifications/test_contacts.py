"""Contacts of users: addresses in normal form, validation, any user id."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote

import pytest
from api_client import Api, add_key, error_codes, problem, wrong
from sending import NOTIFICATIONS, contacts_of, made, send

from core.stores import open_stores
from core.stores.api_keys import Scope

pytest_plugins = ["notifications_fixtures"]

_SARA = contacts_of("sara")
_USERS = "/api/contacts"
_ALL = {
    "sms": "0912 345 6789",
    "email": "Sara@EXAMPLE.com",
    "telegram": "@sara_shop",
    "webhook": "https://Shop.example/hook?a=1",
}
_KEPT = {
    "sms": "+989123456789",
    "email": "Sara@example.com",
    "telegram": "@sara_shop",
    "webhook": "https://shop.example/hook?a=1",
}


def _put(api: Api, contacts: Any, path: str = _SARA) -> Any:
    return send(api, path, {"contacts": contacts}, method="PUT")


def test_addresses_are_stored_and_returned_in_normal_form(store_url: str) -> None:
    open_stores(store_url, timeout_s=10).close()
    api = Api(store_url)

    answer = _put(api, _ALL)

    assert (answer.status_code, answer.json) == (200, {"tenant": "operator", "user_id": "sara", "contacts": _KEPT})
    assert api.ask(_SARA).json == answer.json


def test_an_unknown_user_has_no_contacts(api: Api) -> None:
    assert api.ask(contacts_of("nobody")).json == {"tenant": "operator", "user_id": "nobody", "contacts": {}}


def test_a_put_replaces_all_addresses(api: Api) -> None:
    _put(api, _ALL)

    assert _put(api, {"sms": "+989351112233"}).json["contacts"] == {"sms": "+989351112233"}
    assert _put(api, {}).json["contacts"] == api.ask(_SARA).json["contacts"] == {}


def test_every_error_is_reported_at_once_and_nothing_is_stored(api: Api) -> None:
    _put(api, _ALL)
    contacts = {"sms": "12", "email": "sara", "telegram": 5, "webhook": "ftp://x", "fax": "1"}

    answer = send(api, _SARA, {"contacts": contacts, "x": 1}, method="PUT")

    assert set(wrong(answer)) == {"x", *(f"contacts.{channel}" for channel in contacts)}
    assert "12" not in wrong(answer)["contacts.sms"]
    assert error_codes(answer) == {
        "x": "unknown",
        "contacts.sms": "no-such-phone-number",
        "contacts.email": "no-email-address",
        "contacts.telegram": "wrong-type",
        "contacts.webhook": "no-web-url",
        "contacts.fax": "unknown-channel",
    }
    assert api.ask(_SARA).json["contacts"] == _KEPT


@pytest.mark.parametrize(
    "contacts",
    [
        None,
        [],
        "sms",
        {"sms": None},
        {"sms": ""},
        {"sms": ["+989123456789"]},
        {"email": "a\ud800@b.example"},
        {"webhook": "https://x.example/" + "a" * 2048},
        {f"c{number}": "x" for number in range(17)},
    ],
)
def test_an_invalid_address_is_refused(api: Api, contacts: Any) -> None:
    assert wrong(_put(api, contacts))


def test_the_contacts_field_is_required(api: Api) -> None:
    assert wrong(send(api, _SARA, {}, method="PUT")) == {"contacts": "is required"}


@pytest.mark.parametrize(
    "user_id",
    [
        "a/b",
        "/",
        "//",
        "a//b/",
        "contacts",
        "x/contacts",
        "50%",
        "%2F",
        "a b+c",
        "سارا",
        "🎉",
        "a?b#c",
        "..",
        "a;b=c",
        "ش" * 128,
    ],
)
def test_a_user_id_may_contain_any_character(api: Api, user_id: str) -> None:
    path = contacts_of(quote(user_id, safe=""))

    assert _put(api, {"sms": "09123456789"}, path).json == api.ask(path).json
    assert api.ask(path).json == {
        "tenant": "operator",
        "user_id": user_id,
        "contacts": {"sms": "+989123456789"},
    }


def test_similar_user_ids_are_different_users(api: Api) -> None:
    for user_id in ("a", "A", "a/", "a ", "%61", "a/contacts", "\u0643", "\u06a9"):
        _put(api, {"telegram": f"@name_{ord(user_id[0])}_{len(user_id)}"}, contacts_of(quote(user_id, safe="")))

    assert api.ask(contacts_of("a")).json["contacts"] == {"telegram": "@name_97_1"}
    assert api.ask(contacts_of("%D9%83")).json["contacts"] == {"telegram": "@name_1603_1"}


@pytest.mark.parametrize("encoded", ["%ff", "%ed%a0%80", "a%00b", "a%0ab", "%ef%bf%bd", "u" * 129, "%e2%80%a8"])
def test_an_invalid_user_id_is_refused(api: Api, encoded: str) -> None:
    assert set(wrong(api.ask(contacts_of(encoded)))) == {"user_id"}
    assert set(wrong(_put(api, {}, contacts_of(encoded)))) == {"user_id"}


@pytest.mark.parametrize(
    "path", ["/api/users//contacts", "/api/users/contacts", "/api/users/a/contacts/", "/api/users/a"]
)
def test_a_malformed_user_path_is_not_found(api: Api, path: str) -> None:
    assert problem(api.ask(path)) == (404, "not-found")


def test_users_are_listed_in_pages_of_one_tenant(api: Api, url: str) -> None:
    token = add_key(url, [Scope.NOTIFICATIONS], tenant="acme")
    for user_id in ("b", "a", "رضا/1"):
        _put(api, {"sms": "09123456789"}, contacts_of(quote(user_id, safe="")))
    send(api, contacts_of("c"), {"contacts": {"telegram": "@cactus"}}, method="PUT", key=token)

    first = api.ask(_USERS, "limit=2")
    assert [user["user_id"] for user in first.json["users"]] == ["a", "b"]
    query = first.headers["link"][1:].partition("?")[2].partition(">")[0]
    assert parse_qs(query)["cursor"] == [first.json["next_cursor"]]
    assert api.ask(_USERS, query).json == {
        "users": [{"tenant": "operator", "user_id": "رضا/1", "contacts": {"sms": "+989123456789"}}],
        "next_cursor": None,
    }
    of_acme = {"users": [{"tenant": "acme", "user_id": "c", "contacts": {"telegram": "@cactus"}}], "next_cursor": None}
    assert api.ask(_USERS, key=token).json == api.ask(_USERS, "tenant=acme").json == of_acme


def test_users_are_listed_only_to_keys_of_the_scope_and_tenant(api: Api, url: str) -> None:
    token = add_key(url, [Scope.NOTIFICATIONS], tenant="acme")
    assert problem(api.ask(_USERS, "tenant=operator", key=token)) == (403, "out-of-scope")
    assert problem(api.ask(_USERS, key=add_key(url, [Scope.SUMMARIES]))) == (403, "out-of-scope")
    assert set(wrong(api.ask(_USERS, "tenant=nobody"))) == {"tenant"}
    assert set(wrong(api.ask(_USERS, "limit=0&cursor=x&user_id=a"))) == {"limit", "user_id"}
    assert set(wrong(api.ask(_USERS, "cursor=x"))) == {"cursor"}


def test_a_notification_shows_the_masked_addresses_of_its_user(api: Api) -> None:
    assert api.ask(f"{NOTIFICATIONS}/{made(api)}").json["addresses"] == {}
    _put(api, {"email": "sara@example.com", "telegram": "@sara_shop"})
    assert api.ask(f"{NOTIFICATIONS}/{made(api)}").json["addresses"] == {"email": "s***@example.com"}
