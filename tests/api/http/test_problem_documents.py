"""Every response has security headers and a request id; every error is a problem document (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon.asgi
import pytest
from api_client import MERCHANTS, SUMMARY, Api, add_key, document, problem
from falcon.testing import create_asgi_req
from sales import published_in

from api.middleware.request_log import SECURITY_HEADERS
from api.problems import ParameterError, Problem, ProblemKind, send_problem

QUERY = "mode=daily&type=amount"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    return Api(published_in(tmp_path_factory.mktemp("store")))


def requests() -> Iterator[tuple[str, dict[str, Any], int]]:
    """Path, the rest of a request, and the status that it is answered with."""
    yield SUMMARY, {"query": QUERY}, 200
    yield SUMMARY, {"query": QUERY, "headers": {"If-None-Match": "*"}}, 304
    yield SUMMARY, {"query": QUERY, "method": "HEAD"}, 200
    yield SUMMARY, {"query": QUERY, "method": "OPTIONS"}, 200
    yield SUMMARY, {"query": "mode=x"}, 400
    yield SUMMARY, {"query": "mode=%ff"}, 400
    yield SUMMARY, {"query": QUERY, "peer": "10.0.0.1"}, 401
    yield SUMMARY, {"query": QUERY + "&merchant_id=nobody"}, 404
    yield SUMMARY, {"method": "POST", "headers": {"Content-Type": "application/json"}}, 405
    yield SUMMARY, {"method": "POST", "headers": {"Content-Length": "99999999"}}, 413
    yield SUMMARY, {"method": "POST", "headers": {"Content-Type": "text/plain"}}, 415
    for path in (MERCHANTS, "/api/me", "/api/status", "/healthz", "/readyz", "/metrics", "/"):
        yield path, {}, 200
    for path in (
        "/nothing",
        "/api",
        "/api/merchants/",
        "/api/transactions/summary/1",
        "/../etc/passwd",
        "/%2e%2e/",
    ):
        yield path, {}, 404


@pytest.mark.parametrize(("path", "rest", "status"), list(requests()))
def test_every_response_has_security_headers_and_a_request_id(
    api: Api, path: str, rest: dict[str, Any], status: int
) -> None:
    given = api.ask(path, **rest)
    assert given.status_code == status
    for name, value in SECURITY_HEADERS.items():
        assert given.headers[name] == value
    assert given.headers["x-request-id"]
    if status >= 400:
        document(given)


def test_content_security_policy_forbids_everything() -> None:
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("method", ["WEBSOCKET", "BREW", "get", "TRACE", "CONNECT", "PROPFIND"])
def test_an_unknown_method_is_no_server_error(api: Api, method: str) -> None:
    given = api.unchecked(SUMMARY, method)
    assert given.status_code in (400, 405)
    document(given)
    for name, value in SECURITY_HEADERS.items():
        assert given.headers[name] == value


def test_the_request_id_of_the_client_is_kept(api: Api) -> None:
    given = api.ask(SUMMARY, headers={"X-Request-Id": "order-66.a_B"})
    assert document(given)["request_id"] == "order-66.a_B"


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 65, 'a"b', "{}"])
def test_an_unsafe_request_id_is_replaced(api: Api, name: str) -> None:
    given = api.ask(SUMMARY, headers={"X-Request-Id": name})
    assert document(given)["request_id"] != name


@pytest.mark.parametrize("kind", list(ProblemKind), ids=lambda kind: kind.value.slug)
def test_each_problem_type_gives_a_valid_problem_document(tmp_path: Path, kind: ProblemKind) -> None:
    api = Api(published_in(tmp_path))

    class Failing:
        public = True

        async def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
            resp.set_headers({"ETag": '"x"', "Link": "<x>", "Content-Encoding": "gzip", "Content-Disposition": "x"})
            resp.data, resp.status = b"half an answer", 206
            raise Problem(kind, "So it is.", errors=[ParameterError("p", "is wrong")], retry_after_s=0.2)

    api.app.add_route("/failing", Failing())
    given = api.ask("/failing")
    reported = document(given)
    assert reported["type"] == f"/problems/{kind.value.slug}" == kind.value.uri
    assert (reported["title"], reported["hint"]) == (kind.value.title, kind.value.advice)
    assert reported["errors"] == [{"parameter": "p", "detail": "is wrong", "code": "invalid"}]
    assert given.headers["retry-after"] == "1"
    assert ("www-authenticate" in given.headers) == (kind.value.status == 401)
    assert not {"etag", "link", "content-encoding", "content-disposition"} & set(given.headers)


def test_problem_slugs_and_titles_are_unique() -> None:
    kinds = list(ProblemKind)
    assert len({kind.value.slug for kind in kinds}) == len({kind.value.title for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("failure", [ZeroDivisionError("secret place"), falcon.HTTPInternalServerError(title="secret")])
def test_an_internal_error_shows_only_the_request_id(tmp_path: Path, failure: Exception) -> None:
    api = Api(published_in(tmp_path))

    class Defective:
        public = True

        async def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
            raise failure

    api.app.add_route("/defective", Defective())
    given = api.ask("/defective")
    assert problem(given) == (500, "internal-error")
    assert "secret" not in given.text
    assert "Traceback" not in given.text
    exception = next(line for line in api.log() if line["event"] == "exception")
    assert exception["request_id"] == document(given)["request_id"]
    assert type(failure).__name__ in exception["traceback"]


def test_an_error_response_drops_earlier_headers_and_body(tmp_path: Path) -> None:
    key = add_key(published_in(tmp_path))
    api = Api(f"sqlite:///{tmp_path / 'summaries.db'}")
    given = api.ask(SUMMARY, QUERY, key=key)
    assert problem(given) == (403, "out-of-scope")
    assert given.headers["content-length"] == str(len(given.content))


def test_a_problem_document_needs_no_request_id() -> None:
    response, request = falcon.asgi.Response(), create_asgi_req()
    send_problem(Problem(ProblemKind.NOT_FOUND, "No."), request, response)
    assert response.data is not None
    assert b'"request_id":null' in response.data
