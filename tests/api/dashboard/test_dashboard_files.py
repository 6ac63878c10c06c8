"""The page and its files over HTTP: headers, encodings, caching, and the chart library."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import brotli
import pytest
from api_client import Api

from api import dashboard


@pytest.fixture
def api(tmp_path: Path) -> Api:
    return Api(f"sqlite:///{tmp_path / 'none.db'}")


def test_the_page_is_served_while_nothing_is_built(api: Api) -> None:
    answer = api.ask("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


def test_the_pages_need_no_key(api: Api) -> None:
    assert api.ask("/sign-in", peer="192.0.2.7", host="figures.example").status_code == 200
    assert api.ask("/", peer="192.0.2.7", host="figures.example").status_code == 200
    assert api.ask("/notifications", peer="192.0.2.7", host="figures.example").status_code == 200
    assert api.ask("/assets/main.js", peer="192.0.2.7", host="figures.example").status_code == 200


def test_the_policy_allows_nothing_inline_nothing_evaluated_and_no_other_server(api: Api) -> None:
    policy = api.ask("/").headers["content-security-policy"]
    sources = dict(part.split(" ", 1) for part in policy.split("; "))
    assert sources["default-src"] == "'none'"
    assert {sources["script-src"], sources["style-src"], sources["connect-src"]} == {"'self'"}
    assert sources["frame-ancestors"] == "'none'"


@pytest.mark.parametrize(
    ("path", "beginning"),
    [
        ("/", "main.js"),
        ("/notifications", "notificationsmain.js"),
        ("/contacts", "notificationsmain.js"),
        ("/sign-in", "signin.js"),
    ],
)
def test_every_file_that_a_page_and_its_modules_name_is_there(api: Api, path: str, beginning: str) -> None:
    page = api.ask(path).text
    named = set(re.findall(r'"/assets/([a-z]+\.[a-z]+)"', page))
    assert {beginning, "base.css", "icon.svg"} <= named
    todo = [name for name in named if name.endswith(".js")]
    while todo:
        text = api.ask(f"/assets/{todo.pop()}").text
        new = set(re.findall(r'from "\./([a-z]+\.js)"', text)) - named
        named |= new
        todo += new
    assert len(named) > (8 if path == "/sign-in" else 20)
    for name in named:
        assert api.ask(f"/assets/{name}").status_code == 200, name


@pytest.mark.parametrize("name", ["chart_bundle.py", "..%2Fapp.py", "index.html", "notifications.html", "none.js"])
def test_no_other_file_is_served(api: Api, name: str) -> None:
    assert api.ask(f"/assets/{name}").status_code == 404


@pytest.mark.parametrize(("accepted", "decode"), [("br", brotli.decompress), ("gzip", gzip.decompress)])
def test_a_file_comes_in_the_encoding_asked_for(api: Api, accepted: str, decode: object) -> None:
    plain = api.ask("/assets/base.css")
    encoded = api.ask("/assets/base.css", headers={"Accept-Encoding": accepted})
    assert encoded.headers["content-encoding"] == accepted
    assert callable(decode)
    assert decode(encoded.content) == plain.content
    assert encoded.headers["etag"] != plain.headers["etag"]
    assert encoded.headers["vary"] == "Accept-Encoding"


def test_a_file_that_the_browser_has_is_not_sent_again(api: Api) -> None:
    etag = api.ask("/assets/main.js").headers["etag"]
    again = api.ask("/assets/main.js", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_the_chart_library_is_a_module_that_is_cached_for_ever_and_written_nowhere(api: Api) -> None:
    before = _files()
    name = re.search(r"charts-[0-9a-f]{16}\.js", api.ask("/").text)
    assert name is not None
    answer = api.ask(f"/assets/{name[0]}", headers={"Accept-Encoding": "br"})
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert len(answer.content) < 400_000
    module = brotli.decompress(answer.content)
    assert re.search(rb"export\s*\{[^}]*vegaEmbed", module)
    assert _files() == before


@pytest.mark.parametrize("accepted", ["identity", "gzip", "br"])
def test_two_processes_send_equal_files_with_equal_etags(api: Api, tmp_path: Path, accepted: str) -> None:
    other = Api(f"sqlite:///{tmp_path / 'another.db'}")
    for path in ("/", "/assets/main.js"):
        one, two = (each.ask(path, headers={"Accept-Encoding": accepted}) for each in (api, other))
        assert (one.content, one.headers["etag"]) == (two.content, two.headers["etag"])
    assert api.ask("/assets/main.js").headers["etag"] != api.ask("/assets/page.js").headers["etag"]


def _files() -> set[Path]:
    return set(Path(dashboard.__file__).parent.rglob("*.js"))
