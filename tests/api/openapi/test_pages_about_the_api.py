"""The pages about the API: whole, reachable, and within the policy that browsers are told."""

from __future__ import annotations

import html
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest
from asking import Api
from example_store import api_over, fill

from api.openapi.commands import curl
from api.openapi.html import code_block, tag
from api.openapi.operations import OPERATIONS
from api.problems import ProblemKind

_PAGES = ["/docs", *(kind.value.uri for kind in ProblemKind)]


class _Page(HTMLParser):
    """What a page is made of, as far as the tests care."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(name)
        if name not in ("meta", "link", "input", "img", "br", "hr"):
            self.open.append(name)
        for key, value in attributes:
            self.attributes.add(key)
            if key == "id":
                self.ids.append(value or "")
            elif key == "href":
                self.links.append(value or "")

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    """The API over a store with a few summaries."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'summaries.db'}"
    fill(url)
    return api_over(url)


@pytest.mark.parametrize("path", _PAGES)
def test_a_page_is_well_formed_html_without_anything_that_its_policy_forbids(path: str, api: Api) -> None:
    answer = api.ask(path)
    page = _Page(answer.text)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert not {"script", "style", "iframe", "form"} & set(page.elements)
    assert not {name for name in page.attributes if name == "style" or name.startswith("on")}


@pytest.mark.parametrize("path", _PAGES)
def test_every_link_of_a_page_leads_somewhere(path: str, api: Api) -> None:
    page = _Page(api.ask(path).text)

    for target in {link.partition("#")[0] for link in page.links}:
        fragments = {link.partition("#")[2] for link in page.links if link.partition("#")[0] == target} - {""}
        there = page
        if target:
            answer = api.ask(target)
            assert answer.status_code == 200
            there = _Page(answer.text) if fragments else page
        assert fragments <= set(there.ids)


def test_the_docs_show_every_operation_parameter_and_problem(api: Api) -> None:
    page = api.ask("/docs").text

    for operation in OPERATIONS:
        assert f'id="{operation.id}"' in page
        names = operation.parameters.model_json_schema()["properties"] if operation.parameters else ()
        article = page[page.index(f'<article id="{operation.id}"') :].partition("</article>")[0]
        assert all(f"<td><code>{name}</code>" in article for name in names)
    assert all(f'href="{kind.value.uri}"' in page for kind in ProblemKind)


def test_the_docs_show_the_fields_of_every_body_and_a_command_that_sends_one(api: Api) -> None:
    page = api.ask("/docs").text

    for operation in OPERATIONS:
        if operation.request is not None:
            article = page[page.index(f'<article id="{operation.id}"') :].partition("</article>")[0]
            names = operation.request.model_json_schema().get("properties", ())
            assert all(f"<td><code>{name}</code>" in article for name in names)
            key = "" if operation.scopes is None else '-H "Authorization: Bearer $KEY" '
            assert f"curl -X {operation.method} {key}" in html.unescape(article)
            assert "-H 'Content-Type: application/json'" in article


def test_a_command_can_be_pasted_into_a_shell() -> None:
    command = curl("/a?b=1&c=2", "POST", [("Idempotency-Key", "it's")], {"title": "it's $HOME"}, with_key=True)

    words = shlex.split(command)
    assert words == [
        *("curl", "-X", "POST", "-H", "Authorization: Bearer $KEY", "-H", "Idempotency-Key: it's"),
        *("-H", "Content-Type: application/json", "$API/a?b=1&c=2", "-d", '{"title":"it\'s $HOME"}'),
    ]


@pytest.mark.parametrize("kind", ProblemKind, ids=lambda kind: kind.value.slug)
def test_a_problem_has_a_page_that_says_what_it_is_and_what_to_do(kind: ProblemKind, api: Api) -> None:
    text = re.sub("<[^>]+>", "", api.ask(kind.value.uri).text)

    assert kind.value.title in text
    assert kind.value.advice in text
    assert f"Status {kind.value.status}" in text


def test_there_is_no_page_of_an_unknown_problem(api: Api) -> None:
    answer = api.ask("/problems/no-such")

    assert (answer.status_code, answer.json["type"]) == (404, "/problems/not-found")


def test_what_stands_in_a_page_is_escaped() -> None:
    assert tag("p", "<b>", title='"&') == '<p title="&quot;&amp;">&lt;b&gt;</p>'


def test_persian_words_in_examples_are_isolated_from_what_is_around_them() -> None:
    block = code_block('{"label": "۴ تیر ۱۴۰۳"}')

    assert '"<bdi>۴ تیر ۱۴۰۳</bdi>"' in block


def test_the_style_of_the_pages_loads_nothing() -> None:
    style = (Path(__file__).parents[3] / "api" / "dashboard" / "docs.css").read_text()

    assert "url(" not in style
    assert "@import" not in style
