"""``API_ACCESS``: requests without a key are refused, except direct ones from this host with ``open-loopback``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from api_client import KEYS_ONLY, MERCHANTS, SUMMARY, Api, add_key, problem, revoke
from sales import published_in

from core.settings import Settings
from core.stores import open_stores
from core.stores.api_keys import Scope

WITH_DATA = [SUMMARY, MERCHANTS, "/api/me", "/api/status", "/metrics"]
WITHOUT_DATA = [
    "/readyz",
    "/",
    "/notifications",
    "/subscriptions",
    "/contacts",
    "/sign-in",
    "/docs",
    "/openapi.json",
    "/healthz",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "summaries.db"


@pytest.fixture
def url(path: Path) -> str:
    return published_in(path.parent)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    return Api(published_in(tmp_path_factory.mktemp("store")))


def status(api: Api, *, headers: Mapping[str, str] | None = None, peer: str = "127.0.0.1", host: str | None) -> int:
    answer = api.ask("/api/me", headers=headers, peer=peer, host=host)
    if answer.status_code != 200:
        assert problem(answer) == (401, "no-key")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    return answer.status_code


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8000",
        "localhost",
        "LocalHost:80",
        "127.8.9.10:1",
        "[::1]",
        "[::1]:65535",
        "[0:0:0:0:0:0:0:1]",
    ],
)
@pytest.mark.parametrize("peer", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_a_loopback_client_is_served_without_a_key(api: Api, host: str, peer: str) -> None:
    assert status(api, host=host, peer=peer) == 200


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "example.org",
        "localhost.example.org",
        "127.0.0.1.nip.io",
        "example.org:8000",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "localhost/evil",
        "localhost#",
        "localhost:80:80",
        "localhost:",
        "localhost:x",
        "localhost,evil.example",
        "localhost evil.example",
        "10.0.0.1",
        "0.0.0.0",
        "127.1",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "2130706433",
        "1２7.0.0.1".encode().decode("latin-1"),
        "127.0.0.1\xb2",
        "::1",
        "[::1",
        "[::2]",
        "[fe80::1%lo]",
        "[::ffff:10.0.0.1]",
        "[]",
    ],
)
def test_a_request_with_another_host_header_is_refused(api: Api, host: str | None) -> None:
    assert status(api, host=host) == 401


@pytest.mark.parametrize(
    "peer",
    ["10.0.0.1", "192.168.1.5", "8.8.8.8", "::2", "fe80::1", "::ffff:10.0.0.1", "", "unix:", "localhost", "0.0.0.0"],
)
def test_a_remote_client_is_refused(api: Api, peer: str) -> None:
    assert status(api, host="127.0.0.1", peer=peer) == 401


def test_a_peer_without_an_address_is_refused(api: Api) -> None:
    for peer in (None, ("", 0), (None, None)):
        assert problem(api.unchecked("/api/me", client=peer)) == (401, "no-key")
    assert problem(api.unchecked("/api/me", headers=[])) == (401, "no-key")
    assert api.unchecked("/api/me").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded",
        "x-forwarded-client-cert",
        "X-Original-Forwarded-For",
        "X-Real-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "Client-IP",
        "Via",
    ],
)
@pytest.mark.parametrize("value", ["127.0.0.1", "", "for=127.0.0.1;host=localhost"])
def test_a_proxied_request_is_refused(api: Api, header: str, value: str) -> None:
    assert status(api, host="localhost", headers={header: value}) == 401


def test_every_path_with_data_is_refused_to_remote_clients(api: Api) -> None:
    for where in WITH_DATA:
        assert problem(api.ask(where, peer="10.0.0.1")) == (401, "no-key")
        assert problem(api.ask(where, host="rebound.example")) == (401, "no-key")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "text/json", "multipart/form-data; application/json"],
)
def test_a_write_that_is_not_json_is_refused(api: Api, method: str, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert problem(api.ask("/api/me", method=method, headers=headers)) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "2"},
        {"Transfer-Encoding": "chunked"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": "https://evil.example/"},
    ],
    ids=str,
)
def test_a_write_without_content_type_is_refused_if_a_browser_could_send_it(api: Api, headers: dict[str, str]) -> None:
    body = b"{}" if "Content-Length" in headers else None
    answer = api.ask("/api/me", method="POST", headers=headers, body=body)
    assert problem(answer) == (415, "unsupported-media-type")
    assert problem(api.ask("/api/me", method="POST"))[0] == 405


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_a_write_with_json_content_type_passes_the_csrf_check(api: Api, content_type: str) -> None:
    assert problem(api.ask("/api/me", method="POST", headers={"Content-Type": content_type}))[0] == 405


def test_a_loopback_client_has_every_scope(api: Api) -> None:
    me = api.ask("/api/me").json
    assert me["open"] is True
    assert me["key"] is None
    assert me["scopes"] == ["notifications", "operate", "summaries"]
    for path in (*WITH_DATA, *WITHOUT_DATA):
        assert api.ask(path, "mode=daily&type=count" if path == SUMMARY else "").status_code == 200


def test_with_open_loopback_a_given_key_still_limits_the_scopes(url: str) -> None:
    api = Api(url)
    token = add_key(url, [Scope.OPERATE])
    assert api.ask("/api/me", key=token).json["scopes"] == ["operate"]
    revoke(url, token)
    api.moment.advance()
    assert problem(api.ask("/api/me", key=token)) == (401, "bad-key")
    assert api.ask("/api/me").json["open"] is True


class TestByDefault:
    def test_access_without_a_key_must_be_enabled(self) -> None:
        assert Settings(store_url="sqlite:///none.db").api_access == "keys"

    def test_data_needs_a_key_even_while_no_key_exists(self, url: str) -> None:
        api = Api(url, KEYS_ONLY)
        for _ in range(2):
            for where in WITH_DATA:
                assert problem(api.ask(where)) == (401, "no-key")
                assert problem(api.ask(where, headers={"X-Forwarded-For": "127.0.0.1"})) == (401, "no-key")
            add_key(url)
            api.moment.advance()

    def test_pages_and_health_need_no_key(self, url: str) -> None:
        api = Api(url, KEYS_ONLY)
        for where in WITHOUT_DATA:
            assert api.ask(where, peer="10.0.0.1", host="summaries.example").status_code == 200

    def test_a_missing_or_damaged_store_does_not_disable_authentication(self, url: str, path: Path) -> None:
        token = add_key(url, [Scope.SUMMARIES])
        away = path.with_name("away.db")
        path.rename(away)
        api = Api(url, KEYS_ONLY)
        assert problem(api.ask(MERCHANTS)) == (401, "no-key")
        assert problem(api.ask(MERCHANTS, key=token)) == (503, "not-built-yet")
        assert api.ask("/").status_code == 200
        away.rename(path)
        api.moment.advance()
        assert problem(api.ask(MERCHANTS)) == (401, "no-key")
        assert api.ask(MERCHANTS, key=token).status_code == 200
        path.write_bytes(b"damaged" * 1000)
        api = Api(url, KEYS_ONLY)
        assert problem(api.ask(MERCHANTS)) == (401, "no-key")
        assert problem(api.ask(MERCHANTS, key=token)) == (503, "store-unavailable")


def test_an_early_request_does_not_read_a_store_created_during_it(url: str, path: Path) -> None:
    path.unlink()
    api = Api(url)
    assert problem(api.ask(MERCHANTS)) == (503, "not-built-yet")
    assert problem(api.ask(MERCHANTS, peer="10.0.0.1")) == (401, "no-key")


def test_a_loopback_client_is_served_from_an_empty_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    open_stores(url, timeout_s=10).close()
    me = Api(url).ask("/api/me").json
    assert (me["open"], me["published"]) == (True, None)
