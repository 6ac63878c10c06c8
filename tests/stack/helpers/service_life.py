"""The whole service of ``make run``, from its start to Ctrl-C, with its output."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from command_line import CommandLine
from prometheus_client.parser import text_string_to_metric_families

ROOT: Final = Path(__file__).parents[3]
_START_S: Final = 90
_STOP_S: Final = 60
_READY: Final = re.compile(r"Ready\. Dashboard: (http://127\.0\.0\.1:\d+)/ .* (http://127\.0\.0\.1:\d+/metrics)\n")


@dataclass
class Service:
    """The running service, over a store in `folder`."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    api: str = ""
    worker_metrics: str = ""

    def __post_init__(self) -> None:
        self._log = self.folder / "terminal.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("API_", "NOTIFY_", "STORE_"))}
        self.environment = {
            **kept,
            "API_ACCESS": "open-loopback",
            "API_WORKERS": "1",
            "API_FRESHNESS_S": "0",
            **self.variables,
        }
        self._command = [sys.executable, "-m", "stack", "--port", "0", "--data", str(self.folder / "data"), "--json"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        """Its terminal output."""
        return self._log.read_text()

    def lines_of(self, program: str) -> list[dict[str, Any]]:
        """The log lines of one of its programs."""
        found = re.findall(rf"(?m)^{program} *\| (\{{.*\}})$", self.said)
        return [json.loads(line) for line in found]

    def wait_until_ready(self) -> None:
        """Wait for its addresses."""
        self.wait_until(lambda: _READY.search(self.said) is not None, _START_S)
        found = _READY.search(self.said)
        assert found is not None
        self.api, self.worker_metrics = found.groups()

    def wait_until(self, holds: Callable[[], bool], timeout_s: float = 60) -> None:
        """Wait until `holds`; fail when that takes too long, or the service has ended."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.2)

    def jobs(self, *arguments: str) -> None:
        """Call a command of the jobs, over the same store."""
        store = f"sqlite:///{self.folder / 'data' / 'summaries.db'}"
        ended = CommandLine(ROOT, **{**self.environment, "STORE_URL": store})(*arguments)
        assert ended.code == 0, ended

    def shell(self, script: str) -> str:
        """The output of `script` in another terminal."""
        ended = subprocess.run(
            ["sh", "-c", script],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def ask(self, path: str, content: object = None, headers: dict[str, str] | None = None) -> Any:
        """The response of the API."""
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.api + path, data, {"Content-Type": "application/json", **(headers or {})})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def processes(self) -> list[psutil.Process]:
        """The service and its child processes."""
        return [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]

    def error_of_second_service(self) -> str:
        """The error of a second service over the same files."""
        second = subprocess.run(
            self._command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert second.returncode == 1, second.stdout
        return second.stderr

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=_STOP_S)

    def end(self) -> None:
        """End every running process."""
        if self.process.poll() is None:
            for one in self.processes():
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            self.process.wait(timeout=60)


def metric_names(address: str) -> set[str]:
    """The names of all metrics exposed at `address`."""
    with urllib.request.urlopen(address, timeout=60) as answer:
        text = answer.read().decode()
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
