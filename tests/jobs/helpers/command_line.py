"""Calls the command line, in this process or in a new one."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import pytest
from called_here import call_here, can_be_called_here
from unmeasured import unmeasured

ROOT: Final = Path(__file__).parents[3]
_TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True)
class Request:
    """A call of a command line, see `warm_server`.

    :param program: the package whose command line is called, or the path of a script.
    :param signal_after: send it `signal` after this number of statements or messages to its store.
    :param ignored: the number of a signal that it ignores from the beginning, as with ``nohup``; 0: none.
    :param file_size_limit: maximum size of its files in bytes, which simulates a full disk.
    :param measured: whether its coverage is measured, which takes 50 ms and writes a file.
    """

    arguments: tuple[str, ...]
    folder: str
    env: Mapping[str, str]
    signal_after: int | None = None
    signal: int = signal.SIGKILL
    ignored: int = 0
    file_size_limit: int | None = None
    measured: bool = True
    program: str = "jobs"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code and output of a process.

    :param code: its exit code; the negative number of the signal that killed it.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, parsed."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """The lines of its standard output, parsed."""
        return [json.loads(line) for line in self.out.splitlines()]

    def require_failure(self, code: int, sentence: str = "") -> str:
        """Require the exit code, and on standard error a sentence that contains `sentence`, and a hint."""
        assert self.code == code, self
        assert sentence in self.err
        assert "Traceback" not in self.err
        first, *hint = self.err.rstrip("\n").split("\n")
        assert first.startswith("Error: ")
        assert first.endswith(".")
        assert len(hint) == 1, self.err
        assert hint[0].endswith(".")
        return self.err


@dataclass(slots=True)
class Running:
    """A process of the command line that has been started."""

    pid: int
    _reports: IO[bytes]
    _out: IO[bytes] | None
    _err: IO[bytes] | None
    _ended: CommandResult | None = field(default=None, init=False)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._ended is not None or bool(select.select([self._reports], [], [], 0)[0])

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self) -> CommandResult:
        """Wait for its end; returns its output. A process that does not end in time is killed, and the test fails."""
        if self._ended is None:
            if not select.select([self._reports], [], [], _TIMEOUT_S)[0]:
                self.send(signal.SIGKILL)
                pytest.fail(f"process {self.pid} did not end in {_TIMEOUT_S} s")
            status = int(self._reports.readline())
            self._reports.close()
            self._ended = CommandResult(os.waitstatus_to_exitcode(status), _content(self._out), _content(self._err))
        return self._ended


class CommandLine:
    """Calls ``python -m jobs`` with its own store and settings.

    :param folder: its working folder.
    :param settings: environment variables, in addition to the few that every process needs.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self._settings = settings

    def __call__(self, *arguments: str | Path, **options: Any) -> CommandResult:
        """Call it and wait: in this process if only settings are given (see `called_here`), else in a new one."""
        texts = tuple(map(str, arguments))
        settings = self._settings | options
        if can_be_called_here(texts, settings):
            code, out, err = call_here(texts, self.folder, _environment() | settings)
            return CommandResult(code, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "surrogateescape"))
        return self.start(*arguments, **options).wait()

    def start(
        self,
        *arguments: str | Path,
        stdin: IO[bytes] | int | bytes = b"",
        stdout: int | None = None,
        stderr: int | None = None,
        signal_after: int | None = None,
        number: signal.Signals = signal.SIGKILL,
        ignored: int = 0,
        file_size_limit: int | None = None,
        program: str | Path = "jobs",
        **settings: str,
    ) -> Running:
        """Call it and do not wait.

        :param stdin: a file, a descriptor, or bytes.
        :param stdout: a descriptor instead of a file; likewise `stderr`.
        :param program: the package whose command line is called, or a script.
        """
        request = Request(
            tuple(map(str, arguments)),
            str(self.folder),
            _environment() | self._settings | settings,
            signal_after,
            number,
            ignored,
            file_size_limit,
            # Processes that are killed at many points run the same lines as those of other tests.
            signal_after is None and file_size_limit is None and program == "jobs",
            str(program),
        )
        out = tempfile.TemporaryFile() if stdout is None else None  # noqa: SIM115
        err = tempfile.TemporaryFile() if stderr is None else None  # noqa: SIM115
        with contextlib.ExitStack() as stack:
            if isinstance(stdin, bytes):
                content = stack.enter_context(tempfile.TemporaryFile())
                content.write(stdin)
                content.seek(0)
                stdin = content
            read_end, write_end = os.pipe()
            given = [stdin if isinstance(stdin, int) else stdin.fileno()]
            given += [out.fileno() if out is not None else stdout or 1]
            given += [err.fileno() if err is not None else stderr or 2, write_end]
            socket.send_fds(warm_server(), [json.dumps(asdict(request)).encode()], given)
            os.close(write_end)
        reports = os.fdopen(read_end, "rb", buffering=0)
        return Running(int(reports.readline()), reports, out, err)

    def cold(self, *arguments: str | Path, **settings: str) -> CommandResult:
        """Start ``python -m jobs`` without `warm_server`, and wait."""
        ended = subprocess.run(
            [sys.executable, "-m", "jobs", *map(str, arguments)],
            cwd=self.folder,
            env=unmeasured(_environment()) | self._settings | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        return CommandResult(ended.returncode, ended.stdout, ended.stderr)


def wait_until(holds: Callable[[], object], timeout_s: float = 60) -> None:
    """Wait until `holds()` is true; fails after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"the condition was not met in {timeout_s:g} s: {holds}")
        time.sleep(0.002)


def _environment() -> dict[str, str]:
    passed_on = (
        "PATH",
        "HOME",
        "NUMBA_CACHE_DIR",
        "COVERAGE_PROCESS_START",
        "COVERAGE_PROCESS_CONFIG",
        "COVERAGE_FILE",
        "LD_PRELOAD",
        "CLOCK_MOVED_BY_S",
        "TZ",
    )
    kept = {name: os.environ[name] for name in passed_on if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "LANG": "C.UTF-8"}


def _content(file: IO[bytes] | None) -> str:
    if file is None:
        return ""
    with file:
        file.seek(0)
        return file.read().decode("utf-8", "surrogateescape")


@functools.cache
def warm_server() -> socket.socket:
    """A connection to `warm_server.py`, which all processes of a test run share; the first one starts it."""
    address = f"\0commands of {os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"  # an abstract socket of Linux
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    atexit.register(connection.close)
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            connection.connect(address)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
        else:
            return connection
        with contextlib.suppress(OSError):  # another process has bound the address, and listens soon
            _start_warm_server(address)
        time.sleep(0.01)


def _start_warm_server(address: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        listener.set_inheritable(True)
        program = str(Path(__file__).with_name("warm_server.py"))
        # Not with subprocess, which warns of a process that outlives its object; this one outlives even this process.
        os.posix_spawn(
            sys.executable,
            [sys.executable, program, str(listener.fileno())],
            _environment(),
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setsid=True,
        )
