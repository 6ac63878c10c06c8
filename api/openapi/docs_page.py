"""The OpenAPI document as one page, without any script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from api.openapi.commands import curl, pretty_json
from api.openapi.document import describe
from api.openapi.examples import Example
from api.openapi.html import Html, code_block, page, phrase, prose, tag
from api.openapi.operation import JSON, Operation, Tag
from api.openapi.operations import OPERATIONS
from api.openapi.responses import problems_of
from api.openapi.tables import field_table, parameter_table, table
from api.openapi.wording import Json
from api.problems import ProblemKind

_SETTING: Final = "API=http://127.0.0.1:8000\nKEY=tss_…"


def docs_page() -> bytes:
    """The page, as HTML."""
    document = describe(open_to_this_host=False)
    info = document["info"]
    header = tag(
        "header",
        tag("div", tag("h1", info["title"]), tag("p", f"HTTP API, version {info['version']}", class_="muted")),
        tag("p", tag("a", "Dashboard", href="/"), tag("a", "openapi.json", href="/openapi.json"), class_="links"),
        class_="top",
    )
    body = tag(
        "main",
        tag("section", tag("h2", "What it is"), prose(info["description"]), id="about"),
        _keys(document),
        [_group(group, document) for group in document["tags"]],
        _problems(),
        id="content",
    )
    skip = tag("a", "Skip to the content", href="#content", class_="skip")
    return page(f"{info['title']}: API", skip, header, tag("div", _navigation(document), body, class_="columns"))


def _navigation(document: Json) -> Html:
    groups = [
        tag("li", tag("a", group["name"], href=f"#{_anchor(group['name'])}"), tag("ul", _entries(group["name"])))
        for group in document["tags"]
    ]
    items = tag(
        "ul",
        tag("li", tag("a", "What it is", href="#about")),
        tag("li", tag("a", "Keys", href="#keys")),
        groups,
        tag("li", tag("a", "Problems", href="#problems")),
    )
    return tag("nav", items, aria_label="Contents")


def _entries(group: str) -> Iterator[Html]:
    for operation in OPERATIONS:
        if operation.tag == group:
            yield tag("li", tag("a", _named(operation), href=f"#{operation.id}"))


def _named(operation: Operation) -> str:
    return operation.path if operation.method == "GET" else f"{operation.method} {operation.path}"


def _keys(document: Json) -> Html:
    (scheme,) = document["components"]["securitySchemes"].values()
    return tag(
        "section",
        tag("h2", "Keys"),
        prose(scheme["description"]),
        tag(
            "p",
            "The examples below expect two variables of the shell. Their answers are those of a store with a few "
            "summaries of three merchants; yours has others.",
        ),
        code_block(_SETTING),
        id="keys",
    )


def _group(group: Json, document: Json) -> Html:
    name = group["name"]
    shown = [_operation(operation, document) for operation in OPERATIONS if operation.tag == name]
    return tag("section", tag("h2", name), prose(group["description"]), shown, id=_anchor(name))


def _operation(operation: Operation, document: Json) -> Html:
    described = document["paths"][operation.path][operation.method.lower()]
    return tag(
        "article",
        tag("h3", tag("span", operation.method, class_="method"), " ", tag("code", operation.path)),
        tag("p", operation.summary, class_="lead"),
        prose(operation.description),
        tag("p", tag("b", "Key: "), _scopes(operation)),
        parameter_table(described["parameters"]),
        _body(described, document),
        [_example(example, operation) for example in operation.examples],
        _answers(described["responses"], operation, document),
        tag("p", tag("b", "Problems: "), _problem_links(operation), class_="chips"),
        id=operation.id,
    )


def _scopes(operation: Operation) -> Html:
    if operation.scopes is None:
        return Html("none needed")
    if not operation.scopes:
        return Html("any")
    return phrase("with the scope " + " or ".join(f"`{scope}`" for scope in operation.scopes))


def _example(example: Example, operation: Operation) -> Html:
    with_key = operation.scopes is not None
    command = curl(example.target, example.method, example.headers, example.sent, with_key=with_key)
    return tag(
        "figure",
        tag("figcaption", example.summary),
        code_block(command, "request"),
        code_block(_pretty(example.body)),
    )


def _body(described: Json, document: Json) -> Html | None:
    if (body := described.get("requestBody")) is None:
        return None
    schema, schemas = body["content"][JSON]["schema"], document["components"]["schemas"]
    needed = "" if body["required"] else ", which may be left out"
    about = tag("p", tag("b", "Body: "), phrase(f"`{JSON}`"), needed, ".")
    return Html(about + (field_table("Fields of the body", [schema], schemas) or ""))


def _answers(responses: Json, operation: Operation, document: Json) -> Html:
    status = str(operation.status)
    content: Json = responses[status]["content"]
    types = phrase(" or ".join(f"`{media_type}`" for media_type in content))
    headers = [name for name in responses[status]["headers"] if name != "X-Request-Id"]
    schemas = document["components"]["schemas"]
    told = phrase(", with " + ", ".join(f"`{name}`" for name in headers)) if headers else None
    unchanged = phrase("; 304 without a body for `If-None-Match`") if operation.kept else None
    return Html(
        tag("p", tag("b", "Answer: "), f"{status}, ", types, told, unchanged, ".")
        + (field_table("Fields", [media["schema"] for media in content.values()], schemas) or "")
    )


def _problem_links(operation: Operation) -> Iterator[str]:
    for kind in problems_of(operation):
        yield tag("a", f"{kind.value.status} {kind.value.slug}", href=kind.value.uri)
        yield " "


def _problems() -> Html:
    rows = [
        tag(
            "tr",
            tag("td", str(kind.value.status)),
            tag("td", tag("a", kind.value.slug, href=kind.value.uri)),
            tag("td", kind.value.title),
        )
        for kind in ProblemKind
    ]
    return tag(
        "section",
        tag("h2", "Problems"),
        prose("Each type has a page that tells what it means and what to do. `X-Request-Id` is on every answer."),
        table("Types of problems", ("Status", "Type", "Meaning"), rows),
        id="problems",
    )


def _pretty(body: Any) -> str:
    return body.replace("\r\n", "\n") if isinstance(body, str) else pretty_json(body)


def _anchor(name: str) -> str:
    return Tag(name).name.lower()
