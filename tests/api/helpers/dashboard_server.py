"""A real server of the API for a browser to open, as production runs it, with one worker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warm_programs import WarmProgram

FRESHNESS_S = 0.2
"""Seconds until the server sees a change of the store or a key."""

_ROOT = Path(__file__).parents[3]
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 60


@contextmanager
def running_server(store_url: str, folder: Path, access: str = "open-loopback") -> Iterator[str]:
    """The origin of a server on `store_url`, such as http://127.0.0.1:34567; its log goes into `folder`."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    settings = {
        "STORE_URL": store_url,
        "API_BIND": f"127.0.0.1:{port}",
        "API_ACCESS": access,
        "API_WORKERS": "1",
        "API_FRESHNESS_S": str(FRESHNESS_S),
        "API_REQUEST_TIMEOUT_S": "2",
        "REFRESH_EVERY_S": "3600",
    }
    log = folder / f"server-{port}.log"
    command = ["gunicorn", "-c", "api/gunicorn_conf.py", "api:get_app()"]
    process = WarmProgram(command, _ROOT, os.environ | settings, log, log)
    origin = f"http://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(f"{origin}/healthz", process, log)
        yield origin
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: the browser keeps its connections
        try:
            process.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_answers(url: str, process: WarmProgram, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.05)
