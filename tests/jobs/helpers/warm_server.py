"""Runs the command line again and again, each time in a process of its own that has everything imported already.

``warm_server.py FD`` takes requests from the socket FD. A request is the JSON of `command_line.Request` with four file
descriptors: standard input, output and error, and a pipe to which the process id and then the wait status are written,
a line each. A process forked off here differs from ``python -m jobs`` in nothing but the second and a half that imports
and the loading of compiled code take; `test_cold_start` runs the real thing.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import bson
import jdatetime  # noqa: F401
import rich.progress  # noqa: F401

import jobs.commands.rebuild
import jobs.commands.sample
import jobs.commands.status
import jobs.commands.summary  # noqa: F401
from core.calendar.days import LocalDays
from jobs.__main__ import app
from jobs.aggregate.partial import Partial
from jobs.decode.judge import Window
from jobs.decode.plan import Fields
from jobs.sources.feed import Buffer
from jobs.sources.recognise import open_source

_STORE_CALLS = frozenset({"execute", "executemany", "sendall"})
_MAX_REQUEST = 65_536


def main(requests: socket.socket) -> None:
    """Serve until the other end is closed."""
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([requests], [], [], 0.002 if running else None)
        if ready:
            message, descriptors, _, _ = socket.recv_fds(requests, _MAX_REQUEST, 4)
            if not message:
                return
            process_id = os.fork()
            if process_id == 0:
                requests.close()
                request = json.loads(message)
                _become(request, descriptors)
                app() if request["file_size_limit"] is None else _call_unmeasured()
            running[process_id] = descriptors.pop()
            os.write(running[process_id], f"{process_id}\n".encode())
            for descriptor in descriptors:
                os.close(descriptor)
        while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            os.write(running[ended[0]], f"{ended[1]}\n".encode())
            os.close(running.pop(ended[0]))


def _call_unmeasured() -> None:
    """Leave out what would run at exit: the coverage data must not meet the full disk as well."""
    try:
        app()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Turn this fresh process into the one that was asked for."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    sys.argv = ["jobs", *request["arguments"]]
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


def _load_compiled_code() -> None:
    document = {"_id": 1, "merchantId": "m", "amount": 1, "createdAt": bson.datetime_ms.DatetimeMS(0)}
    window = Window(-(2**50), 2**50, -(2**50), 2**50)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "one.bson")
        path.write_bytes(bson.encode(document))
        source = open_source(str(path), Fields(), None)
        decoder = source.decoder(Fields(), window)
        partial = Partial(decoder.merchants, LocalDays("Asia/Tehran"))
        for batch in decoder.batches(source.feed.next(Buffer(0))):
            partial.add(batch)
        source.close()


if __name__ == "__main__":
    _load_compiled_code()
    gc.collect()
    gc.freeze()
    main(socket.socket(fileno=int(sys.argv[1])))
