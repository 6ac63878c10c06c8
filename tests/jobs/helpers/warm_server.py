"""Runs the command line repeatedly, each time in a forked process with all modules imported.

``warm_server.py FD`` takes connections from the listening socket FD, one of each process of the tests, and ends a while
after the last is closed. A request is the JSON of `command_line.Request` with four file descriptors: standard input,
output and error, and a pipe to which the process id and then the wait status are written, a line each. A process
forked off here does what ``python -m jobs`` does, but for the second and a half of imports and of loading compiled code
before, and the taking apart of all modules after; `test_cold_start` runs the real thing.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
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
_COMMAND = typer.main.get_command(app)  # of which each call of `app` makes one
_MAX_REQUEST = 65_536
_LINGER_S = 1
_FLUSH_FAILED = 120
"""What Python itself exits with when standard output cannot be flushed at the end."""


def main(listener: socket.socket) -> None:
    """Serve until nobody is connected any more; what is still running when its connection is closed is killed."""
    connections: set[socket.socket] = set()
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        ready, _, _ = select.select([listener, *connections], [], [], 0.002 if running else _LINGER_S)
        if not ready and not running and not connections:
            return
        for each in ready:
            if each is listener:
                connections |= _accepted(listener)
                continue
            message, descriptors, _, _ = socket.recv_fds(each, _MAX_REQUEST, 4)
            if message:
                open_here = [one.fileno() for one in (listener, *connections)] + [
                    report for report, _ in running.values()
                ]
                process_id = _start(message, descriptors, open_here)
                running[process_id] = descriptors[3], each
                continue
            each.close()
            connections.remove(each)
            for process_id, (_, connection) in running.items():
                if connection is each:
                    os.kill(process_id, signal.SIGKILL)
        while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            report, _ = running.pop(ended[0])
            with contextlib.suppress(BrokenPipeError):  # nobody waits for one that was killed above
                os.write(report, f"{ended[1]}\n".encode())
            os.close(report)


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


def _start(message: bytes, descriptors: list[int], open_here: list[int]) -> int:
    """Fork the process that was asked for, and report its id.

    :param open_here: the descriptors that it shall not have.
    """
    process_id = os.fork()
    if process_id == 0:
        for descriptor in open_here:
            os.close(descriptor)
        _become(json.loads(message), descriptors)
        _call()
    for descriptor in descriptors[:3]:
        os.close(descriptor)
    with contextlib.suppress(BrokenPipeError):  # whoever asked may be dead
        os.write(descriptors[3], f"{process_id}\n".encode())
    return process_id


def _import_everything() -> None:
    """Import each module of the commands, which import theirs only when they run."""
    for package in (core, jobs):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def _call() -> NoReturn:
    """Run the command line to its end, with what threads, exit handlers and buffers still have to do."""
    try:
        _COMMAND()
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
    sys.argv = ["jobs", *request["arguments"]]
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
        told = event == "c_return" and called.__name__ in _STORE_CALLS
        if told and left > 0 and threading.current_thread().name in ("MainThread", "announcing"):
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
