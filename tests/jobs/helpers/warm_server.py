"""Runs command lines repeatedly, each time in a forked process with all modules imported; and scripts of tests.

``warm_server.py FD`` takes connections from the listening socket FD, one of each process of the tests, and ends a while
after the last is closed. A request is the JSON of `command_line.Request` with four file descriptors: standard input,
output and error, and a pipe to which the process id and then the wait status are written, a line each. A process
forked off here does what ``python -m jobs`` or the like does, but for the second and a half of imports and of loading
compiled code before, and the taking apart of all modules after; `test_cold_start` runs the real thing.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import resource
import runpy
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import coverage
import jdatetime  # noqa: F401
import rich.progress  # noqa: F401
import typer
import typer._adapters
from kernels import run_kernels
from pymongo.synchronous import monitor

import core
import jobs
from core.calendar.zones import rules_digest_here
from jobs.__main__ import app

_STORE_CALLS = frozenset({"execute", "executemany", "sendall"})
_COMMANDS = {"jobs": typer.main.get_command(app)}  # of which each call of `app` makes one
_SERVERS = frozenset({"api.commands.serve"})
"""Commands that are not called here, and import much."""

_MAX_REQUEST = 65_536
_LINGER_S = 1
_FLUSH_FAILED = 120
"""What Python itself exits with when standard output cannot be flushed at the end."""


def main(listener: socket.socket) -> None:
    """Serve until nobody is connected any more; what is still running when its connection is closed is killed."""
    connections: set[socket.socket] = set()
    running: dict[int, _Running] = {}
    while True:
        awaited: list[socket.socket | int] = [listener, *connections, *running]
        ready, _, _ = select.select(awaited, [], [], _LINGER_S)
        if not ready and not running and not connections:
            return
        for each in ready:
            if isinstance(each, int):
                _report_end(each, running.pop(each))
            elif each is listener:
                connections |= _accepted(listener)
            else:
                message, descriptors, _, _ = socket.recv_fds(each, _MAX_REQUEST, 4)
                if message:
                    reports = [one.report for one in running.values()]
                    not_theirs = [one.fileno() for one in (listener, *connections)] + [*running, *reports]
                    process_id = _start(message, descriptors, not_theirs)
                    running[os.pidfd_open(process_id)] = _Running(process_id, descriptors[3], each)
                else:
                    each.close()
                    connections.remove(each)
                    for one in running.values():
                        if one.connection is each:
                            os.kill(one.process_id, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class _Running:
    """A process that was forked off; its key is a descriptor that can be read once it has ended."""

    process_id: int
    report: int
    connection: socket.socket


def _report_end(descriptor: int, ended: _Running) -> None:
    os.close(descriptor)
    _, status = os.waitpid(ended.process_id, 0)
    with contextlib.suppress(BrokenPipeError):  # nobody waits for one that was killed above
        os.write(ended.report, f"{status}\n".encode())
    os.close(ended.report)


def _accepted(listener: socket.socket) -> set[socket.socket]:
    """The next connection, unless it is of another user."""
    connection, _ = listener.accept()
    _, user, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    if user == os.getuid():
        return {connection}
    connection.close()
    return set()


def _start(message: bytes, descriptors: list[int], not_theirs: list[int]) -> int:
    """Fork the process that was asked for, and report its id.

    :param not_theirs: the descriptors that it shall not have.
    """
    request = json.loads(message)
    run = _program(request["program"])
    process_id = os.fork()
    if process_id == 0:
        for descriptor in not_theirs:
            os.close(descriptor)
        _become(request, descriptors)
        _call(run)
    for descriptor in descriptors[:3]:
        os.close(descriptor)
    with contextlib.suppress(BrokenPipeError):  # the requesting process may have died
        os.write(descriptors[3], f"{process_id}\n".encode())
    return process_id


def _import_everything() -> None:
    """Import each module of the commands, which import theirs only when they run."""
    for package in (core, jobs):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def _program(name: str) -> Callable[[], object]:
    """What runs the command line of a package, with the modules of its commands imported, or a script."""
    if name.endswith(".py"):
        return functools.partial(_run_script, Path(name))
    if name not in _COMMANDS:
        commands = importlib.import_module(f"{name}.commands")
        for module in pkgutil.iter_modules(commands.__path__, f"{commands.__name__}."):
            if module.name not in _SERVERS:
                importlib.import_module(module.name)
        _COMMANDS[name] = typer.main.get_command(importlib.import_module(f"{name}.__main__").app)
    return _COMMANDS[name]


def _run_script(script: Path) -> None:
    sys.path.insert(0, str(script.parent))
    runpy.run_path(str(script), run_name="__main__")


def _call(run: Callable[[], object]) -> NoReturn:
    """Run a program to its end, with what threads, exit handlers and buffers still have to do."""
    code: object = None
    try:
        run()
    except SystemExit as end:
        code = end.code
    threading._shutdown()  # type: ignore[attr-defined]
    atexit.unregister(monitor._shutdown_resources)  # it waits half a second for threads that end with the process
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        os.write(2, f"Traceback: at its end, {error}\n".encode())
        code = _FLUSH_FAILED
    assert code is None or isinstance(code, int)
    os._exit(code or 0)


def _stop_measuring() -> None:
    """Take no part in the measurement of coverage."""
    if measurement := coverage.Coverage.current():
        measurement.stop()
        atexit.unregister(measurement._atexit)


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Turn this fresh process into the one that was asked for."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as the first lines of ``jobs.__main__`` do
    if request["ignored"]:
        signal.signal(request["ignored"], signal.SIG_IGN)
    sys.argv = [request["program"], *request["arguments"]]
    if not request["measured"]:
        _stop_measuring()
    if request["file_size_limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_size_limit"],) * 2)
    if request["signal_after"] is not None:
        profile = _signaller(signal.Signals(request["signal"]), request["signal_after"])
        sys.setprofile(profile)
        threading.setprofile(profile)


def _signaller(number: signal.Signals, calls: int) -> Callable[[FrameType, str, Any], None]:
    """A profiler that sends this process a signal after so many statements to SQLite or messages to a server.

    What the heartbeat and the monitors of the server do is not counted, so that the same number is the same moment.
    """
    left = calls

    def profile(frame: FrameType, event: str, called: Any) -> None:
        nonlocal left
        reported = event == "c_return" and called.__name__ in _STORE_CALLS
        if reported and left > 0 and threading.current_thread().name in ("MainThread", "announcing"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)

    return profile


if __name__ == "__main__":
    _import_everything()
    run_kernels("transaction.bson")
    rules_digest_here("Asia/Tehran", "jalali")  # of which each process would make one
    if under_way := coverage.Coverage.current():
        under_way.save()  # or each process would write again what was measured up to here, which takes it twice as long
    gc.collect()
    gc.freeze()
    main(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)  # what it measured is saved
