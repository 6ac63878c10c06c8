"""Equal user ids in several tenants, and data from before tenants existed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from api_client import Api, add_key, problem, wrong
from examples import NOW_MS
from sending import NEW, NOTIFICATIONS, SUBSCRIPTION, SUBSCRIPTIONS, contacts_of, send, subscription

from core.notifications.model import Notification, derived_id, digest_of
from core.stores import open_stores
from core.stores.api_keys import Scope

pytest_plugins = ["notifications_fixtures"]

_MINE, _THEIRS = {"sms": "+989123456789"}, {"sms": "+989351112233"}
_SARA = contacts_of("sara")


@pytest.fixture
def acme(url: str) -> str:
    """A key of the tenant acme, which may read the summaries of a merchant."""
    return add_key(url, [Scope.NOTIFICATIONS], ["tea-house"], tenant="acme")


def _put(api: Api, contacts: dict[str, str], query: str = "", key: str | None = None) -> int:
    return send(api, _SARA, {"contacts": contacts}, query, method="PUT", key=key).status_code


def test_a_user_of_one_tenant_is_read_without_a_tenant_parameter(api: Api, acme: str) -> None:
    assert api.ask(_SARA).json == {"tenant": "operator", "user_id": "sara", "contacts": {}}
    _put(api, _THEIRS, key=acme)
    assert api.ask(_SARA).json == {"tenant": "acme", "user_id": "sara", "contacts": _THEIRS}


def test_the_operator_must_name_the_tenant_of_an_ambiguous_user_id(api: Api, acme: str) -> None:
    assert _put(api, _MINE) == 200
    assert _put(api, _THEIRS, key=acme) == 200

    reported = wrong(api.ask(_SARA))
    assert reported == {"tenant": "is required, because these tenants may have a user with this id: acme, operator"}
    assert api.ask(_SARA, "tenant=acme").json["contacts"] == _THEIRS
    assert api.ask(_SARA, "tenant=operator").json["contacts"] == _MINE
    assert api.ask(_SARA, key=acme).json["contacts"] == _THEIRS


def test_messages_of_the_operator_never_go_to_a_user_of_a_tenant(api: Api, acme: str) -> None:
    """Otherwise a tenant that guesses a user id would receive messages of the operator's user, or its address."""
    _put(api, _THEIRS, key=acme)

    writes = (
        (NOTIFICATIONS, "POST", NEW),
        (SUBSCRIPTIONS, "POST", SUBSCRIPTION),
        (_SARA, "PUT", {"contacts": _MINE}),
    )
    for path, method, body in writes:
        assert set(wrong(send(api, path, body, method=method))) == {"tenant"}
        for tenant in ("operator", "acme"):
            answer = send(api, path, body, f"tenant={tenant}", method=method)
            assert (answer.status_code in (200, 201), answer.json["tenant"]) == (True, tenant)
    assert send(api, body=NEW | {"user_id": "reza"}).json["tenant"] == "operator"


def test_a_user_with_only_a_subscription_belongs_to_the_tenant(api: Api, acme: str) -> None:
    send(api, SUBSCRIPTIONS, subscription("tea-house"), key=acme)
    assert "acme" in wrong(send(api, _SARA, {"contacts": _MINE}, method="PUT"))["tenant"]


@pytest.mark.parametrize("path", [NOTIFICATIONS, SUBSCRIPTIONS, _SARA])
def test_an_unknown_tenant_is_named_to_the_operator_only(api: Api, url: str, acme: str, path: str) -> None:
    add_key(url, [Scope.NOTIFICATIONS], tenant="other")
    assert "keys list" in wrong(api.ask(path, "tenant=acmee"))["tenant"]
    refused = [api.ask(path, f"tenant={name}", key=acme) for name in ("acmee", "other", "operator")]
    assert {problem(answer) for answer in refused} == {(403, "out-of-scope")}
    assert len({answer.json["detail"] for answer in refused}) == 1
    assert api.ask(path, "tenant=acme", key=acme).status_code == 200
    assert set(wrong(api.ask(path, "tenant=&x=1"))) == {"tenant", "x"}


def test_an_idempotent_retry_works_after_a_tenant_creates_the_same_user_id(api: Api, acme: str) -> None:
    first = [send(api, repeatable="a"), send(api, SUBSCRIPTIONS, SUBSCRIPTION, repeatable="a")]
    _put(api, _THEIRS, key=acme)

    again = [send(api, repeatable="a"), send(api, SUBSCRIPTIONS, SUBSCRIPTION, repeatable="a")]

    assert [answer.json for answer in again] == [answer.json for answer in first]
    assert problem(send(api, query="tenant=acme", repeatable="a")) == (422, "idempotency-conflict")


@pytest.mark.parametrize("tenant", ["acme", "operator"])
def test_an_idempotency_key_from_before_tenants_is_recognised(api: Api, url: str, acme: str, tenant: str) -> None:
    key_id = acme.split("_")[1]
    digest = digest_of(NEW["user_id"], NEW["title"], NEW["body"], "fa", "None", *NEW["channels"])
    earlier = Notification(
        id=derived_id("idempotency", "notification", key_id, "order-1"),
        user_id=NEW["user_id"],
        title=NEW["title"],
        body=NEW["body"],
        channels=tuple(NEW["channels"]),
        locale="fa",
        created_at_ms=NOW_MS - 1000,
        sender_key_id=key_id,
        request_digest=digest,
        tenant=tenant,
    )
    with open_stores(url, timeout_s=10) as stores:
        stores.notifications.add(earlier, NOW_MS)
        stores.notifications.add(replace(earlier, id=derived_id("other")), NOW_MS)

    repeated = send(api, key=acme, repeatable="order-1")

    assert (repeated.status_code, repeated.json["id"] == earlier.id) == (201, tenant == "acme")
    changed = send(api, body=NEW | {"title": "t"}, key=acme, repeatable="order-1")
    assert problem(changed) == (422, "idempotency-conflict")
