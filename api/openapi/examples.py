"""Example requests with their responses, from ``examples.json``. The tests send each of them to a server."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from api.problems import ParameterError, Problem, ProblemKind, details_of

REQUEST_ID: Final = "5f0c7d1e9a3b2468"
"""Of the requests that fail in these examples."""


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """A request, without its key.

    :param target: path and query.
    :param body: a JSON object, or None.
    """

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A request and the body of its response: a JSON document, or text.

    :param summary: what it shows, in a few words.
    """

    summary: str
    request: ExampleRequest
    answer: Any
    media_type: str = "application/json"


@cache
def operation_examples() -> dict[str, list[Example]]:
    """Examples of successful requests, by the id of the operation."""
    return {
        operation_id: [Example(**{**example, "request": ExampleRequest(**example["request"])}) for example in examples]
        for operation_id, examples in _document()["operations"].items()
    }


@cache
def problem_examples() -> dict[ProblemKind, Example]:
    """One request for each type of problems; some problems depend on the state of the server."""
    found = _document()["problems"]
    return {kind: _failing(kind, **found[kind.value.slug]) for kind in ProblemKind}


def _failing(kind: ProblemKind, request: dict[str, Any], answer: dict[str, Any]) -> Example:
    problem = Problem(kind, answer["detail"], errors=[ParameterError(**error) for error in answer.get("errors", ())])
    body = json.loads(details_of(problem, REQUEST_ID).json_bytes())
    return Example(kind.value.title, ExampleRequest(**request), body)


@cache
def _document() -> dict[str, Any]:
    return dict(json.loads(files(__package__).joinpath("examples.json").read_text("utf-8")))
