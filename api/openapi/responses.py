"""What operations answer with, as OpenAPI responses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from api.openapi import bodies
from api.openapi.operation import Operation
from api.openapi.schemas import reference_to
from api.problems import CONTENT_TYPE, ProblemKind

Json = dict[str, Any]

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
    "408": "The request took too long to arrive.",
    "414": "The request line is too long.",
    "431": "The header fields are too many or too long.",
}
"""What the server refuses without looking closer; the problem is `/problems/bad-request`."""


def problems_of(operation: Operation) -> list[ProblemKind]:
    """Every kind of problem that `operation` may answer with, in the order of the table."""
    kinds = {*operation.problems, *_EVERYWHERE, *(_WHERE_GUARDED if operation.guarded else ())}
    return [kind for kind in ProblemKind if kind in kinds]


def responses_of(operation: Operation) -> Json:
    """The OpenAPI responses of `operation`, by status."""
    headers = [
        *(("ETag", "Cache-Control", "Vary") if operation.kept else ()),
        *(["Link"] if operation.paged else ()),
        *(["Location"] if operation.status == 201 else ()),
    ]
    found = _response("It is made." if operation.status == 201 else "As asked.", headers)
    found["content"] = {
        media_type: {"schema": reference_to(model) if model else {"type": "string"}} | _examples(operation, media_type)
        for media_type, model in operation.answers.items()
    }
    unchanged = {"304": _response("The client has it already.", headers)} if operation.kept else {}
    there = {"200": _response("It is there already.", ()) | {"content": found["content"]}}
    return {
        str(operation.status): found,
        **(there if operation.may_be_there else {}),
        **unchanged,
        **_problem_responses(problems_of(operation)),
    }


def responses_to_options(operation: Operation) -> Json:
    """Likewise of ``OPTIONS`` on the path of `operation`."""
    kinds = [kind for kind in problems_of(operation) if kind not in operation.problems or kind in _WHERE_GUARDED]
    return {"200": _response("The methods are in `Allow`.", ("Allow",)), **_problem_responses(kinds)}


def _examples(operation: Operation, media_type: str) -> Json:
    examples = {
        f"example{number}": {
            "summary": example.summary,
            "description": f"{example.method} {example.target}",
            "value": example.body,
        }
        for number, example in enumerate(operation.examples, start=1)
        if example.media_type == media_type
    }
    return {"examples": examples} if examples else {}


def _problem_responses(kinds: Iterable[ProblemKind]) -> Json:
    by_status: dict[int, list[ProblemKind]] = defaultdict(list)
    for kind in kinds:
        by_status[kind.value.status].append(kind)
    responses: Json = {}
    for status, same in sorted(by_status.items()):
        response = _response("; or: ".join(kind.value.title for kind in same) + ".", _OF_STATUS.get(status, ()))
        examples = {kind.value.slug: {"$ref": f"#/components/examples/{kind.value.slug}"} for kind in same}
        response["content"] = {CONTENT_TYPE: {"schema": reference_to(bodies.Problem), "examples": examples}}
        responses[str(status)] = response
    refused = {
        status: {"description": description, "content": {CONTENT_TYPE: {"schema": reference_to(bodies.Problem)}}}
        for status, description in _BEFORE_THE_APPLICATION.items()
    }
    return dict(sorted((responses | refused).items()))


def _response(description: str, headers: Iterable[str]) -> Json:
    named = ("X-Request-Id", *headers)
    return {"description": description, "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in named}}


def _header(description: str, *, required: bool = True, **schema: Any) -> Json:
    return {"description": description, "required": required, "schema": {"type": "string", **schema}}


HEADERS: Final = {
    "X-Request-Id": _header("By which the operator finds the request; that of the request, if it had a valid one."),
    "ETag": _header("Names this body: strong, and another for each encoding."),
    "Cache-Control": _header("Whether it may be kept; asking again with If-None-Match is always right."),
    "Vary": _header("The request headers that the answer depends on."),
    "Link": _header('`<…>; rel="next"` leads to the next page; without it there is none.', required=False),
    "Location": _header("The path of what was made.", format="uri-reference"),
    "Retry-After": _header("Seconds after which to try again.", type="integer", minimum=1),
    "WWW-Authenticate": _header("How to identify oneself.", examples=['Bearer realm="transaction summaries"']),
    "Allow": _header("The methods of this path."),
}
