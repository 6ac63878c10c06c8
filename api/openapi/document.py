"""The OpenAPI 3.1 document, made from the operations, the models that check parameters and the table of problems.

SpecTree would take the paths and models, but knows neither headers of responses, nor other media types than
application/json, nor examples, adds a 422 that this API never answers, and wraps each responder: more would have to be
mended than it makes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from pydantic import BaseModel

from api.openapi import bodies
from api.openapi.operation import JSON, TAGS, Operation
from api.openapi.operations import OPERATIONS
from api.openapi.problem_examples import PROBLEMS, problem_body
from api.openapi.responses import HEADERS, responses_of, responses_to_options
from api.openapi.schemas import component_schemas, query_parameters, reference_to
from core import __version__

Json = dict[str, Any]

_TITLE: Final = "Transaction summaries"
_ABOUT: Final = """\
Exact daily, weekly and monthly summaries of transactions: of one merchant, or of all together; and notifications to \
users that arrive once.

Summaries come from what was published last, and each from one publication, never from two. They have an `ETag`: a \
client that sends it back as `If-None-Match` gets 304 while nothing has changed.

A parameter that is unknown, repeated or wrong is an error, and one answer lists all of them. Failures are documents \
of the type `application/problem+json` (RFC 9457), whose `type` programs may rely on. What is not valid HTTP is \
refused with 400, 408, 414, 417, 431 or 501, and the type `/problems/bad-request`."""
_KEYS: Final = """\
`Authorization: Bearer KEY`, with a key that the operator made (`python -m api keys add`). Scopes: `summaries` (of all \
merchants), `merchant:ID` (of that merchant), `notifications`, `operate`.

Where the operator has set `API_ACCESS=open-loopback`, programs on the server's own host need none: direct requests \
from a loopback address to a loopback name. People sign in to the dashboard with a link (`python -m api sign-in`), \
which sets a session cookie."""

_SCHEME: Final = "key"


def describe(*, open_to_this_host: bool) -> Json:
    """The document.

    :param open_to_this_host: whether requests without a key are served.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": _TITLE,
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": str(tag), "description": description} for tag, description in TAGS.items()],
        "paths": {path: _path_item(same, open_to_this_host) for path, same in _by_path().items()},
        "components": {
            "schemas": component_schemas(_models()),
            "headers": HEADERS,
            "examples": {
                kind.value.slug: {"summary": kind.value.title, "value": problem_body(kind, example)}
                for kind, example in PROBLEMS.items()
            },
            "securitySchemes": {_SCHEME: {"type": "http", "scheme": "bearer", "description": _KEYS}},
        },
    }


def _by_path() -> dict[str, list[Operation]]:
    found: dict[str, list[Operation]] = defaultdict(list)
    for operation in OPERATIONS:
        found[operation.path].append(operation)
    return found


def _models() -> list[type[BaseModel]]:
    used = [model for operation in OPERATIONS for model in (operation.request, *operation.answers.values())]
    return [*dict.fromkeys(model for model in used if model is not None), bodies.Problem]


def _path_item(operations: list[Operation], open_to_this_host: bool) -> Json:
    item: Json = {}
    for operation in operations:
        item[operation.method.lower()] = described = _described(operation, open_to_this_host)
        if operation.method == "GET":
            item["head"] = _head(operation, described)
    return item | {"options": _options(operations)}


def _described(operation: Operation, open_to_this_host: bool) -> Json:
    return {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [str(operation.tag)],
        "security": _security(operation, open_to_this_host),
        "parameters": [
            *operation.path_parameters,
            *(query_parameters(operation.parameters) if operation.parameters else ()),
            *([_IF_NONE_MATCH] if operation.kept else ()),
            *operation.header_parameters,
        ],
        **_request_body(operation),
        "responses": responses_of(operation),
    }


def _request_body(operation: Operation) -> Json:
    if operation.request is None:
        return {}
    examples = {
        f"example{number}": {"summary": example.summary, "value": example.sent}
        for number, example in enumerate(operation.examples, start=1)
    }
    content = {JSON: {"schema": reference_to(operation.request), "examples": examples}}
    return {"requestBody": {"required": operation.request_needed, "content": content}}


def _head(operation: Operation, described: Json) -> Json:
    return described | {
        "operationId": f"{operation.id}Head",
        "summary": f"{operation.summary}: headers only",
        "responses": {
            status: {word: value for word, value in response.items() if word != "content"}
            for status, response in described["responses"].items()
        },
    }


def _options(operations: list[Operation]) -> Json:
    first = operations[0]
    return {
        "operationId": f"{first.id}Options",
        "summary": "The methods that this path knows",
        "tags": [str(first.tag)],
        "security": [],
        "parameters": [parameter | {"schema": {"type": "string"}} for parameter in first.path_parameters],
        "responses": responses_to_options(first),
    }


def _security(operation: Operation, open_to_this_host: bool) -> list[Json]:
    if operation.scopes is None:
        return []
    required = [{_SCHEME: [scope]} for scope in operation.scopes] or [{_SCHEME: []}]
    return [*required, {}] if open_to_this_host else required


_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the answer that the client has.",
    "schema": {"type": "string"},
}
