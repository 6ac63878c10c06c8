"""Checks before the start, and the format of lines on the terminal."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from service_life import ROOT

from core.errors import ServiceError
from stack.lines import Terminal, readable
from stack.redis_server import configuration, find_redis_server
from stack.service import port_next_to, show_sign_in_link

_LINE = {
    "time": "2026-11-23T22:50:41.007Z",
    "level": "warning",
    "event": "failed",
    "channel": "sms",
    "error": 'it said "no"',
    "reference": None,
    "pid": 7,
}


def _start(*arguments: str, **variables: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "stack", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_a_port_in_use_is_reported_with_the_port_option(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, output = _start("--port", str(port), "--data", str(tmp_path / "data"))
    assert code == 1
    assert output == (
        f"Error: port {port} of 127.0.0.1 cannot be opened: address already in use.\n"
        "Stop what uses it, or choose another with --port (make run PORT=9000).\n"
    )


@pytest.mark.parametrize(("port", "expected"), [(8000, 8001), (65_534, 65_535), (65_535, 0), (0, 0)])
def test_metrics_are_exposed_on_the_next_port(port: int, expected: int) -> None:
    assert port_next_to(port) == expected


def test_a_folder_in_use_by_another_service_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, output = _start("--port", "0", "--data", str(tmp_path))
    assert code == 1
    assert output.startswith(f"Error: another service uses {tmp_path}, or programs of a service that was killed.\n")


def test_a_folder_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, output = _start("--port", "0", "--data", str(tmp_path / "file" / "data"))
    assert (code, output.splitlines()[-1]) == (1, "Choose another folder with --data.")


def test_a_program_that_fails_to_start_is_named_after_its_output(tmp_path: Path) -> None:
    redis = tmp_path / "redis-server"
    redis.write_text("#!/bin/sh\necho no room for a queue\nexit 3\n")
    redis.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    code, output = _start("--port", "0", "--data", str(tmp_path / "data"), PATH=path)
    assert code == 1
    assert re.search(r"(?m)^redis +\| no room for a queue$", output)
    stopped = "Error: redis ended with exit code 3, so the others were stopped.\nIts last output is above.\n"
    assert output.endswith(stopped)


def test_redis_on_the_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-server"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_server() == str(program)


def test_without_redis_on_the_path_the_packaged_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    try:
        program = find_redis_server()
    except ServiceError as error:
        pytest.skip(f"{error.sentence}: the package has no wheel for it")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert version.stdout.startswith("Redis server v=")


def test_redis_accepts_any_folder_name_and_listens_on_loopback(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" \\c'
    lines = configuration(folder, 7000, "secret").decode().splitlines()
    assert {"bind 127.0.0.1", "port 7000", "requirepass secret"} <= set(lines)
    [written] = [line for line in lines if line.startswith("dir ")]
    assert json.loads(written.removeprefix("dir ")) == str(folder)


def test_a_log_line_is_shown_as_text_with_its_program_name(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(["api", "worker"])
    terminal.show("api", json.dumps(_LINE).encode())
    terminal.show("worker", b"plain [text]\n")
    terminal.show("worker", b"\n")
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r'api    \| \d\d:\d\d:41 WARNING failed channel=sms error="it said \\"no\\""',
        first,
    )
    assert second == "worker | plain [text]"


def test_with_json_logs_lines_stay_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(["api"], as_json=True).show("api", json.dumps(_LINE).encode())
    assert json.loads(capsys.readouterr().out.removeprefix("api | ")) == _LINE


def test_library_log_lines_are_shown_as_their_message() -> None:
    line = {"time": "2026-11-23T22:50:41.007Z", "level": "info", "event": "log", "logger": "x", "message": "ready."}
    assert readable(line).split(" ", 1)[1] == "ready."


def test_the_printed_link_opens_the_running_api(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    variables = {"STORE_URL": f"sqlite:///{tmp_path}/summaries.db", "API_BIND": "127.0.0.1:8123"}
    asyncio.run(show_sign_in_link({**os.environ, **variables}))
    assert re.search(r"within ten minutes: http://127\.0\.0\.1:8123/sign-in#tss_\S+\n$", capsys.readouterr().out)


def test_an_unreachable_store_shows_no_link_and_delays_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = f"mongodb://user:secret@127.0.0.1:{silent.getsockname()[1]}/shop"
        asyncio.run(show_sign_in_link({**os.environ, "STORE_URL": store}, timeout_s=0.5))
    assert capsys.readouterr().out == ""
