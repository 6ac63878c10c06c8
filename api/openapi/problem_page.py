"""The page that the ``type`` of a problem leads to."""

from __future__ import annotations

from api.openapi.commands import curl, pretty_json
from api.openapi.html import Html, code_block, joined, page, phrase, tag
from api.openapi.operations import OPERATIONS
from api.openapi.problem_examples import PROBLEMS, problem_body
from api.openapi.responses import problems_of
from api.problems import ProblemKind


def problem_page(kind: ProblemKind) -> bytes:
    """What `kind` means, what to do about it, an example, and where it is met, as HTML."""
    known = kind.value
    met = [operation for operation in OPERATIONS if kind in problems_of(operation)]
    where = [
        tag("li", tag("a", f"{operation.method} {operation.path}", href=f"/docs#{operation.id}")) for operation in met
    ]
    header = tag(
        "header",
        tag("div", tag("h1", known.title), tag("p", f"Status {known.status}", class_="muted")),
        tag("p", tag("a", "API", href="/docs"), tag("a", "All problems", href="/docs#problems"), class_="links"),
        class_="top",
    )
    body = tag(
        "main",
        tag("h2", "What to do"),
        tag("p", phrase(known.advice)),
        _example(kind),
        [tag("h2", "Where it is met"), tag("ul", where)] if where else None,
        class_="narrow",
    )
    return page(known.title, header, body)


def _example(kind: ProblemKind) -> Html | None:
    if (example := PROBLEMS.get(kind)) is None:
        return None
    return joined(
        [
            tag("h2", "For example"),
            code_block(curl(example.target, example.method, example.headers, example.sent), "request"),
            code_block(pretty_json(problem_body(kind, example))),
        ]
    )
