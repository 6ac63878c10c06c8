"""Tenant isolation: a key reads, changes, cancels, redirects, counts and reveals only data of its own tenant.

Every route of the application is in `RULES`. Each kind of key walks through all of them, with what belongs to each
owner in the path, in the query and in the body. A tenant's key does so twice: in a store that has everybody's things,
and in one that has its own only. It must get the same answers, and must leave the things of others as they were.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

import pytest
from api_client import KEYS_ONLY, Api, problem, wrong
from examples import NOW_MS
from falcon import inspect
from falcon.testing import Result
from sales import published_in
from sending import NEW, NOTIFICATIONS, SUBSCRIPTIONS, append_events, subscription

from api.auth.api_keys import digest_of, new_token
from api.auth.sessions import SESSION_COOKIE, SESSION_LIFETIME_S
from api.openapi.operations import OPERATIONS
from core.calendar import Mode
from core.notifications.events import EventKind
from core.notifications.model import Notification, derived_id
from core.stores import open_stores
from core.stores.api_keys import ApiKey, Scope
from core.stores.sessions import Session
from core.stores.subscriptions import Subscription
from core.tenants import OPERATOR

MERCHANT: Final = "shop-1"
"""All owners may read its summaries, so the merchant never separates them."""
OWNERS: Final = {
    "the operator": OPERATOR,
    "acme": "acme",
    "the merchant": ApiKey("", "", b"", frozenset(), frozenset({MERCHANT}), 0).tenant,
}
"""The tenants whose things are in the store, by what tests call them."""
PHONES: Final = {owner: f"+98912765430{number}" for number, owner in enumerate(OWNERS)}


class Rule(Enum):
    """How a route is limited to data of the caller's tenant."""

    PAGE = auto()
    """Its response is the same for every caller, without data of a tenant."""
    SUMMARIES = auto()
    """It is limited by merchant, see ``test_keys.py``."""
    SELF = auto()
    """It is about the caller only."""
    OPERATE = auto()
    """It is about the whole service, for the operator only."""
    LIST = auto()
    """It shows what belongs to the caller's tenant."""
    WHOLE = auto()
    """It lists or counts what belongs to the caller's tenant."""
    ROW = auto()
    """It is about one object; those of other tenants are not found."""
    USER = auto()
    """It is about the user of that id of the caller's tenant."""
    MAKE = auto()
    """It creates an object of the caller's tenant."""
    ALL = auto()
    """It changes all that belongs to the caller's tenant and matches a filter."""


RULES: Final[Mapping[tuple[str, str], Rule]] = {
    ("GET", "/"): Rule.PAGE,
    ("GET", "/notifications"): Rule.PAGE,
    ("GET", "/subscriptions"): Rule.PAGE,
    ("GET", "/contacts"): Rule.PAGE,
    ("GET", "/sign-in"): Rule.PAGE,
    ("GET", "/assets/{name}"): Rule.PAGE,
    ("GET", "/assets/docs/{file}"): Rule.PAGE,
    ("GET", "/docs"): Rule.PAGE,
    ("GET", "/openapi.json"): Rule.PAGE,
    ("GET", "/problems/{slug}"): Rule.PAGE,
    ("GET", "/healthz"): Rule.PAGE,
    ("GET", "/readyz"): Rule.PAGE,
    ("GET", "/api/transactions/summary"): Rule.SUMMARIES,
    ("GET", "/api/merchants"): Rule.SUMMARIES,
    ("GET", "/api/me"): Rule.SELF,
    ("POST", "/api/session"): Rule.SELF,
    ("DELETE", "/api/session"): Rule.SELF,
    ("GET", "/api/status"): Rule.OPERATE,
    ("GET", "/metrics"): Rule.OPERATE,
    ("GET", "/api/notifications"): Rule.LIST,
    ("GET", "/api/subscriptions"): Rule.LIST,
    ("GET", "/api/notifications/counts"): Rule.WHOLE,
    ("GET", "/api/contacts"): Rule.WHOLE,
    ("GET", "/api/notifications/{notification_id}"): Rule.ROW,
    ("GET", "/api/subscriptions/{subscription_id}"): Rule.ROW,
    ("GET", "/api/users/{user_id}/contacts"): Rule.USER,
    ("POST", "/api/notifications"): Rule.MAKE,
    ("POST", "/api/subscriptions"): Rule.MAKE,
    ("PUT", "/api/users/{user_id}/contacts"): Rule.USER,
    ("POST", "/api/notifications/{notification_id}/cancel"): Rule.ROW,
    ("POST", "/api/notifications/{notification_id}/retry"): Rule.ROW,
    ("POST", "/api/notifications/retry"): Rule.ALL,
    ("DELETE", "/api/subscriptions/{subscription_id}"): Rule.ROW,
}
"""The rule of every route, by method and path, in the order in which they are walked: first those that only read."""

_DOCUMENTED_AS: Final = {"/api/users/{user_id:and_contacts}": "/api/users/{user_id}/contacts"}
_WHATS: Final = {
    "/api/notifications/{notification_id}/retry": ("dead",),
    "/api/subscriptions/{subscription_id}": ("subscription",),
}
"""The object requested on these routes; on others it is a notification that was not sent yet."""
_BODIES: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    ("PUT", "/api/users/{user_id}/contacts"): {"contacts": {"sms": "+989351112233"}},
    ("POST", "/api/notifications/retry"): {"statuses": ["unknown"]},
}
_CHANGES: Final = frozenset({"x-request-id", "date"})


@dataclass(frozen=True)
class Kind:
    """A kind of key.

    :param owner: for whom it acts.
    :param sees: whether its scopes let it do all that this owner can do with messages and subscriptions.
    """

    owner: str
    scopes: tuple[Scope, ...]
    merchants: tuple[str, ...] = ()
    tenant: str | None = None
    sees: bool = True


TENANT_KINDS: Final[Mapping[str, Kind]] = {
    "of a tenant": Kind("acme", (Scope.NOTIFICATIONS,), (MERCHANT,), "acme"),
    "of a tenant, without merchants": Kind("acme", (Scope.NOTIFICATIONS,), tenant="acme", sees=False),
    "of a tenant, without scopes": Kind("acme", (), (MERCHANT,), "acme", sees=False),
    "of a tenant, with all scopes": Kind("acme", tuple(Scope), (MERCHANT,), "acme"),
    "of a merchant": Kind("the merchant", (Scope.NOTIFICATIONS,), (MERCHANT,)),
    "of a merchant, with all scopes": Kind("the merchant", tuple(Scope), (MERCHANT,)),
}
OPERATOR_KINDS: Final = ("key", "session", "none, on this host")

_OWNER_OF: Final = {"key": "the operator"} | {name: kind.owner for name, kind in TENANT_KINDS.items()}
_TOKENS: Final = {kind: new_token() for kind in (*TENANT_KINDS, *OPERATOR_KINDS)}
"""Id and token of each kind, the same in all stores."""


@dataclass
class World:
    """A store with objects of some owners, and the API over it."""

    url: str
    api: Api

    def tables(self) -> dict[str, dict[str, list[tuple[Any, ...]]]]:
        """The stored objects of each tenant."""
        path = self.url.removeprefix("sqlite:///")
        found: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
        with closing(sqlite3.connect(path)) as connection:
            for table, query in _TABLES.items():
                for tenant, *row in connection.execute(query):
                    found.setdefault(tenant, {}).setdefault(table, []).append(tuple(row))
        return found


_OF_NOTIFICATION: Final = (
    "SELECT tenant, {table}.* FROM {table} JOIN notifications ON id = notification_id ORDER BY id, channel"
)
_TABLES: Final = {
    "notifications": "SELECT tenant, * FROM notifications ORDER BY id",
    "logs": _OF_NOTIFICATION.format(table="notification_logs"),
    "events": _OF_NOTIFICATION.format(table="notification_events") + ", notification_events.number",
    "contacts": "SELECT tenant, * FROM contacts ORDER BY user_id, channel",
    "subscriptions": "SELECT tenant, * FROM subscriptions ORDER BY id",
}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """The file of the store that has everybody's things, and of those that have one owner's only, by owner."""
    return {owner: _built(tmp_path_factory.mktemp("world"), owner) for owner in ("everybody", *OWNERS)}


def _built(folder: Path, whose: str) -> bytes:
    url = published_in(folder)
    with open_stores(url, timeout_s=10) as stores:
        for kind, made in {**TENANT_KINDS, "key": Kind("the operator", tuple(Scope))}.items():
            key_id, token = _TOKENS[kind]
            allowed = frozenset(made.scopes), frozenset(made.merchants)
            stores.keys.add(ApiKey(key_id, kind, digest_of(token), *allowed, NOW_MS, tenant_name=made.tenant))
        session_id, token = _TOKENS["session"]
        stores.sessions.add(Session(session_id, digest_of(token), NOW_MS, NOW_MS + SESSION_LIFETIME_S * 1000))
    for owner, tenant in OWNERS.items():
        if whose in ("everybody", owner):
            _add_things(url, owner, tenant)
    return (folder / "summaries.db").read_bytes()


def _add_things(url: str, owner: str, tenant: str) -> None:
    """What has the same names and times for each owner, and texts, addresses and ids that tell them apart."""
    with open_stores(url, timeout_s=10) as stores:
        stores.contacts.replace("sara", {"sms": PHONES[owner], "telegram": "42"}, tenant=tenant)
        for what, user_id, merchant_id in (
            ("of another merchant", "reza", "shop-2"),
            ("subscription", "sara", MERCHANT),
            ("of all", "reza", None),
        ):
            how = (Mode.DAILY,), ("sms", "telegram")
            stores.subscriptions.add(
                Subscription(_id(what, owner), merchant_id, user_id, *how, "fa", NOW_MS, tenant=tenant)
            )
        for number, what in enumerate(("pending", "dead", "unknown", "announcement", "of another merchant")):
            notification = Notification(
                _id(what, owner),
                "sara",
                f"title of {owner}",
                f"body of {owner}",
                ("sms",),
                "fa",
                NOW_MS + number,
                announces=number > 2,
                merchant_id=(None, None, None, MERCHANT, "shop-2")[number],
                tenant=tenant,
            )
            stores.notifications.add(notification, NOW_MS)
    append_events(url, _id("dead", owner), "sms", EventKind.ATTEMPT, EventKind.DEAD, at_ms=NOW_MS)
    for what in ("unknown", "of another merchant"):  # the second of which few may read
        append_events(url, _id(what, owner), "sms", EventKind.ATTEMPT, EventKind.UNKNOWN, at_ms=NOW_MS)


def _id(what: str, owner: str) -> str:
    return derived_id("example", what, owner)


def _world(folder: Path, file: bytes, name: str, **settings: Any) -> World:
    path = folder / f"{name}.db"
    path.write_bytes(file)
    url = f"sqlite:///{path}"
    return World(url, Api(url, {**KEYS_ONLY, **settings}))


def test_every_route_has_a_rule(tmp_path: Path) -> None:
    api = Api(published_in(tmp_path))
    routed = {
        (method.method, _DOCUMENTED_AS.get(route.path, route.path))
        for route in inspect.inspect_routes(api.app)
        for method in route.methods
        if not method.internal and method.method not in ("HEAD", "OPTIONS")
    }
    assert routed >= {(operation.method, operation.path) for operation in OPERATIONS}
    assert routed == set(RULES), "say in RULES what keeps a new route from showing what is another tenant's"


@pytest.mark.parametrize("name", TENANT_KINDS)
def test_a_tenant_key_neither_reads_nor_changes_data_of_other_tenants(
    worlds: Mapping[str, bytes], tmp_path: Path, name: str
) -> None:
    kind = TENANT_KINDS[name]
    everybody = _world(tmp_path, worlds["everybody"], "everybody")
    own = _world(tmp_path, worlds[kind.owner], "own")
    _let_others_make_the_same(everybody, kind.owner)
    before = everybody.tables()

    for (method, path), owner, request in _requests():
        answer, expected = (_ask(world, method, request, key=_TOKENS[name][1]) for world in (everybody, own))
        where = f"{method} {request} of {owner}"
        assert _output(answer) == _output(expected), where
        match RULES[method, path]:
            case Rule.OPERATE:
                assert problem(answer) == (403, "out-of-scope"), where
            case Rule.ROW if kind.sees and owner == kind.owner:
                assert answer.status_code == 200, where
            case Rule.ROW if Scope.NOTIFICATIONS in kind.scopes and owner != kind.owner:
                assert answer.status_code == 404, where
            case Rule.LIST | Rule.WHOLE | Rule.USER | Rule.MAKE | Rule.ALL if (
                "tenant=" in request.query and owner != kind.owner
            ):
                assert answer.status_code == 403, where
            case Rule.LIST | Rule.WHOLE | Rule.USER | Rule.MAKE | Rule.ALL if kind.sees:
                assert answer.status_code in (200, 201), where

    after, tenant = everybody.tables(), OWNERS[kind.owner]
    assert {owner: found for owner, found in after.items() if owner != tenant} == {
        owner: found for owner, found in before.items() if owner != tenant
    }
    assert after[tenant] == own.tables()[tenant]
    assert (after[tenant] != before[tenant]) == (Scope.NOTIFICATIONS in kind.scopes), "else nothing was tried"


@pytest.mark.parametrize("name", OPERATOR_KINDS)
def test_the_operator_reads_and_changes_data_of_every_tenant(
    worlds: Mapping[str, bytes], tmp_path: Path, name: str
) -> None:
    settings = {"api_access": "open-loopback"} if name == "none, on this host" else {}
    world = _world(tmp_path, worlds["everybody"], "everybody", **settings)
    token = _TOKENS[name][1]
    headers = {
        "key": {"Authorization": f"Bearer {token}"},
        "session": {"Cookie": f"{SESSION_COOKIE}={token}", "Sec-Fetch-Site": "same-origin"},
    }.get(name, {})

    for (method, path), owner, request in _requests():
        rule = RULES[method, path]
        if rule in (Rule.PAGE, Rule.SUMMARIES, Rule.SELF):  # have no owners; and one of them would end the session
            continue
        answer = _ask(world, method, request, headers=headers)
        where = f"{method} {request} of {owner}"
        if rule in (Rule.USER, Rule.MAKE) and "tenant=" not in request.query:
            assert "acme, " in wrong(answer)["tenant"], where
            continue
        assert answer.status_code in (200, 201), where
        if rule in (Rule.ROW, Rule.USER, Rule.MAKE):
            assert answer.json["tenant"] == OWNERS[owner], where
        elif rule is Rule.LIST:
            listed = next(iter(answer.json.values()))
            tenants = {OWNERS[owner]} if "tenant=" in request.query else {*OWNERS.values()}
            assert {one["tenant"] for one in listed} == tenants or "limit=1" in request.query, where


def test_without_a_key_only_pages_are_served(worlds: Mapping[str, bytes], tmp_path: Path) -> None:
    world = _world(tmp_path, worlds["everybody"], "everybody")
    before = world.tables()
    for (method, path), owner, request in _requests():
        answer = _ask(world, method, request)
        if RULES[method, path] not in (Rule.PAGE, Rule.SELF):
            assert problem(answer) == (401, "no-key"), f"{method} {request} of {owner}"
    assert world.tables() == before


def _let_others_make_the_same(world: World, owner: str) -> None:
    """Send the requests of `owner` as other owners, with the same Idempotency-Keys."""
    others = [other for other in ("key", "of a tenant", "of a merchant") if _OWNER_OF[other] != owner]
    for (method, path), _, request in _requests():
        if RULES[method, path] is Rule.MAKE and request.query != f"tenant={OWNERS[owner]}":
            for other in others:
                _ask(world, method, request, key=_TOKENS[other][1])


@dataclass(frozen=True)
class Request:
    """A request to a route.

    :param body: sent as JSON; None for no body.
    :param repeatable: the header Idempotency-Key, which everybody uses.
    """

    path: str
    query: str = ""
    body: Mapping[str, Any] | None = None
    repeatable: str | None = None


def _requests() -> Iterator[tuple[tuple[str, str], str, Request]]:
    """The requests to each route, by owner."""
    for route, rule in RULES.items():
        for owner, tenant in OWNERS.items() if rule.value >= Rule.LIST.value else [("nobody", "")]:
            for request in _requests_of(route, rule, owner, f"tenant={tenant}"):
                yield route, owner, request


def _requests_of(route: tuple[str, str], rule: Rule, owner: str, whose: str) -> Iterator[Request]:
    method, path = route
    match rule:
        case Rule.PAGE | Rule.SELF | Rule.OPERATE:
            yield Request(
                path.format(name="base.css", file="swagger-ui.css", slug="no-key"),
                body={} if method in ("POST", "DELETE") else None,
            )
        case Rule.SUMMARIES:
            for merchant in (MERCHANT, "shop-2", "nobody"):
                found = f"mode=daily&type=amount&merchant_id={merchant}" if "summary" in path else f"search={merchant}"
                yield Request(path, found)
        case Rule.LIST:
            for query in ("", "limit=1", "user_id=sara", "user_id=sara&limit=1", whose, f"{whose}&limit=1"):
                yield Request(path, query)
        case Rule.ROW:
            for what in _WHATS.get(path, ("pending", "announcement")):
                filled = path.format(notification_id=_id(what, owner), subscription_id=_id(what, owner))
                yield Request(filled, body=None if method == "GET" else {})
        case Rule.WHOLE | Rule.USER | Rule.ALL:
            yield from (Request(path.format(user_id="sara"), query, _BODIES.get(route)) for query in ("", whose))
        case Rule.MAKE:
            body = NEW | {"channels": ["sms"]} if path == NOTIFICATIONS else subscription(MERCHANT)
            for query, number in (("", 1), (whose, 2), ("", 1)):
                yield Request(path, query, body, f"{owner} {number}".replace(" ", "-"))
            if path == SUBSCRIPTIONS:  # whose ids follow from what they say
                yield Request(path, whose, body | {"channels": ["telegram"]})


def _ask(
    world: World, method: str, request: Request, *, key: str | None = None, headers: Mapping[str, str] | None = None
) -> Result:
    sent = dict(headers or {}) | ({} if request.repeatable is None else {"Idempotency-Key": request.repeatable})
    body = None
    if request.body is not None:
        body, sent["Content-Type"] = json.dumps(request.body).encode(), "application/json"
    return world.api.ask(request.path, request.query, method=method, key=key, headers=sent, body=body)


def _output(answer: Result) -> tuple[Any, ...]:
    """The response, without the parts that differ each time."""
    headers = {name: value for name, value in answer.headers.items() if name not in _CHANGES}
    return answer.status_code, headers, answer.content.replace(answer.headers["x-request-id"].encode(), b"")
