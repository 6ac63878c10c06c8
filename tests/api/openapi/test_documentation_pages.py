"""The documentation pages: reachable, complete, and allowed by their content security policy."""

from __future__ import annotations

import html
import re

import pytest
from api_client import Api
from falcon.testing import Result

from api.problems import ProblemKind

pytest_plugins = ["openapi_fixtures"]

_PAGES = ["/docs", *(kind.value.uri for kind in ProblemKind)]

every_page = pytest.mark.parametrize("path", _PAGES)


@every_page
def test_a_page_needs_no_key_and_obeys_its_content_security_policy(path: str, example_api: Api) -> None:
    answer = _asked_from_elsewhere(path, example_api)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"<style|<script[^>]*>[^<]|\sstyle=|\son[a-z]+=", answer.text)


@every_page
def test_every_link_and_file_of_a_page_exists(path: str, example_api: Api) -> None:
    named = re.findall(r'(?:href|src)="([^"]*)"', example_api.ask(path).text)

    assert len(named) >= 4
    for target in named:
        assert _asked_from_elsewhere(target, example_api).status_code == 200, target


@pytest.mark.parametrize("path", ["/nothing", "/problems/none", "/assets/none.js", "/Notifications", "/docs/"])
def test_a_404_is_html_for_browsers_and_a_problem_document_for_programs(path: str, example_api: Api) -> None:
    page = example_api.ask(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    problem = example_api.ask(path, headers={"Accept": "application/json"})

    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert '<a href="/notifications">' in page.text
    assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")
    assert problem.json["type"] == "/problems/not-found"


def test_an_unknown_api_path_is_a_problem_document_in_browsers_too(example_api: Api) -> None:
    problem = example_api.ask("/api/nothing", headers={"Accept": "text/html"})

    assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("name", ["docs.html", "index.html", "swagger-ui.js", "..%2fdocument.py", "examples.json"])
def test_no_other_file_is_served_with_the_documentation(name: str, example_api: Api) -> None:
    assert example_api.ask(f"/assets/docs/{name}").status_code == 404


@pytest.mark.parametrize("kind", ProblemKind, ids=lambda kind: kind.value.slug)
def test_each_problem_type_has_a_page_with_a_remedy(kind: ProblemKind, example_api: Api) -> None:
    text = html.unescape(re.sub("<[^>]+>", "", example_api.ask(kind.value.uri).text))

    assert kind.value.title in text
    assert kind.value.advice in text
    assert f"HTTP status {kind.value.status}, type {kind.value.uri}" in text
    assert f'"type": "{kind.value.uri}"' in text


def test_an_unknown_problem_type_has_no_page(example_api: Api) -> None:
    answer = example_api.ask("/problems/no-such")

    assert (answer.status_code, answer.json["type"]) == (404, "/problems/not-found")


def _asked_from_elsewhere(path: str, example_api: Api) -> Result:
    """The response to a remote request without a key."""
    return example_api.ask(path, peer="192.0.2.7", host="figures.example")
