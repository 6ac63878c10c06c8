"""Runs programs, to their end or in the background, and reports their failures."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

ROOT: Final = Path(__file__).parent.parent
_SHOWN: Final = 2000
_POLL_S: Final = 0.005


class BenchFailed(Exception):
    """A program failed, took too long, or has other totals than the others."""


def say(text: str) -> None:
    """Show the progress of the bench."""
    print(text, file=sys.stderr, flush=True)


def keep_to_two_cores() -> None:
    """Restrict this process and its children to two cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


_TOOLS: Final = {
    "go": "Go 1.22 or newer, which builds bench/api/paced",
    "redis-server": "redis-server (Debian's package `redis-server`)",
    "wrk": "wrk (Debian's package `wrk`)",
}


def missing_tools(*tools: str) -> list[str]:
    """Those of `tools` that must be installed before anything can be measured, in words."""
    return [_TOOLS[tool] for tool in tools if shutil.which(tool) is None]


def run(
    command: Sequence[str], timeout_s: float, variables: Mapping[str, str] | None = None, folder: Path = ROOT
) -> str:
    """The standard output of `command`.

    :param variables: additional environment variables.
    :raises BenchFailed: it failed, which shows the end of its errors, or took longer than `timeout_s`.
    """
    called = " ".join(command).removeprefix(f"{sys.executable} ")
    try:
        done = subprocess.run(
            command,
            cwd=folder, env=os.environ | (variables or {}), timeout=timeout_s,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"{called} took longer than {timeout_s:g} s") from None
    if done.returncode:
        raise BenchFailed(f"{called} ended with {done.returncode}:\n{done.stderr[-_SHOWN:]}")
    return done.stdout


@contextmanager
def running(
    command: Sequence[str], log: Path, stop_timeout_s: float, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` until the end of the block, when it is asked to stop, and killed with its children if it does not.

    :param log: the file for all that it prints.
    :param variables: additional environment variables.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT, env=os.environ | (variables or {}), stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(stop_timeout_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(
    holds: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, timeout_s: float, lasting_s: float = 0.0
) -> float:
    """Wait until `holds` is true for `lasting_s`; returns the instant at which it became true, of `time.perf_counter`.

    :raises BenchFailed: `process` has ended or `timeout_s` have passed before; shows the end of its `log`.
    """
    deadline = time.monotonic() + timeout_s
    since: float | None = None
    while True:
        now = time.perf_counter()
        since = (since or now) if holds() else None
        if since is not None and now - since >= lasting_s:
            return since
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-_SHOWN:]
            raise BenchFailed(f"{process.args!r} did not do in {timeout_s:g} s what it must:\n{said}")
        time.sleep(_POLL_S)


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """The processor time of `processes` since their start, in seconds."""
    times = [process.cpu_times() for process in processes]
    return float(sum(time.user + time.system for time in times))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
    return port
