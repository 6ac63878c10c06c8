"""The API in this process, over a real store, and a client for it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlencode

import orjson
from examples import NOW_MS
from falcon import testing

from api.app import create_app
from api.auth.api_keys import digest_of, new_token
from api.summaries.current_publication import Work
from core.settings import Settings
from core.stores import Stores, open_stores
from core.stores.api_keys import ApiKey, Scope

SUMMARY = "/api/transactions/summary"
MERCHANTS = "/api/merchants"
FRESHNESS_S = 1.0
KEYS_ONLY = {"api_access": "keys"}
"""The settings with which requests from this host need a key too, as by default outside of tests."""

Query = str | Mapping[str, str]
T = TypeVar("T")

_TIMEOUT_S = 60
_IN_BACKGROUND = ("CurrentPublication._ask_store", "Lookups._read_again", "_KeyUses._write")


@cache
def event_loop() -> asyncio.AbstractEventLoop:
    """The event loop of every `Api` of this process, in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="event loop", daemon=True).start()
    return loop


def on_the_loop(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work` on `event_loop`; several threads may wait at once."""
    return asyncio.run_coroutine_threadsafe(work, event_loop()).result(_TIMEOUT_S)


async def at_once(work: Work) -> None:
    """Run background work to its end before returning."""
    await work


@dataclass
class ManualClock:
    """A clock in seconds that only the test advances.

    :param step_s: seconds that each call adds.
    """

    now_s: float = 1_000.0
    step_s: float = 0.0

    def __call__(self) -> float:
        """The seconds."""
        self.now_s += self.step_s
        return self.now_s

    def advance(self, seconds: float = FRESHNESS_S) -> None:
        """Move the clock."""
        self.now_s += seconds


@dataclass
class Api:
    """One process of the API, and what it has logged.

    :param settings: what differs from the defaults.
    :param spawn: runs background work; immediately by default.
    :param settles: whether each request waits for its background work.
    :param patience_s: for how long a request waits for the store that could be answered without it; by default until
        the store answers, also on a busy machine.
    :param timeout_s: for how long the store may take.
    :param stores: those it has opened, one after the other.
    """

    store_url: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    moment: ManualClock = field(default_factory=ManualClock)
    lines: list[bytes] = field(default_factory=list, repr=False)
    stores: list[Stores] = field(default_factory=list)
    clock: Callable[[], int] = lambda: NOW_MS
    spawn: Callable[[Work], Coroutine[Any, Any, None]] = at_once
    queue: Callable[[str], None] = lambda notification_id: None
    settles: bool = True
    patience_s: float = _TIMEOUT_S
    timeout_s: float = 3

    def __post_init__(self) -> None:
        defaults: dict[str, Any] = {
            "api_rate_limit": "1000000/minute",
            "api_freshness_s": FRESHNESS_S,
            "api_access": "open-loopback",
        }
        settings = Settings(store_url=self.store_url, **(defaults | dict(self.settings)))
        self.app = create_app(
            settings,
            lambda: self.open_stores(),
            log=self.lines.append,
            clock=lambda: self.clock(),
            monotonic=self.moment,
            spawn=self.spawn,
            queue=self.queue,
            patience_s=self.patience_s,
        )
        self.conductor = testing.ASGIConductor(self.app)
        event_loop()  # started here, because two threads that send the first requests would each start one
        _apis.append(self)

    def ask(
        self,
        path: str = SUMMARY,
        query: Query = "",
        *,
        method: str = "GET",
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        peer: str = "127.0.0.1",
        host: str | None = "127.0.0.1:8000",
        body: bytes | None = None,
    ) -> testing.Result:
        """The answer to one request, by default of a program on this host.

        :param query: encoded when it is a mapping, and else, byte by byte, as it is.
        """
        sent = {}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        request = self.conductor.simulate_request(
            method,
            path,
            headers=sent | dict(headers or {}),
            remote_addr=peer,
            body=body,
            host=host or "",
            http_version="1.1" if host is not None else "1.0",
            extras={"query_string": (query if isinstance(query, str) else urlencode(query)).encode("latin-1")},
        )
        answer: testing.Result = on_the_loop(request)
        if self.settles:
            on_the_loop(_settled())
        return answer

    def unchecked(
        self,
        path: str = "/",
        method: str = "GET",
        headers: Sequence[tuple[bytes, bytes]] = ((b"host", b"localhost"),),
        body: bytes = b"",
        **scope: Any,
    ) -> testing.Result:
        """The response to a request that few servers would pass on.

        :param scope: further parts of the scope of ASGI.
        """
        everything = testing.create_scope(path, method=method, remote_addr="127.0.0.1")
        everything |= {"headers": list(headers), **scope}
        collector = testing.ASGIResponseEventCollector()
        events = testing.ASGIRequestEventEmitter(body)
        on_the_loop(self.app(everything, events, collector))
        return testing.Result(collector.body_chunks, str(collector.status), collector.headers)

    def series(self, mode: str = "daily", measure: str = "amount", **query: str) -> testing.Result:
        """The response to a request for a series; ``first`` and ``last`` stand for ``from`` and ``to``."""
        renamed = {{"first": "from", "last": "to"}.get(name, name): value for name, value in query.items()}
        return self.ask(SUMMARY, {"mode": mode, "type": measure, **renamed})

    def log(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        return [orjson.loads(line) for line in self.lines]

    def open_stores(self) -> Stores:
        """Open the stores, as the application does."""
        stores = open_stores(self.store_url, timeout_s=self.timeout_s, create=False)
        _opened.append(stores)
        self.stores.append(stores)
        return stores


_opened: list[Stores] = []
_apis: list[Api] = []


def close_all() -> None:
    """Close every `Api` and its stores."""
    while _apis:
        on_the_loop(_ended(_apis.pop()))
    while _opened:
        _opened.pop().close()


async def _settled() -> None:
    """Wait for the background work of requests."""
    names = {task: getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
    if background := [task for task, name in names.items() if name in _IN_BACKGROUND]:
        await asyncio.wait(background)


async def _ended(api: Api) -> None:
    async with testing.ASGIConductor(api.app):
        pass


def add_key(
    store_url: str,
    scopes: Sequence[Scope] = (),
    merchants: Sequence[str] = (),
    *,
    name: str = "client",
    tenant: str | None = None,
    expires_at_ms: int | None = None,
) -> str:
    """Make a key; returns its token."""
    key_id, token = new_token()
    allowed = frozenset(scopes), frozenset(merchants)
    key = ApiKey(key_id, name, digest_of(token), *allowed, NOW_MS, tenant_name=tenant, expires_at_ms=expires_at_ms)
    with open_stores(store_url, timeout_s=10) as stores:
        stores.keys.add(key)
    return token


def revoke(store_url: str, token: str) -> None:
    """Revoke the key."""
    with open_stores(store_url, timeout_s=10) as stores:
        stores.keys.revoke(token.split("_")[1], NOW_MS)


def document(answer: testing.Result) -> dict[str, Any]:
    """The problem document of `answer`, which must be valid and uncached."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = json.loads(answer.content)
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["type"].startswith("/problems/")
    assert problem["title"]
    assert problem["detail"].endswith(".")
    assert problem["hint"]
    assert "etag" not in answer.headers
    return problem


def problem(answer: testing.Result) -> tuple[int, str]:
    """Status and slug of the problem document of `answer`."""
    return answer.status_code, document(answer)["type"].removeprefix("/problems/")


def wrong(answer: testing.Result) -> dict[str, str]:
    """The error of each wrong parameter in `answer`."""
    return _of_errors(answer, "detail")


def error_codes(answer: testing.Result) -> dict[str, str]:
    """The error code of each wrong parameter in `answer`."""
    return _of_errors(answer, "code")


def _of_errors(answer: testing.Result, member: str) -> dict[str, str]:
    assert problem(answer) == (400, "bad-parameter")
    return {error["parameter"]: error[member] for error in document(answer)["errors"]}
