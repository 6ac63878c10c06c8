"""``python -m api`` for a person."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from asking import add_key, revoke
from sales import publish
from serving_server import ROOT, environment, eventually, serving, sqlite_url

from core.stores.keys import Scope


def api(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Call it, for what ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        cwd=ROOT,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("command", [("-m", "api"), ("-m", "api", "serve", "--port", "0", "--host", "127.0.0.1")])
def test_a_person_is_told_where_to_look_and_ctrl_c_stops_quietly(tmp_path: Path, command: Sequence[str]) -> None:
    publish(sqlite_url(tmp_path))
    with serving(tmp_path, command=command) as server:
        assert server.ask("/").status == 200
        assert server.ask("/api/transactions/summary?mode=daily&type=amount").status == 200
        told = server.err
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.wait() == 0
        assert server.err == told
    where, store, keys, how_to_stop = told.splitlines()
    assert where == f"Summaries are served at http://127.0.0.1:{server.port}/"
    assert sqlite_url(tmp_path) in store
    assert "python -m api keys add" in keys
    assert how_to_stop == "Ctrl-C stops."
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_store_that_is_not_there_is_served_and_the_person_told_how_to_build_it(tmp_path: Path) -> None:
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    with serving(tmp_path, "--store", elsewhere, command=("-m", "api", "serve")) as server:
        assert f"{elsewhere}: nothing was built there yet" in server.err
        assert "python -m jobs rebuild SOURCE" in server.err
        assert server.ask("/api/transactions/summary?mode=daily&type=amount").status == 503
        assert not (tmp_path / "elsewhere.db").exists()


def test_the_first_key_closes_a_running_server_and_revoking_it_does_not_open_it(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    publish(url)
    with serving(tmp_path, command=("-m", "api"), API_FRESHNESS_S="0.2") as server:
        assert server.ask("/api/me").status == 200
        token = add_key(url, [Scope.SUMMARIES])
        eventually(lambda: server.ask("/api/me").status == 401)
        assert server.ask("/api/me", f"Authorization: Bearer {token}").status == 200
        revoke(url, token)
        eventually(lambda: server.ask("/api/me", f"Authorization: Bearer {token}").status == 401)
        assert server.ask("/api/me").status == 401


def test_a_port_in_use_is_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        began = time.monotonic()
        ended = api(tmp_path, "--port", str(port))
    assert time.monotonic() - began < 15  # gunicorn alone would try for long, and say so each time
    sentence, hint = ended.stderr.splitlines()
    assert sentence == f"Error: nothing can listen at 127.0.0.1:{port}: address already in use."
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
    assert all(name in ended.stdout for name in ("serve", "keys"))
