"""The pages and their files over HTTP: headers, encodings, caching, and what is bundled."""

from __future__ import annotations

import gzip
import json
import re
from hashlib import sha256
from pathlib import Path
from typing import get_args

import brotli
import pytest
from api_client import Api

from api.dashboard.bundle import bundled
from api.problems import ErrorCode


@pytest.fixture
def api(tmp_path: Path) -> Api:
    return Api(f"sqlite:///{tmp_path / 'none.db'}")


def test_the_page_is_served_before_the_first_publication(api: Api) -> None:
    answer = api.ask("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


def test_the_pages_need_no_key(api: Api) -> None:
    assert api.ask("/sign-in", peer="192.0.2.7", host="figures.example").status_code == 200
    assert api.ask("/", peer="192.0.2.7", host="figures.example").status_code == 200
    assert api.ask("/notifications", peer="192.0.2.7", host="figures.example").status_code == 200
    assert api.ask("/assets/summariespage.js", peer="192.0.2.7", host="figures.example").status_code == 200


def test_content_security_policy_forbids_inline_code_eval_and_other_servers(api: Api) -> None:
    policy = api.ask("/").headers["content-security-policy"]
    sources = dict(part.split(" ", 1) for part in policy.split("; "))
    assert sources["default-src"] == "'none'"
    assert {sources["script-src"], sources["style-src"], sources["connect-src"]} == {"'self'"}
    assert sources["frame-ancestors"] == "'none'"


def test_the_forms_have_a_message_in_both_languages_for_every_field_error(api: Api) -> None:
    # The forms send neither other fields nor other types, each choice once, and no numbers.
    never = {"unknown", "wrong-type", "repeated", "out-of-range", "invalid"}
    texts = json.loads(api.ask("/assets/texts.json").text)
    named = {name.removeprefix("field_") for name in texts if name.startswith("field_")}
    assert named == set(get_args(ErrorCode.__value__)) - never


def loaded(api: Api, path: str) -> list[str]:
    """The paths of the files that a page names."""
    return re.findall(r'(?:src|href)="(/assets/[^"]+)"', api.ask(path).text)


@pytest.mark.parametrize("path", ["/", "/notifications", "/contacts", "/sign-in"])
def test_a_page_loads_a_few_immutable_files(api: Api, path: str) -> None:
    named = loaded(api, path)
    kinds = [re.sub(r"[a-z]+-[0-9a-f]{16}", "*", name) for name in named]
    assert kinds == ["/assets/*.svg", "/assets/*.js", "/assets/*.css", "/assets/*.js"]
    answers = [api.ask(name, headers={"Accept-Encoding": "br"}) for name in named]
    assert {answer.headers["cache-control"] for answer in answers} == {"public, max-age=31536000, immutable"}
    assert sum(len(answer.content) for answer in answers) < 60_000


def test_file_names_contain_a_hash_of_the_content(api: Api) -> None:
    for name in loaded(api, "/"):
        digest = sha256(api.ask(name).content).hexdigest()
        assert name.partition("-")[2].startswith(digest[:16])


def test_a_bundled_module_runs_once_and_sees_its_imports() -> None:
    files = {
        "page.html": '<link rel="stylesheet" href="/assets/a.css">\n<script src="/assets/main.js"></script>',
        "a.css": "p {}",
        "main.js": 'import DATA from "./data.json" with { type: "json" };\nimport { one as first } from "./one.js";\n'
        'import {\n  two,\n} from "./two.js";\nf(first(), two, DATA);\n',
        "data.json": '{"a": 1}\n',
        "two.js": 'import { one } from "./one.js";\nexport const two = one() + 1;\n',
        "one.js": "let calls = 0;\nexport function one() {\n  calls += 1;\n  return calls;\n}\n",
    }
    _, scripts = bundled({name: text.encode() for name, text in files.items()})
    [script] = [content.decode() for name, content in scripts.items() if name.endswith(".js")]
    assert script.count("let calls") == 1
    assert script.index("const $one") < script.index("const $two") < script.index("const $main")
    assert "const { one: first } = $one;" in script
    assert re.search(r'^const DATA = \{"a": 1\}\s*;$', script, re.MULTILINE)
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ('import * as all from "./one.js";\n', r'main\.js: write import .*: import \* as all from "\./one\.js";'),
        ("export default 1;\n", "main.js: write import .* and export before a name: export default 1;"),
        ('import { one } from "./one.js";\nexport const main = one;\n', "one.js and main.js import one another"),
    ],
)
def test_an_unsupported_form_of_import_is_refused(module: str, reason: str) -> None:
    files = {
        "page.html": '<script src="/assets/main.js"></script>',
        "main.js": module,
        "one.js": 'import { main } from "./main.js";\nexport const one = main;\n',
    }
    with pytest.raises(ValueError, match=reason):
        bundled({name: text.encode() for name, text in files.items()})


@pytest.mark.parametrize(
    "name", ["bundle.py", "main-0123456789abcdef.js", "..%2Fapp.py", "index.html", "notifications.html", "none.js"]
)
def test_no_other_file_is_served(api: Api, name: str) -> None:
    assert api.ask(f"/assets/{name}").status_code == 404


@pytest.mark.parametrize(("accepted", "decode"), [("br", brotli.decompress), ("gzip", gzip.decompress)])
def test_a_file_is_sent_in_the_accepted_content_encoding(api: Api, accepted: str, decode: object) -> None:
    plain = api.ask("/assets/base.css")
    encoded = api.ask("/assets/base.css", headers={"Accept-Encoding": accepted})
    assert encoded.headers["content-encoding"] == accepted
    assert callable(decode)
    assert decode(encoded.content) == plain.content
    assert encoded.headers["etag"] != plain.headers["etag"]
    assert encoded.headers["vary"] == "Accept-Encoding"


def test_a_file_with_a_matching_etag_is_answered_with_304(api: Api) -> None:
    etag = api.ask("/assets/summariespage.js").headers["etag"]
    again = api.ask("/assets/summariespage.js", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("accepted", ["identity", "gzip", "br"])
def test_two_processes_send_equal_files_with_equal_etags(api: Api, tmp_path: Path, accepted: str) -> None:
    other = Api(f"sqlite:///{tmp_path / 'another.db'}")
    for path in ("/", "/assets/summariespage.js"):
        one, two = (each.ask(path, headers={"Accept-Encoding": accepted}) for each in (api, other))
        assert (one.content, one.headers["etag"]) == (two.content, two.headers["etag"])
    assert (
        api.ask("/assets/summariespage.js").headers["etag"] != api.ask("/assets/notificationspage.js").headers["etag"]
    )
