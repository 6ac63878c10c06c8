"""URLs of MongoDB servers with another database, address, user or option."""

from __future__ import annotations

from typing import Any

import pytest
from mongo_ways import with_address, with_option, with_user
from pymongo.uri_parser import parse_uri

from bench.mongo_urls import database_of, with_database


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("mongodb://h", None),
        ("mongodb://h/", None),
        ("mongodb://h:1/other", None),
        ("mongodb://u:p%40%2F%3Ass@h/", "admin"),
        ("mongodb://u:p%40ss@h", "admin"),
        ("mongodb://u:p@h?tls=true", "admin"),
        ("mongodb://u:p@h/users", "users"),
        ("mongodb://u:p@h/some.collection", "some"),
        ("mongodb://u:p@h/other?authSource=admin", "admin"),
        ("mongodb://u:p@h1:1,h2:2,[::1]:3/?replicaSet=rs0&readPreference=secondaryPreferred", "admin"),
        ("mongodb://u:p@h/?authMechanism=PLAIN", "$external"),
        ("mongodb://h/?authMechanism=MONGODB-X509&tls=true", "$external"),
        ("mongodb://u:p@h/?w=majority&appName=a%20b&compressors=zlib", "admin"),
    ],
)
def test_changing_the_database_keeps_servers_user_and_options(url: str, source: str | None) -> None:
    then = with_database(url, "test_1")
    before, after = _parsed(url), _parsed(then)
    assert (after["database"], database_of(then)) == ("test_1", "test_1")
    assert _source(after) == source
    for part in ("nodelist", "username", "password"):
        assert after[part] == before[part]
    assert {**after["options"], "authSource": None} == {**before["options"], "authSource": None}


def test_an_srv_url_sets_no_auth_source() -> None:
    assert with_database("mongodb+srv://u:p@cluster.example", "t") == "mongodb+srv://u:p@cluster.example/t"


@pytest.mark.parametrize("url", ["mongodb://h1,h2", "mongodb://u:p%40@h1:5,h2/d?replicaSet=rs0&appName=x&authSource=a"])
def test_changing_the_address_gives_one_server_and_keeps_the_user(url: str) -> None:
    before, after = _parsed(url), _parsed(with_address(url, "127.0.0.1:9"))
    assert after["nodelist"] == [("127.0.0.1", 9)]
    assert after["options"].pop("directConnection") is True
    kept = {name: value for name, value in before["options"].items() if name != "replicaSet"}
    assert after["options"] == kept
    for part in ("username", "password", "database"):
        assert after[part] == before[part]


def test_user_and_options_can_be_changed() -> None:
    assert with_user("mongodb://u:p@h/d?tls=true", "a:b") == "mongodb://a:b@h/d?tls=true"
    assert with_user("mongodb://h/d", "a:b") == "mongodb://a:b@h/d"
    assert with_option("mongodb://h/d?tls=true", "appName=x") == "mongodb://h/d?tls=true&appName=x"
    assert with_option("mongodb://h", "appName=x") == "mongodb://h/?appName=x"
    assert with_option("mongodb://h/d?appname=y&tls=true", "appName=x") == "mongodb://h/d?tls=true&appName=x"


def _parsed(url: str) -> dict[str, Any]:
    return dict(parse_uri(url, warn=False))


def _source(parsed: dict[str, Any]) -> str | None:
    """Where the user is looked up, by the rules of the connection string specification."""
    mechanism = parsed["options"].get("authMechanism")
    if parsed["username"] is None and mechanism is None:
        return None
    if mechanism == "PLAIN":
        default = parsed["database"] or "$external"
    else:
        default = "$external" if mechanism else parsed["database"] or "admin"
    return str(parsed["options"].get("authSource", default))
