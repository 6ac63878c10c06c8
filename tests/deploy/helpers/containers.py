"""Services of the compose file as processes of this machine: the same commands, variables and health checks.

Only what cannot be here is replaced, word for word: names of hosts, ports, and folders of the containers. A read-only
file system is one whose files have no permission to be written, for a process that may not override permissions.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from image_parts import PROGRAM, lay_out, stages

OBEYING_PERMISSIONS: Final = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""What a command is prefixed with so that permissions hold for it, which root would else not notice."""

_HEALTHY_TIMEOUT_S: Final = 60


def make_read_only(folder: Path) -> None:
    """Take the permission to write from everything in `folder`, and from itself."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)


@dataclass
class Container:
    """A service that runs.

    :param grace_s: how long it may take to end.
    """

    service: Mapping[str, Any]
    process: subprocess.Popen[bytes]
    log: Path
    replaced: Mapping[str, str]
    environment: Mapping[str, str]
    folder: Path
    grace_s: float

    def is_healthy(self) -> bool:
        """Whether its health check says so: that of the compose file, or else that of the image."""
        check = self.service.get("healthcheck", {}).get("test") or ["CMD", *stages()[""].command("HEALTHCHECK")]
        kind, *words = [_replace(word, self.replaced) for word in check]
        command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        ended = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, timeout=20, check=False
        )
        return ended.returncode == 0

    def wait_until_healthy(self) -> None:
        """Wait for it, or fail with what it wrote."""
        deadline = time.monotonic() + _HEALTHY_TIMEOUT_S
        while not self.is_healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"not healthy:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.2)

    def stop(self) -> int:
        """Stop it as Docker does, and fail when it would have been killed; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=self.grace_s)


@dataclass
class Host:
    """Runs services with their files below `folder`.

    :param replaced: what stands for what; beside that, each service has a ``/tmp`` of its own.
    """

    folder: Path
    services: Mapping[str, Any]
    replaced: dict[str, str]
    running: list[Container] = field(default_factory=list)

    def environment(self, name: str) -> dict[str, str]:
        """The variables of the service: those of the image, where it is ours, and its own."""
        service = self.services[name]
        variables = stages()[""].environment() if "build" in service else {}
        variables |= {key: value for key, value in service["environment"].items() if value is not None}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        replaced = self.replaced_for(name)
        adapted = {key: _replace(value, replaced) for key, value in variables.items()}
        return adapted | {"PATH": path, "TMPDIR": replaced["/tmp"]}

    def replaced_for(self, name: str) -> dict[str, str]:
        """What stands for what in the service."""
        own = self.folder / f"{name}-tmp"
        own.mkdir(exist_ok=True)
        return {**self.replaced, "/tmp": str(own)}

    def command(self, name: str) -> list[str]:
        """What the service runs."""
        service = self.services[name]
        own = (service.get("entrypoint") or []) + (service.get("command") or [])
        return [_replace(word, self.replaced_for(name)) for word in own or stages()[""].command()]

    def run(self, name: str) -> Container:
        """Start a service, and wait until it is healthy."""
        service = self.services[name]
        working_folder = self.program if "build" in service else self.folder
        environment = self.environment(name)
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*OBEYING_PERMISSIONS, *self.command(name)],
                cwd=working_folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        grace_s = seconds(service["stop_grace_period"]) if "stop_grace_period" in service else 10.0
        container = Container(service, process, log, self.replaced_for(name), environment, working_folder, grace_s)
        self.running.append(container)
        container.wait_until_healthy()
        return container

    @property
    def program(self) -> Path:
        """The read-only folder that stands for `PROGRAM`."""
        folder = self.folder / PROGRAM.strip("/")
        if not folder.exists():
            folder.mkdir()
            make_read_only(lay_out(folder))
        return folder


@contextmanager
def host(folder: Path, services: Mapping[str, Any], replaced: dict[str, str]) -> Iterator[Host]:
    """A host for the length of the block; all that it runs is ended afterwards."""
    made = Host(folder, services, replaced)
    try:
        yield made
    finally:
        for container in made.running:
            with suppress(ProcessLookupError):
                os.killpg(container.process.pid, signal.SIGKILL)
            container.process.wait(timeout=60)


def seconds(duration: str) -> float:
    """A duration as Compose prints it, such as ``1m30.5s``, in seconds."""
    minutes, _, rest = duration.rpartition("m")
    return 60 * float(minutes or 0) + float(rest.removesuffix("s") or 0)


def wait_until(holds: Callable[[], object], timeout_s: float = 60) -> None:
    """Wait until `holds()` is true; fail when that takes too long."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.1)


def _replace(text: str, replaced: Mapping[str, str]) -> str:
    longest_first = sorted(replaced, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda found: replaced[found[0]], text)
