"""``python -m api``: starting the server, and its messages on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from api_client import add_key, revoke
from effort import THOROUGH
from examples import FINGERPRINT
from sales import publish
from serving_server import GUNICORN, ROOT, environment, eventually, serving, sqlite_url
from warm_programs import run_warm

from core.stores.api_keys import Scope


def api(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Call the command and wait for its end."""
    return run_warm(["api", *arguments], ROOT, environment(folder, **settings))


COMMANDS = [("api", "serve", "--port", "0", "--host", "127.0.0.1"), *([("api",)] if THOROUGH else [])]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_terminal_shows_the_url_and_ctrl_c_stops_without_traceback(tmp_path: Path, command: Sequence[str]) -> None:
    publish(sqlite_url(tmp_path))
    with serving(tmp_path, command=command) as server:
        assert server.ask("/").status == 200
        assert server.ask("/api/transactions/summary?mode=daily&type=amount").status == 200
        output = server.err
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.wait() == 0
        assert server.err == output
    where, store, keys, how_to_stop = output.splitlines()
    assert where == f"Summaries are served at http://127.0.0.1:{server.port}/"
    assert sqlite_url(tmp_path) in store
    assert "python -m api keys add" in keys
    assert "API_ACCESS=open-loopback" in keys
    assert how_to_stop == "Ctrl-C stops."
    assert list((tmp_path / "tmp").iterdir()) == []


def test_without_a_store_the_server_starts_and_prints_how_to_build_one(tmp_path: Path) -> None:
    other_store = f"sqlite:///{tmp_path / 'other.db'}"
    with serving(tmp_path, "--store", other_store, command=("api", "serve")) as server:
        assert f"{other_store}: nothing was built there yet" in server.err
        assert "python -m jobs rebuild SOURCE" in server.err
        assert server.ask("/api/transactions/summary?mode=daily&type=amount").status == 503
        assert not (tmp_path / "elsewhere.db").exists()


def test_a_running_server_notices_new_and_revoked_keys(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    publish(url)
    with serving(tmp_path, command=("api",), API_FRESHNESS_S="0.2", API_ACCESS="keys") as server:
        assert server.ask("/api/me").status == 401
        token = add_key(url, [Scope.SUMMARIES])
        assert server.ask("/api/me", f"Authorization: Bearer {token}").status == 200
        revoke(url, token)
        eventually(lambda: server.ask("/api/me", f"Authorization: Bearer {token}").status == 401)


def test_a_terminal_shows_a_single_use_sign_in_link(tmp_path: Path) -> None:
    publish(sqlite_url(tmp_path))
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "api"],
        cwd=ROOT,
        env=environment(tmp_path, API_ACCESS="keys"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=its_end,
    )
    os.close(its_end)
    try:
        shown = ""
        while not (found := re.search(r"(http://127\.0\.0\.1:(\d+))/sign-in#(tss_\S+)", shown)):
            shown += os.read(terminal, 1000).decode()
        body = json.dumps({"token": found[3]}).encode()
        headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
        requested = urllib.request.Request(f"{found[1]}/api/session", body, headers)
        with urllib.request.urlopen(requested, timeout=60) as answer:
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
        me = urllib.request.Request(f"{found[1]}/api/me", headers={"Cookie": cookie})
        with urllib.request.urlopen(me, timeout=60) as answer:
            assert json.load(answer)["signed_in"]
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(requested, timeout=60)
    finally:
        process.terminate()
        process.wait(timeout=60)
        os.close(terminal)


def test_the_sign_in_command_prints_the_address_that_browsers_use(tmp_path: Path) -> None:
    publish(sqlite_url(tmp_path))
    link = api(tmp_path, "sign-in", API_BIND="0.0.0.0:8123").stdout
    assert re.fullmatch(r"http://127\.0\.0\.1:8123/sign-in#tss_[a-z2-7]{10}_[\w-]{43}\n", link)
    behind_proxy = json.loads(api(tmp_path, "sign-in", "--url", "https://s.example/", "--json").stdout)
    assert behind_proxy["link"].startswith("https://s.example/sign-in#tss_")
    for refused in (
        api(tmp_path, "sign-in", "--url", "s.example"),
        api(tmp_path, "sign-in", "--url", "https://s.example/summaries"),
        api(tmp_path, "sign-in", API_BIND="unix:/run/api.sock"),
    ):
        assert (refused.returncode, refused.stdout) == (2, "")
    assert json.loads(api(tmp_path, "sign-out", "--json").stdout) == {"ended": 2}


def test_a_port_in_use_is_reported_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = api(tmp_path, "--port", str(port))
    sentence, hint = ended.stderr.splitlines()  # gunicorn itself would retry for long, with a message each time
    assert sentence == f"Error: the server cannot listen on 127.0.0.1:{port}: address already in use."
    assert "--port" in hint
    assert ended.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "settings", "named"),
    [
        ((), {"API_THREADS": "0"}, "API_THREADS"),
        ((), {"API_BIND": "somewhere"}, "API_BIND"),
        (("--store", "summaries.db"), {}, "STORE_URL"),
        (("--port", "65536"), {}, "--port"),
        (("--host", "a b"), {}, "API_BIND"),
        (("--nonsense",), {}, "--nonsense"),
    ],
)
def test_a_wrong_option_or_setting_is_named(
    tmp_path: Path, arguments: Sequence[str], settings: dict[str, str], named: str
) -> None:
    ended = api(tmp_path, *arguments, **settings)
    assert ended.returncode == 2
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_names_the_commands(tmp_path: Path) -> None:
    ended = api(tmp_path, "--help")
    assert ended.returncode == 0
    assert all(name in ended.stdout for name in ("serve", "keys", "sign-in"))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"CURRENCY": "EUR"}, "CURRENCY is EUR, and amounts in the store are in USD"),
        ({"AMOUNT_SCALE": "0"}, "AMOUNT_SCALE is 0, and amounts in the store have 2 decimal places"),
    ],
)
@pytest.mark.parametrize("command", [("api", "serve"), (*GUNICORN, "api:get_app()")])
def test_settings_that_contradict_the_store_stop_the_server_at_start_up(
    tmp_path: Path, settings: dict[str, str], sentence: str, command: Sequence[str]
) -> None:
    publish(sqlite_url(tmp_path), fingerprint=replace(FINGERPRINT, currency="USD", amount_scale=2))
    ended = run_warm(command, ROOT, environment(tmp_path, API_BIND="127.0.0.1:0", **settings))
    assert ended.returncode == 2
    assert sentence in ended.stderr
