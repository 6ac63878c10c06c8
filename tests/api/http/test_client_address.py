"""The client address: that of the peer, or of a trusted proxy's header; forged headers are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from api_client import KEYS_ONLY, Api, add_key
from examples import NOW_MS
from sales import published_in

from api.auth.api_keys import digest_of, new_token
from api.auth.sessions import SESSION_COOKIE
from core.errors import SettingsError
from core.settings import read_settings
from core.stores import open_stores
from core.stores.api_keys import Scope
from core.stores.sessions import Session

PROXY, CLIENT = "10.0.0.5", "203.0.113.7"
TRUSTED = {**KEYS_ONLY, "api_trusted_proxies": "10.0.0.0/8, 2001:db8::/32, unix"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return published_in(tmp_path_factory.mktemp("store"))


def logged_address(url: str, settings: Mapping[str, str], headers: Mapping[str, str], peer: str = PROXY) -> str:
    api = Api(url, settings)
    api.ask("/api/me", headers=headers, peer=peer)
    return str(api.log()[-1]["remote"])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, PROXY),
        ({"X-Forwarded-For": CLIENT}, CLIENT),
        ({"X-Forwarded-For": f"1.1.1.1, {CLIENT}"}, CLIENT),
        ({"X-Forwarded-For": f"1.1.1.1, {CLIENT}, 10.9.9.9"}, CLIENT),
        ({"X-Forwarded-For": f"1.1.1.1,{CLIENT},2001:db8::1, 10.0.0.6"}, CLIENT),
        ({"X-Forwarded-For": f"{CLIENT}:4711"}, CLIENT),
        ({"X-Forwarded-For": "2001:db9::7"}, "2001:db9::7"),
        ({"X-Forwarded-For": f"::ffff:{CLIENT}"}, CLIENT),
        ({"X-Forwarded-For": f"{CLIENT}, ::ffff:10.0.0.6"}, CLIENT),
        ({"X-Forwarded-For": "[2001:db9::7]:4711"}, "2001:db9::7"),
        ({"X-Forwarded-For": "10.0.0.8, 10.0.0.9"}, "10.0.0.8"),
        ({"X-Forwarded-For": f"{CLIENT}, unknown"}, PROXY),
        ({"X-Forwarded-For": f"{CLIENT}, unknown, 10.0.0.6"}, "10.0.0.6"),
        ({"X-Forwarded-For": ""}, PROXY),
        ({"X-Forwarded-For": f"{CLIENT},"}, PROXY),
        ({"Forwarded": f"for={CLIENT}"}, CLIENT),
        ({"Forwarded": f'for=1.1.1.1, for="{CLIENT}:80";proto=https, for=10.0.0.6'}, CLIENT),
        ({"Forwarded": 'for="[2001:db9::7]:4711"'}, "2001:db9::7"),
        ({"Forwarded": 'for=1.1.1.1;x=", for="[2001:db9::7]:4711"'}, "2001:db9::7"),
        ({"Forwarded": f'for="1.1.1.1, By=_x; For={CLIENT}'}, CLIENT),
        ({"Forwarded": f"for={CLIENT}, nonsense"}, PROXY),
        ({"Forwarded": f'proto=http;host="a;for=1.1.1.1";for={CLIENT}'}, CLIENT),
        ({"Forwarded": f'for={CLIENT};host="a,for=1.1.1.1"'}, PROXY),
        ({"Forwarded": "for=_hidden"}, PROXY),
        ({"Forwarded": "proto=https"}, PROXY),
        ({"X-Forwarded-For": CLIENT, "Forwarded": f"for={CLIENT}"}, CLIENT),
        ({"X-Forwarded-For": CLIENT, "Forwarded": "for=1.1.1.1"}, PROXY),
        ({"X-Real-IP": CLIENT}, PROXY),
    ],
)
def test_the_client_address_is_the_rightmost_untrusted_one(url: str, headers: dict[str, str], expected: str) -> None:
    assert logged_address(url, TRUSTED, headers) == expected


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
@pytest.mark.parametrize("peer", ["203.0.113.9", "127.0.0.1", "2001:db9::1", "::ffff:203.0.113.9"])
def test_forwarded_headers_of_untrusted_peers_are_ignored(url: str, header: str, peer: str) -> None:
    value = CLIENT if header == "X-Forwarded-For" else f"for={CLIENT}"
    for settings in (TRUSTED, KEYS_ONLY):
        assert logged_address(url, settings, {header: value}, peer) == peer.removeprefix("::ffff:")


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5", ""])
def test_networks_of_both_families_and_unix_sockets_can_be_trusted(url: str, peer: str) -> None:
    assert logged_address(url, TRUSTED, {"X-Forwarded-For": CLIENT}, peer) == CLIENT


@pytest.mark.parametrize("proxies", ["::ffff:10.0.0.5", "::ffff:10.0.0.0/104", "::/0"])
def test_ipv4_networks_can_be_written_as_ipv6(url: str, proxies: str) -> None:
    assert logged_address(url, {**KEYS_ONLY, "api_trusted_proxies": proxies}, {"X-Forwarded-For": CLIENT}) == CLIENT


def test_clients_behind_a_trusted_proxy_have_separate_rate_limits(url: str) -> None:
    api = Api(url, {**TRUSTED, "api_rate_limit": "2/minute"})

    def statuses(client: str) -> list[int]:
        return [api.ask("/api/me", headers={"X-Forwarded-For": client}, peer=PROXY).status_code for _ in range(3)]

    assert statuses("203.0.113.1") == statuses("203.0.113.2") == [401, 401, 429]


@pytest.mark.parametrize("proxies", ["10.0.0.5/8", "10.0.0.256", "proxy.example", "*", "10.0.0.1 10.0.0.2"])
def test_an_invalid_trusted_proxy_is_refused_at_start_up(proxies: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TRUSTED_PROXIES", proxies)
    with pytest.raises(SettingsError, match="API_TRUSTED_PROXIES"):
        read_settings()


class TestWhatIsNotCounted:
    def test_health_readiness_and_page_files_are_outside_the_rate_limit(self, url: str) -> None:
        api = Api(url, {**KEYS_ONLY, "api_rate_limit": "1/minute"})
        for path in ("/healthz", "/readyz", "/assets/base.css"):
            assert {api.ask(path).status_code for _ in range(5)} == {200}
        assert [api.ask("/").status_code for _ in range(2)] == [200, 429]

    def test_readiness_with_a_key_is_exempt_and_similar_paths_are_not(self, url: str) -> None:
        api, key = Api(url, {**KEYS_ONLY, "api_rate_limit": "2/minute"}), add_key(url, [Scope.OPERATE])
        assert {api.ask("/readyz", key=key).status_code for _ in range(5)} == {200}
        assert [api.ask("/healthzz").status_code for _ in range(3)] == [404, 404, 429]

    def test_forged_keys_for_readiness_are_rate_limited(self, url: str) -> None:
        api = Api(url, {**KEYS_ONLY, "api_rate_limit": "2/minute"})
        assert [api.ask("/readyz", key=new_token()[1]).status_code for _ in range(3)] == [401, 401, 429]
        reads: list[str] = []
        sessions = api.stores[-1].sessions
        get = sessions.get
        sessions.get = lambda session_id: (reads.append(session_id), get(session_id))[1]  # type: ignore[method-assign, func-returns-value]
        for _ in range(5):
            assert api.ask("/readyz", headers={"Cookie": f"{SESSION_COOKIE}={new_token()[1]}"}).status_code == 200
        assert reads == []

    def test_clients_of_a_dual_stack_socket_have_separate_rate_limits(self, url: str) -> None:
        api = Api(url, {**KEYS_ONLY, "api_rate_limit": "1/minute"})
        assert [api.ask("/", peer=f"::ffff:203.0.113.{n}").status_code for n in (1, 2, 1)] == [200, 200, 429]


class TestMadeUpTokens:
    @pytest.mark.parametrize(
        ("header", "before", "store", "every"),
        [
            ("Authorization", "Bearer ", "keys", "all"),
            ("Cookie", f"{SESSION_COOKIE}=", "sessions", "valid_ids"),
        ],
        ids=["keys", "sessions"],
    )
    def test_forged_credentials_over_the_rate_limit_cause_no_lookups(
        self, tmp_path: Path, header: str, before: str, store: str, every: str
    ) -> None:
        url = published_in(tmp_path)
        key, (session_id, session) = add_key(url, [Scope.SUMMARIES]), new_token()
        with open_stores(url, timeout_s=10) as stores:
            stores.sessions.add(Session(session_id, digest_of(session), NOW_MS, NOW_MS + 1))
        api = Api(url, {**KEYS_ONLY, "api_rate_limit": "3/minute"})

        def ask(token: str) -> int:
            return api.ask("/api/me", headers={header: f"{before}{token}"}).status_code

        assert [ask(new_token()[1]) for _ in range(5)] == [401, 401, 401, 429, 429]
        reads = _count_reads(getattr(api.stores[-1], store), "get", every)
        for _ in range(50):
            assert ask(new_token()[1]) == 429
        assert reads == []  # the ids of all were read once, with the fourth
        assert ask(key if store == "keys" else session) == 200
        assert reads == ["get"]


def _count_reads(store: Any, *names: str) -> list[str]:
    """The calls of these methods of `store` from now on."""
    calls: list[str] = []

    def counting(name: str, read: Any) -> Any:
        def call(*given: Any) -> Any:
            calls.append(name)
            return read(*given)

        return call

    for name in names:
        setattr(store, name, counting(name, getattr(store, name)))
    return calls
