"""API keys: which tokens are valid, for how long, and what each scope allows on every route."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from api_client import FRESHNESS_S, KEYS_ONLY, MERCHANTS, SUMMARY, Api, add_key, document, problem, revoke
from examples import NOW_MS
from sales import SALES, published_in

from api.auth.api_keys import digest_of, id_in, new_token
from core.stores import open_stores
from core.stores.api_keys import Scope

SERIES = "mode=monthly&type=amount"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return published_in(tmp_path)


@pytest.fixture
def key(url: str) -> str:
    return add_key(url, [Scope.SUMMARIES], name="کلید")


@pytest.fixture
def api(url: str, key: str) -> Api:
    return Api(url, KEYS_ONLY)


class TestTokens:
    def test_tokens_are_random_and_contain_the_key_id(self) -> None:
        made = [new_token() for _ in range(200)]
        assert len({key_id for key_id, _ in made}) == len({token for _, token in made}) == 200
        for key_id, token in made:
            assert re.fullmatch(r"tss_[a-z2-7]{10}_[A-Za-z0-9_-]{43}", token)
            assert id_in(token) == key_id

    def test_only_the_digest_of_a_token_is_stored(self, url: str, tmp_path: Path) -> None:
        token = add_key(url)
        with open_stores(url, timeout_s=10) as stores:
            kept = stores.keys.get(str(id_in(token)))
        assert kept is not None
        assert kept.digest == hashlib.sha256(token.encode()).digest() == digest_of(token)
        secret = token.rpartition(f"{kept.id}_")[2].encode()
        assert all(secret not in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_bearer_scheme_is_case_insensitive(api: Api, key: str, scheme: str) -> None:
    assert api.ask("/api/me", headers={"Authorization": f"{scheme} {key}"}, peer="10.0.0.1").status_code == 200


def test_a_malformed_token_is_refused(api: Api, key: str) -> None:
    basic, twice, split = f"Basic {key}", f"Bearer {key},Bearer {key}", f"Bearer {key[:14]}_{'é' * 21}"
    for garbage in (
        "", " ", "Bearer", "Bearer ", key, basic, f"Bearer{key}", f"Bearer {key} x", twice, f"Token {key}",
        f"Bearer {key[:-1]}", f"Bearer {key}x", f"Bearer {key.upper()}", f"Bearer {key}\xe9", split, "Bearer \xff",
        f"Bearer tss_{'a' * 10}_{'A' * 43}", "Bearer " + "x" * 5000,
    ):  # fmt: skip
        answer = api.ask("/api/me", headers={"Authorization": garbage})
        assert problem(answer) == (401, "bad-key"), garbage
        assert answer.headers["www-authenticate"] == 'Bearer realm="transaction summaries"'


def test_the_secret_of_another_key_is_refused(api: Api, url: str, key: str) -> None:
    other = add_key(url)
    mixed = other[:15] + key[15:]
    assert id_in(mixed) == id_in(other)
    assert problem(api.ask("/api/me", key=mixed)) == (401, "bad-key")


def test_an_unknown_key_gets_the_same_error_as_a_wrong_secret(api: Api, key: str) -> None:
    unknown, wrong = new_token()[1], key[:-1] + ("A" if key[-1] != "A" else "B")
    answers = [document(api.ask("/api/me", key=token)) | {"request_id": ""} for token in (unknown, wrong)]
    assert answers[0] == answers[1]


def test_no_part_of_a_key_is_returned_or_logged(api: Api, url: str, key: str) -> None:
    for token in (key, key[:-1] + "A", new_token()[1]):
        answer = api.ask(SUMMARY, f"mode={token}&type=amount", key=token, headers={"User-Agent": token})
        assert token[15:] not in b"".join(api.lines).decode()
        assert answer.status_code in (400, 401)
    assert api.log()[0]["key_id"] == id_in(key)


def test_a_revoked_key_is_refused_within_the_cache_lifetime(api: Api, url: str, key: str) -> None:
    assert api.ask("/api/me", key=key).status_code == 200
    revoke(url, key)
    api.moment.advance()
    assert problem(api.ask("/api/me", key=key)) == (401, "bad-key")


def test_a_new_key_is_accepted_within_the_cache_lifetime(api: Api, url: str) -> None:
    api.ask("/api/me")
    key = add_key(url)
    assert api.ask("/api/me", key=key).status_code == 200


def test_many_unknown_ids_do_not_evict_valid_keys_for_long(api: Api, key: str) -> None:
    for _ in range(50):
        assert api.ask("/api/me", key=new_token()[1]).status_code == 401
    assert api.ask("/api/me", key=key).status_code == 200


def test_with_zero_freshness_every_request_reads_the_store(url: str, key: str) -> None:
    api = Api(url, {"api_freshness_s": 0})
    assert api.ask("/api/me", key=key).status_code == 200
    revoke(url, key)
    assert api.ask("/api/me", key=key).status_code == 401


@pytest.mark.parametrize("stale_s", [0, 60, 0.5])
def test_while_the_store_is_down_cached_keys_are_accepted_for_a_limited_time(
    url: str, tmp_path: Path, stale_s: float
) -> None:
    key, expiring, unread = add_key(url), add_key(url, expires_at_ms=NOW_MS + 1000), add_key(url)
    api = Api(url, KEYS_ONLY | {"api_stale_if_error_s": stale_s})
    for known in (key, expiring):
        assert api.ask("/api/me", key=known).status_code == 200
    (tmp_path / "summaries.db").unlink()
    api.stores[0].close()
    assert api.ask("/api/me", key=unread).status_code == 503
    api.moment.advance(FRESHNESS_S + stale_s - 0.25)
    for known in (key, expiring):
        assert api.ask("/api/me", key=known).status_code == 200
    api.clock = lambda: NOW_MS + 1000
    assert problem(api.ask("/api/me", key=expiring)) == (401, "bad-key")
    api.moment.advance(0.25)
    for known in (key, expiring):
        answer = api.ask("/api/me", key=known)
        assert answer.status_code == 503
        assert "retry-after" in answer.headers


NONE, SUM, SEND, OP = (), (Scope.SUMMARIES,), (Scope.NOTIFICATIONS,), (Scope.OPERATE,)
OVERALL, OF_1, OF_2, OF_NOBODY = (
    (SUMMARY, SERIES),
    (SUMMARY, f"{SERIES}&merchant_id=shop-1"),
    (SUMMARY, f"{SERIES}&merchant_id=shop-2"),
    (SUMMARY, f"{SERIES}&merchant_id=nobody"),
)


@pytest.mark.parametrize(
    ("scopes", "merchants", "expected"),
    [
        # overall, shop-1, shop-2, nobody, merchants, status, metrics, me, readyz, page
        (NONE, [], [403, 403, 403, 403, 403, 403, 403, 200, 200, 200]),
        (SUM, [], [200, 200, 200, 404, 200, 403, 403, 200, 200, 200]),
        (SEND, [], [403, 403, 403, 403, 403, 403, 403, 200, 200, 200]),
        (OP, [], [403, 403, 403, 403, 403, 200, 200, 200, 200, 200]),
        (NONE, ["shop-1"], [403, 200, 403, 403, 200, 403, 403, 200, 200, 200]),
        (NONE, ["nobody"], [403, 403, 403, 404, 200, 403, 403, 200, 200, 200]),
        (tuple(Scope), [], [200, 200, 200, 404, 200, 200, 200, 200, 200, 200]),
        # of a tenant, created by a version that gave such keys any scope
        (OP, ["shop-2"], [403, 403, 200, 403, 200, 403, 403, 200, 200, 200]),
        (tuple(Scope), ["shop-1"], [403, 200, 403, 403, 200, 403, 403, 200, 200, 200]),
    ],
)
def test_a_key_allows_exactly_what_its_scopes_allow(
    url: str, scopes: tuple[Scope, ...], merchants: list[str], expected: list[int]
) -> None:
    token = add_key(url, scopes, merchants)
    api = Api(url)
    addresses = [OVERALL, OF_1, OF_2, OF_NOBODY]
    addresses += [(path, "") for path in (MERCHANTS, "/api/status", "/metrics", "/api/me", "/readyz", "/")]
    for method in ("GET", "HEAD", "GET"):  # the cache does not bypass the check
        assert [api.ask(*address, method=method, key=token).status_code for address in addresses] == expected


def test_without_a_key_only_pages_are_served(api: Api) -> None:
    for path in (SUMMARY, MERCHANTS, "/api/status", "/metrics", "/api/me"):
        for method in ("GET", "HEAD", "POST"):
            assert api.ask(path, method=method).status_code == 401
        assert api.ask(path, method="OPTIONS").status_code == 200
    assert [api.ask(path).status_code for path in ("/", "/healthz", "/readyz")] == [200, 200, 200]
    assert problem(api.ask("/nothing")) == (404, "not-found")


def test_a_merchant_key_cannot_tell_forbidden_merchants_from_unknown_ones(url: str) -> None:
    token = add_key(url, merchants=["shop-1"])
    api = Api(url)
    answers = [document(api.ask(*address, key=token)) | {"request_id": ""} for address in (OF_2, OF_NOBODY)]
    assert answers[0] == answers[1]
    assert answers[0]["type"] == "/problems/out-of-scope"
    assert "all merchants together" in document(api.ask(*OVERALL, key=token))["detail"]


def test_scopes_are_checked_before_the_first_publication(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    token = add_key(url, merchants=["shop-1"])
    api = Api(url)
    assert [api.ask(*address, key=token).status_code for address in (OVERALL, OF_1, OF_2)] == [403, 503, 403]


def test_me_shows_the_scopes_of_the_key(url: str, api: Api, key: str) -> None:
    me = api.ask("/api/me", key=key).json
    assert me["open"] is False
    assert me["key"] == {"id": id_in(key), "name": "کلید"}
    assert (me["scopes"], me["merchants"]) == (["summaries"], [])
    mine = api.ask("/api/me", key=add_key(url, merchants=sorted(SALES))).json
    assert (mine["scopes"], mine["merchants"]) == ([], sorted(SALES))
