"""`docker/healthy.py`, the health check of the containers."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from compose_config import ROOT


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()
        if self.path == "/readyz":
            self.wfile.write(b'{"type": "/problems/not-built-yet", "status": 503}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _healthy(*arguments: object) -> tuple[int, str]:
    command = [sys.executable, "-IS", str(ROOT / "docker" / "healthy.py"), *map(str, arguments)]
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stderr


def test_a_url_that_answers_200_is_healthy_without_a_proxy(address: str) -> None:
    assert _healthy(f"{address}/healthz") == (0, "")


def test_a_url_with_another_status_is_unhealthy(address: str) -> None:
    assert _healthy(f"{address}/readyz") == (1, f"{address}/readyz answers 503\n")


def test_a_url_with_an_accepted_problem_type_is_healthy(address: str) -> None:
    assert _healthy(f"{address}/readyz", "not-built-yet") == (0, "")
    assert _healthy(f"{address}/readyz", "store-unavailable") == (1, f"{address}/readyz answers 503\n")
    assert _healthy(f"{address}/elsewhere", "not-built-yet") == (1, f"{address}/elsewhere answers 503\n")


def test_a_url_without_a_server_is_unhealthy() -> None:
    code, output = _healthy("http://127.0.0.1:9/healthz")
    assert code == 1
    assert output.startswith("http://127.0.0.1:9/healthz does not answer: ")


def test_a_heartbeat_file_is_healthy_while_recent(tmp_path: Path) -> None:
    file = tmp_path / "pulse"
    assert _healthy(file, 30) == (1, f"{file} was not touched yet: No such file or directory\n")
    file.touch()
    assert _healthy(file, 30) == (0, "")
    old = time.time() - 100
    os.utime(file, (old, old))
    assert _healthy(file, 30)[0] == 1
    assert _healthy(file, 300) == (0, "")
