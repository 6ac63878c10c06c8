"""The OpenAPI document is valid, complete, and matches the responses of the server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import falcon
import falcon.inspect
import pytest
from api_client import KEYS_ONLY, Api, add_key
from example_store import api_over, copy_of
from falcon.testing import Result
from openapi_spec_validator import OpenAPIV31SpecValidator
from paths import PAGES, filled
from slow_store import SlowStore

from api.notifications.contacts_resource import CONVERTER
from api.openapi.document import describe
from api.openapi.examples import REQUEST_ID, Example, ExampleRequest, operation_examples, problem_examples
from api.openapi.operation import Operation
from api.openapi.operations import OF_A_MERCHANT, OPERATIONS
from api.problems import ProblemKind
from core import __version__
from core.settings import Settings
from core.stores import open_stores
from core.stores.api_keys import Scope
from notifier.commands.prune import least_days

pytest_plugins = ["openapi_fixtures"]

_EXAMPLES = [(operation, example) for operation in OPERATIONS for example in operation_examples().get(operation.id, ())]
_JSON = {"Content-Type": "application/json"}
_SENTENCE = re.compile(r"^\S.{12,}[.…)`]$", re.DOTALL)
_ROOT = Path(__file__).parents[3]


@pytest.fixture
def url(example_url: str, tmp_path: Path) -> str:
    """A store of this test alone, with the summaries and notifications of the examples."""
    return copy_of(example_url, tmp_path)


@pytest.mark.parametrize("open_to_this_host", [True, False])
def test_the_document_is_valid_openapi_3_1(open_to_this_host: bool) -> None:
    document = describe(open_to_this_host=open_to_this_host)

    OpenAPIV31SpecValidator(document).validate()

    assert document["openapi"].startswith("3.1.")


def test_the_document_has_every_route_and_method_of_the_api(url: str) -> None:
    routes = falcon.inspect.inspect_routes(api_over(url).app)
    served = {
        (route.path.replace(f":{CONVERTER}}}", "}/contacts"), method.method)
        for route in routes
        for method in route.methods
        if not method.internal and method.method not in ("HEAD", "OPTIONS") and route.path not in PAGES
    }

    described = {
        (path, method.upper()) for path, item in describe(open_to_this_host=True)["paths"].items() for method in item
    }

    assert described == served
    assert set(PAGES) <= {route.path for route in routes}


@pytest.mark.parametrize("path", ["/api/notifications", "/api/subscriptions"])
def test_the_documented_lifetime_of_idempotency_keys_is_correct(path: str) -> None:
    parameters = describe(open_to_this_host=True)["paths"][path]["post"]["parameters"]

    [key] = [parameter for parameter in parameters if parameter["name"] == "Idempotency-Key"]

    assert f"at least {least_days(Settings())} days after" in key["description"]


def test_the_document_has_the_version_of_the_project() -> None:
    assert describe(open_to_this_host=True)["info"]["version"] == __version__


@pytest.mark.parametrize(
    ("operation", "example"),
    _EXAMPLES,
    ids=[f"{example.request.method} {example.request.target}" for _, example in _EXAMPLES],
)
def test_an_example_is_what_the_server_answers(operation: Operation, example: Example, url: str) -> None:
    request = example.request

    answer = _ask(api_over(url), request)

    assert request.method == operation.method
    assert answer.status_code == operation.status
    assert answer.headers["content-type"].partition(";")[0] == example.media_type
    assert (answer.json if example.media_type == "application/json" else answer.text) == example.answer
    location = f"{request.target}/{example.answer['id']}" if operation.status == 201 else None
    assert answer.headers.get("location") == location


@pytest.mark.parametrize("kind", ProblemKind, ids=lambda kind: kind.value.slug)
def test_the_example_of_a_problem_is_what_the_server_answers(kind: ProblemKind, url: str) -> None:
    answer = _answer_that_meets(kind, url)

    assert answer.json == problem_examples()[kind].answer
    assert answer.status_code == kind.value.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (kind.value.status in (429, 503))
    assert ("www-authenticate" in answer.headers) == (kind.value.status == 401)


def test_documented_security_matches_what_the_server_requires(url: str) -> None:
    api, document = api_over(url, **KEYS_ONLY), describe(open_to_this_host=False)

    for operation in OPERATIONS:
        answer = api.ask(filled(operation.path), method=operation.method, headers=_JSON)
        assert (answer.status_code == 401) == (operation.scopes is not None)
        assert document["paths"][operation.path][operation.method.lower()]["security"] == (
            [] if operation.scopes is None else [{"key": [scope]} for scope in operation.scopes] or [{"key": []}]
        )


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_allows_exactly_the_operations_that_document_it(scope: Scope, url: str) -> None:
    scopes = {scope} | ({Scope.SUMMARIES} if scope is Scope.NOTIFICATIONS else set())  # which subscribing needs too
    token = add_key(url, sorted(scopes))
    api = api_over(url)

    for operation in OPERATIONS:
        if operation.scopes:
            refused = _least_request(api, operation, token).status_code == 403
            assert refused == scopes.isdisjoint(operation.scopes), operation.id


def test_a_merchant_scope_allows_exactly_the_operations_that_document_it(url: str) -> None:
    token = add_key(url, merchants=["tea-house"])
    api = api_over(url)

    for operation in OPERATIONS:
        if operation.scopes:
            refused = _least_request(api, operation, token).status_code == 403
            assert refused == (OF_A_MERCHANT not in operation.scopes), operation.id


def test_the_document_describes_keyless_requests_only_in_open_mode(url: str) -> None:
    api = api_over(url)
    local, remote = api.ask("/openapi.json"), api.ask("/openapi.json", peer="10.0.0.1")

    assert {} in local.json["paths"]["/api/me"]["get"]["security"]
    assert remote.json["paths"]["/api/me"]["get"]["security"] == [{"key": []}]
    assert local.headers["etag"] != remote.headers["etag"]


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/assets/docs/swagger-ui-bundle.js", "/problems/no-key"])
def test_the_document_and_its_pages_have_etags_and_give_304(path: str, url: str) -> None:
    api = api_over(url)
    etag = api.ask(path, headers={"Accept-Encoding": "gzip"}).headers["etag"]

    again = api.ask(path, headers={"Accept-Encoding": "gzip", "If-None-Match": etag})
    in_another_encoding = api.ask(path, headers={"If-None-Match": etag})

    assert (again.status_code, again.content) == (304, b"")
    assert in_another_encoding.status_code == 200


def test_amounts_that_may_exceed_64_bits_have_no_format() -> None:
    schemas = describe(open_to_this_host=True)["components"]["schemas"]

    unbounded = [
        schemas["Merchant"]["properties"]["amount"]["anyOf"][0],
        schemas["PublishedState"]["properties"]["total_amount"],
    ]
    assert [(schema["type"], schema.get("format")) for schema in unbounded] == [("integer", None)] * 2


def test_every_part_of_the_document_has_a_description() -> None:
    document = describe(open_to_this_host=True)
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    schemas = document["components"]["schemas"].values()
    explained = [
        *operations,
        *(parameter for operation in operations for parameter in operation["parameters"]),
        *(response for operation in operations for response in operation["responses"].values()),
        *document["components"]["headers"].values(),
        *(field for schema in schemas for field in schema.get("properties", {}).values()),
        *(schema for schema in schemas if schema["type"] == "object"),
    ]

    assert [found for found in explained if not _SENTENCE.search(found.get("description", ""))] == []


def test_every_body_and_problem_type_has_a_schema_name() -> None:
    """Generators such as `openapi-typescript` copy what has no name to each place where it occurs."""
    document = describe(open_to_this_host=True)
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    contents = [
        content
        for operation in operations
        for message in (*operation["responses"].values(), operation.get("requestBody", {}))
        for media_type, content in message.get("content", {}).items()
        if media_type.endswith("json")
    ]
    named = {content["schema"].get("$ref", "").removeprefix("#/components/schemas/") for content in contents}
    schemas = document["components"]["schemas"]

    assert {method for item in document["paths"].values() for method in item} == {"get", "put", "post", "delete"}
    assert "ProblemDetails" in named
    assert named <= schemas.keys()
    assert schemas["ProblemDetails"]["properties"]["type"]["$ref"] == "#/components/schemas/ProblemType"
    names = schemas["ProblemType"]["x-enum-varnames"]
    assert dict(zip(schemas["ProblemType"]["enum"], names, strict=True)) == {
        kind.value.uri: kind.name for kind in ProblemKind
    }
    assert all(re.fullmatch("[A-Z][A-Za-z]+", name) for name in schemas)
    assert all(re.fullmatch("[a-z][A-Za-z]+", operation["operationId"]) for operation in operations)


def test_the_openapi_modules_are_not_imported_at_start_up() -> None:
    code = "import sys, api.app; print([name for name in sys.modules if name in sys.argv])"
    lazy = ["api.openapi.document", "api.openapi.operations", "swagger_ui_bundle", "openapi_spec_validator"]

    done = subprocess.run(
        [sys.executable, "-c", code, *lazy], cwd=_ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == "[]\n"


def _least_request(api: Api, operation: Operation, token: str) -> Result:
    """The response to the example of `operation`, or to its smallest valid request."""
    if operation.path.endswith("/summary"):
        return api.ask(operation.path, "mode=daily&type=count&merchant_id=tea-house", key=token)
    sent = next((example.request.body for example in operation_examples().get(operation.id, ())), None)
    merchant = {"merchant_id": "tea-house"} if sent and "merchant_id" in sent else {}
    body = None if sent is None else json.dumps(sent | merchant).encode()
    return api.ask(filled(operation.path), method=operation.method, key=token, headers=_JSON, body=body)


def _ask(api: Api, request: ExampleRequest, *, key: str | None = None, **headers: str) -> Result:
    """The answer of `api` to `request`."""
    path, _, query = request.target.partition("?")
    body = None if request.body is None else json.dumps(request.body).encode()
    sent = (_JSON if request.body is not None or request.method == "DELETE" else {}) | headers | request.headers
    return api.ask(path, query, method=request.method, key=key, headers=sent, body=body)


def _answer_that_meets(kind: ProblemKind, url: str) -> Result:
    """The response to the example of `kind` by a server in the state of that problem."""
    token = None
    settings: Mapping[str, Any] = {}
    match kind:
        case ProblemKind.NO_KEY | ProblemKind.BAD_KEY:
            settings = KEYS_ONLY
        case ProblemKind.OUT_OF_SCOPE:
            token = add_key(url, [Scope.SUMMARIES])
        case ProblemKind.TOO_MANY_REQUESTS:
            settings = {"api_rate_limit": "20/minute"}
        case ProblemKind.OVERLOADED:
            return _answer_when_overloaded(url)
        case ProblemKind.NOT_BUILT_YET:
            url = url.replace("summaries.db", "empty.db")
            open_stores(url, timeout_s=10).close()
        case ProblemKind.STORE_UNAVAILABLE:
            Path(url.removeprefix("sqlite:///")).write_bytes(b"no database" * 1000)
    api = _Broken(url) if kind is ProblemKind.INTERNAL_ERROR else api_over(url, **settings)
    if kind is ProblemKind.TOO_MANY_REQUESTS:
        for _ in range(20):
            api.ask("/no/such/page")
    return _ask(api, problem_examples()[kind].request, key=token, **{"X-Request-Id": REQUEST_ID})


def _answer_when_overloaded(url: str) -> Result:
    api = api_over(url, api_threads=1, api_queue=1, api_freshness_s=60.0)
    store = SlowStore(api)
    api.ask("/api/merchants")
    waiting = [{"path": "/api/merchants", "query": f"limit={limit}"} for limit in (1, 2)]
    with store.asked_by(*waiting):
        store.wait_for(1)
        return api.ask("/api/merchants", "limit=3", headers={"X-Request-Id": REQUEST_ID})


class _Broken(Api):
    """An API with a defect."""

    def open_stores(self) -> NoReturn:
        raise ValueError("a defect")
