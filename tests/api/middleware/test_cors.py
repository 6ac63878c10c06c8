"""CORS: pages of other origins may call the API only if the operator allows their origin."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_client import KEYS_ONLY, SUMMARY, Api, add_key, problem
from falcon.testing import Result
from sales import published_in

from core.stores.api_keys import Scope

APP, OTHER = "https://app.example", "https://evil.example"
QUERY = "mode=daily&type=amount"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return published_in(tmp_path)


@pytest.fixture
def api(url: str) -> Api:
    return Api(url, {**KEYS_ONLY, "cors_origins": f"{APP}, http://localhost:3000"})


def preflight(api: Api, origin: str, path: str = SUMMARY) -> Result:
    requested = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,if-none-match",
    }
    return api.ask(path, method="OPTIONS", headers={"Origin": origin, **requested}, peer="10.0.0.1", host="api.example")


def cors_headers(answer: Result) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


def test_without_configuration_no_origin_is_allowed(url: str) -> None:
    add_key(url)
    api = Api(url)
    for origin in (APP, "null", "http://127.0.0.1:8000"):
        assert cors_headers(api.ask(SUMMARY, QUERY, headers={"Origin": origin})) == []
        assert cors_headers(preflight(api, origin)) == []


def test_a_configured_origin_is_allowed_with_its_key(api: Api, url: str) -> None:
    key = add_key(url, [Scope.SUMMARIES])
    requested = preflight(api, APP)
    assert requested.status_code == 200
    assert requested.headers["access-control-allow-origin"] == APP
    assert "GET" in requested.headers["access-control-allow-methods"]
    assert "authorization" in requested.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in requested.headers
    answer = api.ask(SUMMARY, f"{QUERY}&limit=1", key=key, headers={"Origin": APP})
    assert answer.headers["access-control-allow-origin"] == APP
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"ETag", "Link", "Retry-After", "X-Request-Id", "Content-Disposition"} <= set(exposed)


@pytest.mark.parametrize(
    "origin", [OTHER, "null", "", "*", "https://app.example.evil.example", "http://app.example", "https://APP.example"]
)
def test_another_origin_is_refused(api: Api, url: str, origin: str) -> None:
    key = add_key(url, [Scope.SUMMARIES])
    assert "access-control-allow-origin" not in preflight(api, origin).headers
    assert "access-control-allow-origin" not in api.ask(SUMMARY, QUERY, key=key, headers={"Origin": origin}).headers


def test_an_allowed_origin_can_read_error_responses(api: Api) -> None:
    answer = api.ask(SUMMARY, QUERY, headers={"Origin": APP})
    assert problem(answer) == (401, "no-key")
    assert answer.headers["access-control-allow-origin"] == APP


def test_the_vary_header_separates_cached_origins(url: str) -> None:
    api, key = Api(url, {"cors_origins": APP}), add_key(url, [Scope.SUMMARIES])
    for headers in ({"Origin": APP}, {"Origin": OTHER}, {}):
        vary = api.ask(SUMMARY, QUERY, key=key, headers=headers).headers["vary"]
        assert {"Origin", "Accept-Encoding", "Authorization"} <= {name.strip() for name in vary.split(",")}
