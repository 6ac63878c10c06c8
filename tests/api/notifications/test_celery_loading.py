"""Celery is imported once, by the master, before a worker serves: no first message waits for it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from sending import NEW, NOTIFICATIONS
from serving_server import GUNICORN, ROOT, Client, environment, eventually, request, sqlite_url

from core.stores import open_stores

_IMPORTED = re.compile(r"^import time: .*\| +celery$", re.MULTILINE)
_TIMEOUT_S = 60


@pytest.mark.parametrize("command", [("api",), (*GUNICORN, "api:get_app()")])
def test_workers_share_celery_and_import_it_before_the_first_message(tmp_path: Path, command: Sequence[str]) -> None:
    open_stores(sqlite_url(tmp_path), timeout_s=10).close()
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    variables = environment(tmp_path, API_BIND=f"127.0.0.1:{port}", API_WORKERS="2", API_RATE_LIMIT_STORAGE="memory://")
    content = json.dumps(NEW).encode()
    head = request(NOTIFICATIONS, "Content-Type: application/json", f"Content-Length: {len(content)}", method="POST")
    program = [sys.executable, "-X", "importtime", "-m", *command]
    err = tmp_path / "err"
    with (
        err.open("w") as output,
        subprocess.Popen(program, cwd=ROOT, env=variables, stdout=output, stderr=output) as process,
    ):
        try:
            eventually(lambda: "Summaries are served at" in err.read_text() or process.poll() is not None, _TIMEOUT_S)
            with Client(port) as client:
                assert client.send(request()).answer().status == 200
                before = err.read_text()
                assert client.send(head + content).answer("POST").status == 201
            process.terminate()
            assert process.wait(_TIMEOUT_S) == 0
        finally:
            process.kill()
    assert len(_IMPORTED.findall(before)) == len(_IMPORTED.findall(err.read_text())) == 1
