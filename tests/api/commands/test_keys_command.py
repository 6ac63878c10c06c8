"""``python -m api keys``, called in the test process; `test_serve_command` starts processes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from sales import publish
from serving_server import ROOT, environment, sqlite_url
from typer.testing import CliRunner

from api.__main__ import app
from api.auth.api_keys import id_in
from core.stores import open_stores
from core.stores.api_keys import ApiKey, Scope

Ended = subprocess.CompletedProcess[str]


def keys(folder: Path, *arguments: str, **settings: str) -> Ended:
    """Call the command; its store is in `folder`."""
    ended = CliRunner().invoke(app, ["keys", *arguments], env=environment(folder, **settings), prog_name="api")
    return Ended(arguments, ended.exit_code, ended.stdout, ended.stderr)


def kept(folder: Path) -> list[ApiKey]:
    with open_stores(sqlite_url(folder), timeout_s=10, create=False) as stores:
        return stores.keys.all()


def failure(ended: Ended, code: int) -> str:
    """The error message of a failed command, which must have one, and a hint."""
    assert ended.returncode == code, ended
    sentence, hint = ended.stderr.splitlines()
    assert sentence.startswith("Error: ")
    assert hint.endswith(".")
    return sentence


def test_adding_a_key_prints_only_its_token_and_creates_the_store(tmp_path: Path) -> None:
    ended = keys(tmp_path, "add", "till-7", "--merchant", "m1", "--merchant", "فروش", "--notifications")
    assert ended.returncode == 0
    token = ended.stdout.removesuffix("\n")
    (key,) = kept(tmp_path)
    assert key.id == id_in(token)
    assert key.digest == hashlib.sha256(token.encode()).digest()
    assert (key.name, key.revoked_at_ms) == ("till-7", None)
    assert key.scopes == frozenset({Scope.NOTIFICATIONS})
    assert key.merchants == frozenset({"m1", "فروش"})
    assert token not in ended.stderr
    assert "API_FRESHNESS_S" in ended.stderr


def test_keys_with_the_same_name_have_different_tokens(tmp_path: Path) -> None:
    first = keys(tmp_path, "add", "a", "--summaries", "--json")
    second = keys(tmp_path, "add", "a", "--summaries", "--json")
    made = [json.loads(ended.stdout) for ended in (first, second)]
    assert made[0]["token"] != made[1]["token"]
    assert made[1]["scopes"] == ["summaries"]
    assert made[1]["id"] == id_in(made[1]["token"])


def test_a_key_for_a_merchant_without_summaries_gives_a_warning(tmp_path: Path) -> None:
    publish(sqlite_url(tmp_path))
    ended = keys(tmp_path, "add", "a", "--merchant", "shop-1", "--merchant", "shop-none")
    assert ended.returncode == 0
    assert "'shop-none'" in ended.stderr
    assert "'shop-1'" not in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("a",),
        ("", "--summaries"),
        ("  ", "--summaries"),
        ("a\nb", "--summaries"),
        ("a" * 101, "--summaries"),
        ("tss_abcdefghij_" + "x" * 43, "--summaries"),
        ("a", "--merchant", ""),
        ("a", "--merchant", "m1", "--operate"),
        ("a", "--merchant", "m1", "--summaries"),
        ("a", "--tenant", "acme"),
        ("a", "--tenant", "acme", "--summaries"),
        ("a", "--tenant", "acme", "--notifications", "--operate"),
        ("a", "--tenant", "operator", "--notifications"),
        ("a", "--tenant", "", "--notifications"),
        ("a", "--tenant", "merchants:abc", "--notifications"),
        ("a", "--tenant", "two words", "--notifications"),
        ("a", "--tenant", "a" * 65, "--notifications"),
    ],
    ids=lambda arguments: str(arguments)[:30],
)
def test_a_key_with_a_bad_name_or_without_scopes_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = keys(tmp_path, "add", *arguments)
    assert failure(ended, 2)
    assert ended.stdout == ""
    assert not (tmp_path / "summaries.db").exists()


def test_the_list_shows_names_and_scopes_and_never_a_token(tmp_path: Path) -> None:
    token = keys(tmp_path, "add", "till-7", "--merchant", "m1").stdout.strip()
    keys(tmp_path, "add", "office", "--summaries")
    keys(tmp_path, "revoke", kept(tmp_path)[0].id)
    text, listed = keys(tmp_path, "list").stdout, json.loads(keys(tmp_path, "list", "--json").stdout)
    assert [(key["name"], key["merchants"], key["scopes"]) for key in listed["keys"]] == [
        ("till-7", ["m1"], []), ("office", [], ["summaries"]),
    ]  # fmt: skip
    assert [key["revoked_at"] is None for key in listed["keys"]] == [False, True]
    assert all(key.id in text and key.name in text for key in kept(tmp_path))
    assert "merchant m1" in text
    secret = token[-43:]
    digest = kept(tmp_path)[0].digest.hex()
    assert not any(hidden in text + json.dumps(listed) for hidden in (secret, digest))


def test_the_list_shows_the_tenant_of_keys_of_the_same_merchants(tmp_path: Path) -> None:
    of_shops = keys(tmp_path, "add", "till-1", "--merchant", "m2", "--merchant", "m1")
    for number, arguments in enumerate(
        [("--merchant", "m1", "--merchant", "m2"), ("--merchant", "m1"), ("--summaries",)]
        + [("--tenant", name, "--notifications") for name in ("cafe\u0301", "caf\u00e9")]
    ):
        assert keys(tmp_path, "add", f"other-{number}", *arguments).returncode == 0

    listed = json.loads(keys(tmp_path, "list", "--json").stdout)["keys"]
    first, second, third, *rest = (key["tenant"] for key in listed)

    assert first == second != third
    assert rest == ["operator", "caf\u00e9", "caf\u00e9"]
    assert f"of the tenant {first} allows" in of_shops.stderr
    assert all(key["tenant"] in keys(tmp_path, "list").stdout for key in listed)


def test_a_key_is_revoked_once_by_its_id_or_its_token(tmp_path: Path) -> None:
    token = keys(tmp_path, "add", "till-7", "--summaries").stdout.strip()
    by_token = keys(tmp_path, "revoke", token)
    assert by_token.returncode == 0
    assert "No valid key is left" in by_token.stderr
    assert token not in by_token.stdout + by_token.stderr
    (revoked,) = kept(tmp_path)
    assert revoked.revoked_at_ms is not None
    again = keys(tmp_path, "revoke", revoked.id, "--json")
    assert again.returncode == 0
    assert "was revoked before" in again.stderr
    assert json.loads(again.stdout)["id"] == revoked.id
    assert kept(tmp_path) == [revoked]


def test_revoking_an_unknown_key_fails_with_one_sentence(tmp_path: Path) -> None:
    keys(tmp_path, "add", "till-7", "--summaries")
    assert failure(keys(tmp_path, "revoke", "nosuchkey1"), 1) == "Error: there is no key nosuchkey1."
    ended = keys(tmp_path, "revoke", "nosuchkey1", "--json")
    assert json.loads(ended.stdout)["error"]["exit_code"] == ended.returncode == 1


@pytest.mark.parametrize("verb", [("list",), ("revoke", "nosuchkey1")])
def test_only_add_creates_a_store(tmp_path: Path, verb: tuple[str, ...]) -> None:
    assert "there is no store" in failure(keys(tmp_path, *verb), 1)
    assert not (tmp_path / "summaries.db").exists()


def test_the_list_shows_expiry_and_last_use(tmp_path: Path) -> None:
    made = keys(tmp_path, "add", "a", "--summaries", "--expires", "2990-01-31T03:30+03:30", "--json")
    key = json.loads(made.stdout)
    assert (key["expires_at"], key["last_used_at"]) == ("2990-01-31T00:00:00.000Z", None)
    assert "It expires at 2990-01-31T00:00:00Z." in made.stderr
    keys(tmp_path, "add", "b", "--summaries")
    with open_stores(sqlite_url(tmp_path), timeout_s=10) as stores:
        stores.key_uses.record({key["id"]: 1_719_230_400_000})
    listed = json.loads(keys(tmp_path, "list", "--json").stdout)["keys"]
    assert {one["name"]: (one["expires_at"], one["last_used_at"]) for one in listed} == {
        "a": ("2990-01-31T00:00:00.000Z", "2024-06-24T12:00:00.000Z"),
        "b": (None, None),
    }
    header, *lines = keys(tmp_path, "list").stdout.splitlines()
    at = [header.index(column) for column in ("expires", "last used", "revoked")]
    (of_a,) = [line for line in lines if line.startswith(key["id"])]
    assert [of_a[start:].split()[0] for start in at] == ["2990-01-31T00:00:00Z", "2024-06-24T12:00:00Z", "-"]


def test_a_duration_for_expiry_starts_now(tmp_path: Path) -> None:
    keys(tmp_path, "add", "a", "--summaries", "--expires", "90d")
    (key,) = kept(tmp_path)
    assert key.expires_at_ms is not None
    assert key.expires_at_ms - key.created_at_ms == 90 * 86_400_000


@pytest.mark.parametrize("expires", ["2020-01-01", "soon", "0d"])
def test_an_invalid_or_past_expiry_is_refused(tmp_path: Path, expires: str) -> None:
    assert "--expires" in failure(keys(tmp_path, "add", "a", "--summaries", "--expires", expires), 2)
    assert list(tmp_path.glob("*.db")) == []


def test_messages_are_json_lines_where_the_log_format_is_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "api", "keys", "add", "till-7", "--summaries"]
    variables = environment(tmp_path, COMMAND_LOG="json")
    ended = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=True)
    assert {json.loads(line)["event"] for line in ended.stderr.splitlines()} == {"note"}
