"""Sign-in links and sessions of the dashboard: single use, expiry, CSRF protection of the cookie."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from api_client import FRESHNESS_S, KEYS_ONLY, MERCHANTS, Api, add_key, problem
from falcon.testing import Result
from sales import published_in

from api.auth.api_keys import new_token
from api.auth.sessions import LINK_LIFETIME_S, SESSION_COOKIE, SESSION_LIFETIME_S, new_link_token
from core.stores import open_stores

SESSION = "/api/session"
COOKIE = SESSION_COOKIE
NOTIFICATIONS = "/api/notifications"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
MESSAGE = json.dumps({"user_id": "sara", "title": "Hello", "body": "There", "channels": ["sms"]}).encode()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return published_in(tmp_path)


@pytest.fixture
def api(url: str) -> Api:
    return Api(url, KEYS_ONLY)


def link_token(api: Api) -> str:
    with open_stores(api.store_url, timeout_s=10) as stores:
        return new_link_token(stores.sessions, api.clock())


def sign_in(api: Api, token: str, headers: Mapping[str, str] = SAME_ORIGIN) -> Result:
    return api.ask(SESSION, method="POST", headers=headers, body=json.dumps({"token": token}).encode())


def signed_in(api: Api) -> dict[str, str]:
    """The header with the cookie of a new session."""
    answer = sign_in(api, link_token(api))
    assert answer.status_code == 200
    return {"Cookie": f"{COOKIE}={answer.cookies[COOKIE].value}"}


def go_on(api: Api, seconds: int) -> None:
    at_ms = api.clock() + seconds * 1000
    api.clock = lambda: at_ms
    api.moment.advance(seconds)


def test_a_sign_in_link_starts_a_session_with_every_scope(api: Api) -> None:
    cookie = signed_in(api)
    me = api.ask("/api/me", headers=cookie, peer="10.0.0.1", host="summaries.example").json
    assert (me["signed_in"], me["open"], me["key"]) == (True, False, None)
    assert me["scopes"] == ["notifications", "operate", "summaries"]
    assert api.ask(MERCHANTS, headers=cookie).status_code == 200
    assert problem(api.ask(MERCHANTS)) == (401, "no-key")


def test_the_session_cookie_is_httponly_and_samesite(api: Api) -> None:
    cookie = sign_in(api, link_token(api)).cookies[COOKIE]
    assert cookie.http_only
    assert cookie.same_site == "Strict"
    assert (cookie.path, cookie.max_age) == ("/", SESSION_LIFETIME_S)
    assert not cookie.domain


@pytest.mark.parametrize(("proto", "secure"), [("https", True), ("http", False), ("http, https", True)])
def test_behind_a_trusted_tls_proxy_the_cookie_is_secure(url: str, proto: str, secure: bool) -> None:
    headers = {**SAME_ORIGIN, "X-Forwarded-Proto": proto}
    trusting = Api(url, {**KEYS_ONLY, "api_trusted_proxies": "127.0.0.1"})
    assert sign_in(trusting, link_token(trusting), headers).cookies[COOKIE].secure is secure
    other = Api(url, KEYS_ONLY)
    assert sign_in(other, link_token(other), headers).cookies[COOKIE].secure is False


def test_a_sign_in_link_works_once(api: Api) -> None:
    token = link_token(api)
    assert sign_in(api, token).status_code == 200
    for _ in range(2):
        again = sign_in(api, token)
        assert problem(again) == (403, "bad-link")
        assert COOKIE not in again.cookies


def test_a_used_sign_in_link_stays_used_after_signing_out(api: Api) -> None:
    token = link_token(api)
    cookie = {"Cookie": f"{COOKIE}={sign_in(api, token).cookies[COOKIE].value}"}
    api.ask(SESSION, method="DELETE", headers={**SAME_ORIGIN, **cookie})
    assert problem(sign_in(api, token)) == (403, "bad-link")


def test_a_sign_in_link_works_for_ten_minutes(api: Api) -> None:
    in_time, late = link_token(api), link_token(api)
    go_on(api, LINK_LIFETIME_S - 1)
    assert sign_in(api, in_time).status_code == 200
    go_on(api, 1)
    assert problem(sign_in(api, late)) == (403, "bad-link")


@pytest.mark.parametrize("wrong", ["", "tss_", "x", "tss_aaaaaaaaaa_" + 43 * "A", "link:a", "\u06f1" * 50])
def test_a_forged_sign_in_link_is_refused(api: Api, wrong: str) -> None:
    assert problem(sign_in(api, wrong)) == (403, "bad-link")


def test_links_keys_and_sessions_are_not_interchangeable(api: Api, url: str) -> None:
    link, key = link_token(api), add_key(url)
    assert problem(sign_in(api, link[:-1] + ("A" if link[-1] != "A" else "B"))) == (403, "bad-link")
    assert problem(sign_in(api, key)) == (403, "bad-link")
    session = signed_in(api)["Cookie"].partition("=")[2]
    for token in (link, session):
        assert problem(api.ask("/api/me", key=token)) == (401, "bad-key")
    for token in (link, key, session[:-1], f"{session}A", ""):
        assert problem(api.ask("/api/me", headers={"Cookie": f"{COOKIE}={token}"})) == (401, "no-key")


def test_a_session_ends_after_twelve_hours(api: Api) -> None:
    cookie = signed_in(api)
    go_on(api, SESSION_LIFETIME_S - 1)
    assert api.ask("/api/me", headers=cookie).status_code == 200
    go_on(api, 1)
    assert problem(api.ask("/api/me", headers=cookie)) == (401, "no-key")


def test_signing_out_ends_the_session_in_other_workers_within_the_cache_lifetime(api: Api) -> None:
    other = Api(api.store_url, KEYS_ONLY)
    cookie = signed_in(api)
    assert other.ask("/api/me", headers=cookie).status_code == 200
    answer = api.ask(SESSION, method="DELETE", headers={**SAME_ORIGIN, **cookie})
    assert answer.json == {"signed_in": False, "expires_at": None}
    assert answer.cookies[COOKIE].value == ""
    assert problem(api.ask("/api/me", headers=cookie)) == (401, "no-key")
    other.moment.advance()
    assert problem(other.ask("/api/me", headers=cookie)) == (401, "no-key")


def test_a_browser_without_a_session_can_sign_out(api: Api) -> None:
    for headers in ({}, {"Cookie": f"{COOKIE}=tss_old"}):
        assert api.ask(SESSION, method="DELETE", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8000"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[::1"},
    ],
)
def test_cross_site_requests_are_refused(api: Api, headers: dict[str, str]) -> None:
    cookie, headers = signed_in(api), {"Content-Type": "application/json", **headers}
    for path, method in ((NOTIFICATIONS, "POST"), ("/api/users/sara/contacts", "PUT"), (SESSION, "DELETE")):
        answer = api.ask(path, method=method, headers={**headers, **cookie}, body=MESSAGE)
        assert problem(answer) == (403, "cross-site")
    assert problem(sign_in(api, link_token(api), headers)) == (403, "cross-site")
    assert api.ask("/api/me", headers=cookie).status_code == 200


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://127.0.0.1:8000"}])
def test_a_same_origin_page_may_write(api: Api, headers: dict[str, str]) -> None:
    answer = api.ask(
        NOTIFICATIONS,
        method="POST",
        headers={"Content-Type": "application/json", **headers, **signed_in(api)},
        body=MESSAGE,
    )
    assert answer.status_code == 201


def test_a_key_overrides_a_session_and_needs_no_origin(api: Api, url: str) -> None:
    cookie, key = signed_in(api), add_key(url)
    assert api.ask("/api/me", key=key, headers=cookie).json["scopes"] == []
    assert problem(api.ask(NOTIFICATIONS, method="POST", key=key, headers=cookie)) == (403, "out-of-scope")


def test_each_session_has_its_own_rate_limit(url: str) -> None:
    api = Api(url, {**KEYS_ONLY, "api_rate_limit": "4/minute"})
    one, other = signed_in(api), signed_in(api)
    assert [api.ask("/api/me", headers=one).status_code for _ in range(5)] == [200] * 4 + [429]
    assert api.ask("/api/me", headers=other).status_code == 200


def test_no_session_token_is_logged(api: Api) -> None:
    link = link_token(api)
    session = sign_in(api, link).cookies[COOKIE].value
    api.ask("/api/me", headers={"Cookie": f"{COOKIE}={session}"})
    api.ask(f"/sign-in/{link}", f"token={link}")
    written = b"".join(api.lines).decode()
    assert link[15:] not in written
    assert session[15:] not in written


def test_expired_links_are_removed_when_a_new_one_is_created(api: Api) -> None:
    with open_stores(api.store_url, timeout_s=10) as stores:
        token = new_link_token(stores.sessions, api.clock())
        link_id = f"link:{token.split('_')[1]}"
        assert stores.sessions.get(link_id) is not None
        new_link_token(stores.sessions, api.clock() + LINK_LIFETIME_S * 1000 + 1)
        assert stores.sessions.get(link_id) is None


def test_cookies_of_other_programs_on_the_host_are_ignored(api: Api) -> None:
    token = signed_in(api)["Cookie"].partition("=")[2]
    for cookies in (f"session=theirs; {COOKIE}={token}", f"{COOKIE}=stale; {COOKIE}={token}"):
        assert api.ask("/api/me", headers={"Cookie": cookies}).status_code == 200


def test_a_signed_in_user_is_served_while_others_guess_tokens(url: str) -> None:
    api = Api(url, {**KEYS_ONLY, "api_rate_limit": "9/minute"})
    person = signed_in(api)
    for _ in range(12):
        api.ask("/api/me", headers={"Cookie": f"{COOKIE}={new_token()[1]}"})
    api.moment.advance()
    assert api.ask("/api/me").status_code == 429
    assert api.ask("/api/me", headers=person).status_code == 200


def test_during_a_store_outage_a_session_can_only_read_for_a_minute(api: Api, tmp_path: Path) -> None:
    person = signed_in(api)
    assert api.ask("/api/me", headers=person).status_code == 200
    (tmp_path / "summaries.db").unlink()
    api.stores[-1].close()
    api.moment.advance(FRESHNESS_S + 59.9)
    assert api.ask("/api/me", headers=person).status_code == 200
    assert api.ask(NOTIFICATIONS, method="POST", headers=SAME_ORIGIN | person, body=MESSAGE).status_code == 503
    api.moment.advance(0.1)
    assert api.ask("/api/me", headers=person).status_code == 503


def test_all_sessions_and_links_can_be_ended_together(api: Api) -> None:
    person, link = signed_in(api), link_token(api)
    with open_stores(api.store_url, timeout_s=10) as stores:
        assert stores.sessions.end_all(api.clock()) == 3  # the link that was used, too
    api.moment.advance()
    assert problem(api.ask("/api/me", headers=person)) == (401, "no-key")
    assert problem(sign_in(api, link)) == (403, "bad-link")
