"""Every path: HEAD, OPTIONS, unknown methods, and malformed targets."""

from __future__ import annotations

import pytest
from api_client import Api
from paths import GETTABLE, PATHS, allowed, filled

pytest_plugins = ["openapi_fixtures"]

_JSON = {"Content-Type": "application/json"}
_QUERIES = {"/api/transactions/summary": "mode=daily&type=count"}
_CHANGES = frozenset({"x-request-id", "date"})
_NONSENSE = {
    "1000 parameters": "&".join(f"p{number}=1" for number in range(1000)),
    "one 1000 times": "&".join(["limit=1"] * 1000),
    "100 KB": "limit=" + "1" * 100_000,
    "NUL": "search=%00&mode=%00",
    "surrogate": "search=%ed%a0%80",
    "not encoded": "search=%zz&%=%&=&&==",
    "marks": "a" + "?" * 1000,
    "brackets": "mode[]=daily&type[$ne]=x",
}

every_path = pytest.mark.parametrize("path", PATHS)
every_gettable_path = pytest.mark.parametrize("path", GETTABLE)


@every_gettable_path
def test_head_gives_the_headers_of_get_and_no_body(path: str, example_api: Api) -> None:
    query = _QUERIES.get(path, "")
    get, head = example_api.ask(filled(path), query), example_api.ask(filled(path), query, method="HEAD")

    assert get.status_code == head.status_code == 200
    assert head.content == b""
    reported = {name: value for name, value in get.headers.items() if name not in _CHANGES}
    if path == "/metrics":  # which has grown meanwhile
        del reported["content-length"]
    assert reported.items() <= head.headers.items()


@every_path
def test_options_lists_the_methods(path: str, example_api: Api) -> None:
    answer = example_api.ask(filled(path), method="OPTIONS")

    assert (answer.status_code, answer.content) == (200, b"")
    assert {*answer.headers["allow"].split(", "), "OPTIONS"} == allowed(path)


@every_path
def test_another_method_is_refused_with_those_that_there_are(path: str, example_api: Api) -> None:
    for method in {"HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"} - allowed(path):
        answer = example_api.ask(filled(path), method=method, headers=_JSON)

        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == allowed(path)
        assert method == "HEAD" or answer.json["type"] == "/problems/method-not-allowed"


@every_path
@pytest.mark.parametrize("form", ["{}a/", "{}a//b", "{}/..", "{}%00", "{};a=b", "{}\ud800", "{}%ff", "/.{}"])
def test_an_almost_correct_path_is_not_found(form: str, path: str, example_api: Api) -> None:
    almost = form.format(filled(path))

    answer = example_api.ask(almost.encode("utf-8", "surrogatepass").decode("latin-1"))

    assert answer.status_code == 404
    assert answer.json["type"] in (
        "/problems/not-found",
        "/problems/unknown-notification",
        "/problems/unknown-subscription",
    )


@every_gettable_path
def test_extra_leading_slashes_are_ignored_and_trailing_ones_give_404(path: str, example_api: Api) -> None:
    path, query = filled(path), _QUERIES.get(path, "")

    assert example_api.ask(f"/{path}", query).status_code == 200
    if path != "/":
        assert example_api.ask(f"{path}/", query).status_code == 404


@every_gettable_path
def test_a_path_may_be_percent_encoded(path: str, example_api: Api) -> None:
    encoded = "/" + "".join(f"%{ord(letter):02X}" for letter in filled(path)[1:])

    assert example_api.ask(encoded, _QUERIES.get(path, "")).status_code == 200


@every_path
def test_a_random_query_never_causes_a_server_error(path: str, example_api: Api) -> None:
    for name, query in _NONSENSE.items():
        for method in allowed(path) - {"HEAD", "OPTIONS"}:
            answer = example_api.ask(filled(path), query, method=method, headers=_JSON)

            if path.startswith("/api/"):
                assert answer.status_code == 400, name
                assert answer.json["type"] in ("/problems/bad-parameter", "/problems/bad-request"), name
                assert len(answer.content) < 100_000, name
            else:
                assert answer.status_code == 200, name


def test_an_unknown_parameter_is_an_error(example_api: Api) -> None:
    answer = example_api.ask("/api/me", "locale=fa")

    assert answer.json["errors"] == [
        {"parameter": "locale", "detail": "is not a parameter here; parameters: none", "code": "unknown"}
    ]


def test_files_outside_the_assets_folder_are_not_found(example_api: Api) -> None:
    for name in ("../app.py", "..%2fapp.py", "%2e%2e/app.py", "/etc/passwd", "..\\app.py", "__init__.py", ".", ""):
        assert example_api.ask(f"/assets/{name}").status_code == 404
