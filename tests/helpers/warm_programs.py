"""Runs programs as ``python -m`` does, but forked from a process that has imported most of what they import.

That saves each server of the API half a second, and each process of Celery a whole one. What reads the environment when
it is imported is not imported before. Tests of the start itself, and of what it loads, run the real thing.
"""

from __future__ import annotations

import atexit
import faulthandler
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Final

_IMPORTS: Final = "tests.helpers.warm_imports"  # which that process finds only from the folder of the project
_TIMEOUT_S: Final = 60


class WarmProgram:
    """A program that leads a session of its own, with what tests need of `subprocess.Popen`.

    :param command: the name of its module, and its arguments.
    :param out: the file for its standard output, `err` for its standard error; may be the same.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path
    ) -> None:
        self._command = command
        for file in (out, err):
            file.write_bytes(b"")
        arguments = (*command,), str(folder), dict(environment), str(out), str(err)
        self._process = _context().Process(target=_become, args=arguments, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; its exit code.

        :raises subprocess.TimeoutExpired: it still runs.
        """
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(list(self._command), timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def run_warm(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; see `WarmProgram`."""
    with tempfile.TemporaryDirectory() as outputs:
        out, err = Path(outputs, "out"), Path(outputs, "err")
        code = WarmProgram(command, folder, environment, out, err).wait(_TIMEOUT_S)
        return subprocess.CompletedProcess(list(command), code, out.read_text(), err.read_text())


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_IMPORTS])
    return context


def _become(command: Sequence[str], folder: str, environment: Mapping[str, str], out: str, err: str) -> None:
    """Run the program to its end in this process, which was just forked."""
    os.setsid()
    for number, file in enumerate((out, err), 1):
        opened = os.open(file, os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    os.chdir(folder)
    module, *arguments = command
    sys.argv = [module, *arguments]
    sys.path[:0] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(":"))]
    if environment.get("PYTHONFAULTHANDLER"):
        faulthandler.enable()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()
