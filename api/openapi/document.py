"""The OpenAPI 3.1 document, made from the operations, the models of bodies and parameters, and the table of problems.

SpecTree could use the paths and models, but does not support headers of responses, other media types than
application/json, or examples; it adds a 422 that this API never sends, and wraps each responder.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel

from api.openapi.examples import Example, operation_examples, problem_examples
from api.openapi.operation import JSON, TAGS, Operation
from api.openapi.operations import IDEMPOTENCY_KEY, OPERATIONS, PATH_PARAMETERS
from api.openapi.schemas import component_schemas, query_parameters, reference_to
from api.problems import CONTENT_TYPE, ProblemDetails, ProblemKind
from core import __version__

Json = dict[str, Any]

_TITLE: Final = "Transaction summaries"
_ABOUT: Final = """\
Exact daily, weekly and monthly summaries of the transactions of merchants, and notifications to users.

**Summaries** come from the last publication, never from a mix of two. Responses have a strong `ETag`: send it back as \
`If-None-Match`, and you receive 304 without a body if nothing has changed.

**Requests.** The body of a request is one JSON object in UTF-8 with `Content-Type: application/json`. A parameter or \
field that is unknown, repeated or wrong is an error. One response lists all errors. `HEAD` works wherever `GET` \
does. `OPTIONS` returns the methods of a path in `Allow`.

**Failures** are `application/problem+json` (RFC 9457). Rely on `type`, which never changes; it is also the path of a \
page about it. Requests that are not valid HTTP get 400, 408, 414 or 431 with the type `/problems/bad-request`.

**Units.** Amounts are integers in minor units of the `currency` of `/api/me`: with a `scale` of 2, 123450 is \
1,234.50. With `unit=major`, amounts of summaries are exact decimal strings. Times are RFC 3339 in UTC. Fields whose \
name ends with `_s` are seconds."""
_KEYS: Final = """\
A key that the operator created with `python -m api keys add`, sent as `Authorization: Bearer KEY`. Its scopes: \
`summaries` (of all merchants), `merchant:ID` (the summaries of that merchant), `notifications`, `operate`.

Each key belongs to a tenant: the tenant in `--tenant`, the tenant of all keys of the same merchants, or the operator. \
Notifications, users with their contacts, subscriptions and idempotency keys belong to a tenant. For a key, those of \
other tenants do not exist. Keys of the operator see all tenants, and select one with `tenant`.

A revoked key is refused within `API_FRESHNESS_S` seconds, and an expired one at once. While the store does not \
answer within a tenth of a second, reads accept keys as they were last read, for `API_STALE_IF_ERROR_S` seconds more.

A person who signed in to the dashboard with a link of `python -m api sign-in` has a session cookie instead, with all \
scopes. With the cookie, only pages of this server may write. With `API_ACCESS=open-loopback`, programs on the host of \
the server need no key."""
_SCHEME: Final = "key"

_EVERYWHERE: Final = (ProblemKind.BODY_TOO_LARGE, ProblemKind.INTERNAL_ERROR)
_WHERE_GUARDED: Final = (
    ProblemKind.NO_KEY,
    ProblemKind.BAD_KEY,
    ProblemKind.TOO_MANY_REQUESTS,
    ProblemKind.NOT_BUILT_YET,
    ProblemKind.OVERLOADED,
    ProblemKind.STORE_UNAVAILABLE,
)
_OF_STATUS: Final[dict[int, tuple[str, ...]]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_BEFORE_THE_APPLICATION: Final = {
    "408": "The request took longer than `API_REQUEST_TIMEOUT_S` seconds to arrive.",
    "414": "The request line is too long.",
    "431": "There are too many header fields, or they are too long.",
}
"""The responses of the server before the application, with the problem ``/problems/bad-request``."""


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
        "servers": [{"url": "/", "description": "This server"}],
        "tags": [{"name": str(tag), "description": description} for tag, description in TAGS.items()],
        "paths": _paths(open_to_this_host),
        "components": {
            "schemas": _schemas(),
            "headers": _HEADERS,
            "examples": {
                kind.value.slug: {"summary": example.summary, "value": example.answer}
                for kind, example in problem_examples().items()
            },
            "securitySchemes": {_SCHEME: {"type": "http", "scheme": "bearer", "description": _KEYS}},
        },
    }


def _problems_of(operation: Operation) -> list[ProblemKind]:
    """The problems of `operation`, in the order of the table."""
    kinds = {*operation.problems, *_EVERYWHERE}
    for holds, implied in (
        (operation.guarded, _WHERE_GUARDED),
        (operation.path.startswith("/api/"), (ProblemKind.BAD_PARAMETER, ProblemKind.BAD_REQUEST)),
        (operation.scopes, (ProblemKind.OUT_OF_SCOPE,)),
        (operation.method != "GET", (ProblemKind.UNSUPPORTED_MEDIA_TYPE,)),
        (operation.paged, (ProblemKind.STALE_CURSOR,)),
        (operation.takes_idempotency_key, (ProblemKind.IDEMPOTENCY_CONFLICT,)),
        ("{notification_id}" in operation.path, (ProblemKind.UNKNOWN_NOTIFICATION,)),
        ("{subscription_id}" in operation.path, (ProblemKind.UNKNOWN_SUBSCRIPTION,)),
    ):
        kinds.update(implied if holds else ())
    return [kind for kind in ProblemKind if kind in kinds]


def _paths(open_to_this_host: bool) -> Json:
    paths: dict[str, Json] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[operation.path][operation.method.lower()] = _described(operation, open_to_this_host)
    return dict(paths)


def _schemas() -> Json:
    used = [model for operation in OPERATIONS for model in (operation.request, *operation.answers.values())]
    models: list[type[BaseModel]] = [model for model in dict.fromkeys(used) if model is not None]
    parameters = [operation.parameters for operation in OPERATIONS if operation.parameters is not None]
    schemas = component_schemas([*models, ProblemDetails], parameters)
    details = schemas[ProblemDetails.__name__]["properties"]
    details["type"] = {"$ref": "#/components/schemas/ProblemType", "description": details["type"]["description"]}
    schemas["ProblemType"] = {
        "type": "string",
        "enum": [kind.value.uri for kind in ProblemKind],
        "x-enum-varnames": [kind.name for kind in ProblemKind],  # the names that client generators give
        "description": "The kinds of failures.",
    }
    return schemas


def _described(operation: Operation, open_to_this_host: bool) -> Json:
    return {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [str(operation.tag)],
        "security": _security(operation, open_to_this_host),
        "parameters": [
            *_path_parameters(operation.path),
            *(query_parameters(operation.parameters) if operation.parameters else ()),
            *([_IF_NONE_MATCH] if operation.has_etag else ()),
            *([IDEMPOTENCY_KEY] if operation.takes_idempotency_key else ()),
        ],
        **_request_body(operation),
        "responses": _responses(operation),
    }


def _path_parameters(path: str) -> list[Json]:
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, **PATH_PARAMETERS[name]} for name in names]


def _security(operation: Operation, open_to_this_host: bool) -> list[Json]:
    if operation.scopes is None:
        return []
    required = [{_SCHEME: [scope]} for scope in operation.scopes] or [{_SCHEME: []}]
    return [*required, {}] if open_to_this_host else required


def _request_body(operation: Operation) -> Json:
    if operation.request is None:
        return {}
    examples = _named(operation_examples()[operation.id], lambda example: example.request.body)
    content = {JSON: {"schema": reference_to(operation.request), "examples": examples}}
    return {"requestBody": {"required": operation.request_needed, "content": content}}


def _responses(operation: Operation) -> Json:
    headers = [
        *(("ETag", "Cache-Control", "Vary") if operation.has_etag else ()),
        *(["Link"] if operation.paged else ()),
        *(["Location"] if operation.status == 201 else ()),
    ]
    content = {media_type: _content(operation, media_type) for media_type in operation.answers}
    responses = {str(operation.status): _response(operation.result, headers) | {"content": content}}
    if operation.found is not None:
        responses["200"] = _response(operation.found, ()) | {"content": content}
    if operation.has_etag:
        responses["304"] = _response("The `ETag` in `If-None-Match` is current. There is no body.", headers)
    return responses | _problem_responses(operation)


def _content(operation: Operation, media_type: str) -> Json:
    model = operation.answers[media_type]
    examples = [e for e in operation_examples().get(operation.id, ()) if e.media_type == media_type]
    shown = {"examples": _named(examples, lambda example: example.answer)} if examples else {}
    return {"schema": reference_to(model) if model else {"type": "string"}, **shown}


def _problem_responses(operation: Operation) -> Json:
    by_status: dict[int, list[ProblemKind]] = defaultdict(list)
    for kind in _problems_of(operation):
        by_status[kind.value.status].append(kind)
    schema = {"schema": reference_to(ProblemDetails)}
    responses: Json = {
        status: {"description": description, "content": {CONTENT_TYPE: schema}}
        for status, description in _BEFORE_THE_APPLICATION.items()
    }
    for status, kinds in by_status.items():
        lines = [f"`{kind.value.slug}`: {kind.value.title}. {kind.value.advice}" for kind in kinds]
        description = lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
        examples = {kind.value.slug: {"$ref": f"#/components/examples/{kind.value.slug}"} for kind in kinds}
        responses[str(status)] = _response(description, _OF_STATUS.get(status, ())) | {
            "content": {CONTENT_TYPE: schema | {"examples": examples}}
        }
    return dict(sorted(responses.items()))


def _named(examples: Sequence[Example], value: Callable[[Example], Any]) -> Json:
    """`examples` in the form of OpenAPI."""
    return {
        f"example{number}": {"summary": example.summary, "value": value(example)}
        for number, example in enumerate(examples, start=1)
    }


def _response(description: str, headers: Iterable[str]) -> Json:
    named = ("X-Request-Id", *headers)
    return {"description": description, "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in named}}


def _header(description: str, *, required: bool = True, **schema: Any) -> Json:
    return {"description": description, "required": required, "schema": {"type": "string", **schema}}


_HEADERS: Final = {
    "X-Request-Id": _header(
        "The id of the request in the server's log. If the request has a valid `X-Request-Id`, that id is used."
    ),
    "ETag": _header("The version of this body. Strong, and different for each content encoding."),
    "Cache-Control": _header("Whether and how the response may be cached. Revalidate it with `If-None-Match`."),
    "Vary": _header("The request headers that the response depends on."),
    "Link": _header('`<…>; rel="next"` is the address of the next page. Absent on the last page.', required=False),
    "Location": _header("The path of what was created.", format="uri-reference"),
    "Retry-After": _header("The number of seconds after which to try again.", type="integer", minimum=1),
    "WWW-Authenticate": _header("How to authenticate.", examples=['Bearer realm="transaction summaries"']),
}
_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of a response that you have. If it is current, the response is 304 without a body.",
    "schema": {"type": "string"},
}
