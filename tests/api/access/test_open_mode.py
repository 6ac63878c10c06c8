"""Until the first key is made the API serves direct requests of its own host, and nobody else ever."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from asking import MERCHANTS, SUMMARY, Api, add_key, problem, revoke
from sales import publish, published_in

from core.stores import open_stores
from core.stores.keys import Scope

ALL_PATHS = [SUMMARY, MERCHANTS, "/api/me", "/api/status", "/metrics", "/readyz", "/"]


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
def test_a_program_on_this_host_is_served(api: Api, host: str, peer: str) -> None:
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
def test_a_request_to_any_other_name_is_not(api: Api, host: str | None) -> None:
    assert status(api, host=host) == 401


@pytest.mark.parametrize(
    "peer",
    ["10.0.0.1", "192.168.1.5", "8.8.8.8", "::2", "fe80::1", "::ffff:10.0.0.1", "", "unix:", "localhost", "0.0.0.0"],
)
def test_a_program_elsewhere_is_not(api: Api, peer: str) -> None:
    assert status(api, host="127.0.0.1", peer=peer) == 401


def test_a_peer_without_an_address_is_not(api: Api) -> None:
    assert problem(api.unchecked("/api/me", {"REMOTE_ADDR": None})) == (401, "no-key")
    assert problem(api.unchecked("/api/me", {"HTTP_HOST": None})) == (401, "no-key")
    assert api.unchecked("/api/me", {}).status_code == 200


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
def test_whatever_a_proxy_passed_on_is_not(api: Api, header: str, value: str) -> None:
    assert status(api, host="localhost", headers={header: value}) == 401


def test_that_holds_for_every_address_but_the_health_of_the_process(api: Api) -> None:
    for where in ALL_PATHS:
        assert problem(api.ask(where, peer="10.0.0.1")) == (401, "no-key")
        assert problem(api.ask(where, host="rebound.example")) == (401, "no-key")
    for answer in (api.ask("/healthz", peer="10.0.0.1"), api.ask("/healthz", host="rebound.example")):
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "text/json", "multipart/form-data; application/json"],
)
def test_a_write_that_is_not_json_is_refused(api: Api, method: str, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert problem(api.ask("/api/me", method=method, headers=headers)) == (415, "unsupported-media-type")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_a_write_that_is_json_gets_further(api: Api, content_type: str) -> None:
    assert problem(api.ask("/api/me", method="POST", headers={"Content-Type": content_type}))[0] == 405


def test_a_program_on_this_host_may_do_everything(api: Api) -> None:
    me = api.ask("/api/me").json
    assert me["open"] is True
    assert me["key"] is None
    assert me["scopes"] == ["notifications", "operate", "summaries"]
    assert [api.ask(path, "mode=daily&type=count" if path == SUMMARY else "").status_code for path in ALL_PATHS] == [
        200
    ] * 7


class TestAfterTheFirstKey:
    @pytest.fixture
    def api(self, url: str) -> Api:
        return Api(url)

    def test_the_server_closes_within_the_freshness(self, api: Api, url: str) -> None:
        assert status(api, host="localhost") == 200
        add_key(url)
        api.moment.pass_by()
        assert status(api, host="localhost") == 401

    def test_it_stays_closed_when_the_key_is_revoked(self, api: Api, url: str) -> None:
        revoke(url, add_key(url))
        for _ in range(3):
            assert status(api, host="localhost") == 401
            api.moment.pass_by()
        assert status(Api(url), host="localhost") == 401  # also when it is started again

    def test_it_stays_closed_when_the_store_is_replaced_by_one_without_keys(
        self, api: Api, url: str, path: Path
    ) -> None:
        add_key(url)
        assert status(api, host="localhost") == 401
        path.unlink()
        publish(url)
        for _ in range(3):
            api.moment.pass_by()
            assert api.ask("/api/me").status_code in (401, 503)
        assert status(api, host="localhost") == 401

    def test_it_does_not_open_when_the_store_cannot_be_asked(self, url: str, path: Path) -> None:
        add_key(url)
        path.write_bytes(b"damaged" * 1000)
        api = Api(url)
        for where in ALL_PATHS:
            assert problem(api.ask(where)) == (503, "store-unavailable")
        assert api.ask("/healthz").status_code == 200

    def test_a_store_with_keys_that_comes_back_is_not_open_for_a_moment(self, url: str, path: Path) -> None:
        add_key(url)
        away = path.with_name("away.db")
        path.rename(away)
        api = Api(url)
        assert problem(api.ask(MERCHANTS)) == (503, "not-built-yet")
        away.rename(path)
        for _ in range(4):
            api.moment.pass_by(0.3)
            assert api.ask(MERCHANTS).status_code in (401, 503)
        assert problem(api.ask(MERCHANTS)) == (401, "no-key")

    def test_pages_need_no_key_then(self, api: Api, url: str) -> None:
        add_key(url)
        answer = api.ask("/", peer="10.0.0.1", host="summaries.example")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")

    def test_every_backend_closes(self, store_url: str) -> None:
        publish(store_url)
        api = Api(store_url)
        assert status(api, host="localhost") == 200
        token = add_key(store_url, [Scope.OPERATE])
        api.moment.pass_by()
        assert status(api, host="localhost") == 401
        assert api.ask("/api/me", key=token).json["scopes"] == ["operate"]
        revoke(store_url, token)
        api.moment.pass_by()
        assert problem(api.ask("/api/me", key=token)) == (401, "bad-key")


def test_without_a_store_pages_are_shown_to_this_host_only(tmp_path: Path) -> None:
    api = Api(f"sqlite:///{tmp_path / 'none.db'}")
    assert api.ask("/").status_code == 200
    assert problem(api.ask("/", peer="10.0.0.1")) == (401, "no-key")
    assert problem(api.ask(MERCHANTS, peer="10.0.0.1")) == (401, "no-key")
    assert problem(api.ask(MERCHANTS)) == (503, "not-built-yet")


def test_an_empty_store_is_open(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    open_stores(url, timeout_s=10).close()
    me = Api(url).ask("/api/me").json
    assert (me["open"], me["published"]) == (True, None)
