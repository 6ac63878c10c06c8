"""Validation of request bodies: every invalid body is a client error with an explanation, and nothing is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_client import Api, add_key, document, error_codes, problem, wrong
from sending import JSON, NEW, NOTIFICATIONS, SUBSCRIPTION, SUBSCRIPTIONS, contacts_of, made, send

from core.stores.api_keys import Scope

pytest_plugins = ["notifications_fixtures"]

_DEEP = 30_000


def _listed(api: Api) -> list[Any]:
    found: list[Any] = api.ask(NOTIFICATIONS).json["notifications"]
    return found


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"null", b"[]", b'"x"', b"1", b"{", b"{}x", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"{'a': 1}",
        '{"title": "\u06f1"'.encode("utf-16"), b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * _DEEP, b'{"a":' * 10_000, b'{"a":1,"a":1}', b'{"x":{"a":1,"a":1}}', b'{"\\ud800":1}', b"user_id=sara",
    ],
    ids=lambda raw: repr(raw[:16]),
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused(api: Api, raw: bytes) -> None:
    for path, method in ((NOTIFICATIONS, "POST"), (SUBSCRIPTIONS, "POST"), (contacts_of("sara"), "PUT")):
        assert problem(send(api, path, raw, method=method)) == (400, "bad-request")


def test_a_duplicate_json_member_is_named(api: Api) -> None:
    assert "'title'" in document(send(api, body=b'{"title":"a","title":"b"}'))["detail"]


def test_every_error_is_reported_at_once(api: Api) -> None:
    body = {"title": "a\nb", "body": " \n", "channels": ["fax", "sms", "sms"], "locale": "de", "expires_at": 1, "x": 1}

    assert wrong(send(api, body=body)) == {
        "user_id": "is required",
        "title": "has line breaks or tabs",
        "body": "is blank",
        "channels": "'fax' is not a channel of this server (email, sms, telegram, webhook); must not be repeated: sms",
        "locale": "is not one of 'fa' or 'en'",
        "expires_at": "must be an instant with its offset from UTC, such as 2026-11-23T18:00:00Z",
        "x": "is not a field here",
    }
    assert _listed(api) == []


def test_each_error_has_a_code_for_programs(api: Api) -> None:
    body = {"title": "a\nb", "body": " \n", "channels": ["sms", "sms"], "locale": "de", "expires_at": 1, "x": 1}
    assert error_codes(send(api, body=body)) == {
        "user_id": "missing",
        "title": "line-breaks",
        "body": "blank",
        "channels": "repeated",
        "locale": "not-a-choice",
        "expires_at": "invalid",
        "x": "unknown",
    }
    body = {"user_id": "\u0000", "title": "a" * 201, "body": 5, "channels": ["{fax}"], "locale": "fa"}
    assert error_codes(send(api, body=body)) == {
        "user_id": "control-characters",
        "title": "too-long",
        "body": "wrong-type",
        "channels": "unknown-channel",
    }
    assert error_codes(api.ask(NOTIFICATIONS, "limit=0&limits=1&user_id=a&user_id=b")) == {
        "limit": "out-of-range",
        "limits": "unknown",
        "user_id": "repeated",
    }
    assert error_codes(send(api, SUBSCRIPTIONS, SUBSCRIPTION | {"all_merchants": True}, "tenant=nobody")) == {
        "tenant": "unknown-tenant"
    }
    assert error_codes(api.ask(contacts_of("%ef%bf%bd"))) == {"user_id": "not-utf-8"}


@pytest.mark.parametrize(
    ("member", "value", "detail"),
    [
        ("user_id", "", "is empty"),
        ("user_id", "u" * 129, "is longer than 128 characters"),
        ("user_id", "a\u2028b", "has line breaks or tabs"),
        ("user_id", "\ufffd", "is not UTF-8"),
        ("user_id", 7, "must be text, in quotes"),
        ("title", "t" * 201, "is longer than 200 characters"),
        ("title", "\u00a0\u3000", "is blank"),
        ("title", "a\x00b", "has control characters"),
        ("title", "a\ud800b", "is not Unicode text"),
        ("body", "b" * 4001, "is longer than 4000 characters"),
        ("body", "a\x1bb", "has control characters"),
        ("body", "a\rb", "has control characters"),
        ("body", None, "must be text, in quotes"),
        ("user_id", 12.5, "must be text, in quotes"),
        ("user_id", 10**30, "must be text, in quotes"),
        ("body", ["a"], "must be text, in quotes"),
        ("channels", [], "is empty"),
        ("channels", "sms", "must be a list"),
        ("channels", {"sms": 1}, "must be a list"),
        ("channels", ["sms"] * 17, "has more than 16"),
        ("locale", None, "is not one of 'fa' or 'en'"),
    ],
)
def test_a_wrong_value_is_reported(api: Api, member: str, value: Any, detail: str) -> None:
    assert wrong(send(api, body=NEW | {member: value})) == {member: detail}
    assert _listed(api) == []


def test_values_of_the_maximum_length_are_accepted(api: Api) -> None:
    assert made(api, user_id="ش" * 128, title="🎉" * 200, body="🎉" * 4000)


def test_only_configured_channels_are_accepted(url: str) -> None:
    api = Api(url, {"notify_senders": "pigeon=print"})

    assert wrong(send(api)) == {
        "channels": "'sms' is not a channel of this server (pigeon); 'email' is not a channel of this server (pigeon)"
    }
    assert made(api, channels=["pigeon"])


def test_the_number_of_reported_errors_is_limited(api: Api) -> None:
    raw = json.dumps(NEW | {f"m{number}": 1 for number in range(5000)}).encode()

    answer = send(api, body=raw)

    assert len(wrong(answer)) == 50
    assert len(answer.content) < len(raw) / 4


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_a_body_of_another_type_is_refused_with_a_key_too(api: Api, url: str, content_type: str | None) -> None:
    token = add_key(url, [Scope.NOTIFICATIONS])
    headers = {} if content_type is None else {"Content-Type": content_type}

    for path in (NOTIFICATIONS, SUBSCRIPTIONS):
        answer = api.ask(path, method="POST", key=token, headers=headers, body=json.dumps(NEW).encode())
        assert problem(answer) == (415, "unsupported-media-type")


def test_json_may_name_its_charset(api: Api) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}

    assert api.ask(NOTIFICATIONS, method="POST", headers=headers, body=json.dumps(NEW).encode()).status_code == 201


@pytest.mark.parametrize("action", ["retry", "cancel"])
def test_a_request_without_a_body_needs_no_content_type(api: Api, url: str, action: str) -> None:
    path = f"{NOTIFICATIONS}/{made(api)}/{action}"
    expected = {"retry": 409, "cancel": 200}[action]
    assert api.ask(path, method="POST").status_code == expected
    assert api.ask(path, method="POST", headers=JSON).status_code == expected
    token = add_key(url, [Scope.NOTIFICATIONS])
    api.moment.advance()

    assert api.ask(path, method="POST", key=token).status_code == expected
    assert problem(api.ask(path, method="POST", key=token, body=b"{}")) == (415, "unsupported-media-type")


@pytest.mark.parametrize(("kilobytes", "expected"), [(1, 413), (2, 201)])
def test_the_maximum_body_size_is_a_setting(url: str, kilobytes: int, expected: int) -> None:
    raw = json.dumps(NEW | {"body": "x" * 1500}).encode()

    assert send(Api(url, {"api_max_body_kb": kilobytes}), body=raw).status_code == expected


def test_a_body_of_exactly_the_maximum_size_is_accepted(api: Api) -> None:
    raw = json.dumps(NEW).encode()

    assert send(api, body=raw + b" " * (65_536 - len(raw))).status_code == 201
    assert problem(send(api, body=raw + b" " * (65_537 - len(raw)))) == (413, "body-too-large")


def test_a_subscription_is_checked_like_a_notification(api: Api) -> None:
    body = SUBSCRIPTION | {"modes": ["daily", "hourly"], "channels": ["fax"], "merchant_id": "", "user_id": "a\tb"}

    assert wrong(send(api, SUBSCRIPTIONS, body)) == {
        "user_id": "has line breaks or tabs",
        "merchant_id": "is empty",
        "modes.1": "is not one of 'daily', 'weekly' or 'monthly'",
        "channels": "'fax' is not a channel of this server (email, sms, telegram, webhook)",
    }
    assert wrong(send(api, SUBSCRIPTIONS, SUBSCRIPTION | {"modes": ["daily", "daily"]}))["modes"]
