"""gunicorn's worker, which serves the ASGI application with uvicorn."""

from __future__ import annotations

import asyncio
import gc
import logging
import mmap
import os
import signal
import struct
import sys
from typing import Any, Final

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from api.server.protocol import Protocol
from core.errors import ServiceError

_HANDOVER_S: Final = 10.0  # how long a process waits for its successors before it stops
_SWEEP_S: Final = 0.5
_SPARE_S: Final = 2  # before the master kills the worker
_GC_THRESHOLD: Final = 20_000  # with Python's default of 700, a twentieth of the time of new responses is spent on it
_LOG: Final = logging.getLogger("uvicorn.error")


class Handover:
    """Shared memory of all processes: on a reload, the previous workers serve until the new ones do.

    gunicorn stops the previous workers as soon as it has started the new ones, which are then still loading. Workers
    are identified by their age: their number since the start of the master.
    """

    _HEAD: Final = struct.Struct("=II")
    _AGES: Final = 4096

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, self._HEAD.size + self._AGES)

    def begin(self, first_age: int, count: int) -> None:
        """`count` workers will be started, the first with `first_age`."""
        for age in range(first_age, first_age + count):
            self._memory[self._at(age)] = 0
        self._HEAD.pack_into(self._memory, 0, first_age, count)

    def is_serving(self, age: int) -> None:
        """The worker with `age` serves."""
        self._memory[self._at(age)] = 1

    def is_awaited(self, age: int) -> bool:
        """Whether the worker with `age` has successors that do not serve yet."""
        first_age, count = self._HEAD.unpack_from(self._memory, 0)
        return age < first_age and not all(self._memory[self._at(first_age + number)] for number in range(count))

    def _at(self, age: int) -> int:
        return self._HEAD.size + age % self._AGES


HANDOVER: Final = Handover()
"""The handover of this master, whose workers inherit it."""


class _Server(Server):
    """uvicorn's server, which stops when its successors serve, and closes connections of slow clients."""

    def __init__(self, config: Any, age: int) -> None:
        super().__init__(config)
        self._age = age
        self._stop_by: float | None = None

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._sweeping = asyncio.create_task(self._sweep())  # runs also while the server stops
        HANDOVER.is_serving(self._age)

    async def on_tick(self, counter: int) -> bool:
        if not await super().on_tick(counter):
            return False
        now = asyncio.get_running_loop().time()
        if self._stop_by is None:
            self._stop_by = now + _HANDOVER_S
            Protocol.draining = True
        is_first_request = len(self._captured_signals) < 2
        return not (is_first_request and now < self._stop_by and HANDOVER.is_awaited(self._age))

    async def shutdown(self, sockets: Any = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit and self.server_state.tasks:
            _LOG.warning("%d requests were cancelled", len(self.server_state.tasks))

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(_SWEEP_S, Protocol.timeout_s / 2))
            for connection in list(self.server_state.connections):
                assert isinstance(connection, Protocol)
                try:
                    connection.check(loop.time())
                except Exception:  # check the other connections all the same
                    _LOG.exception("A connection could not be checked")
                    connection.transport.abort()


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Whether `record` is not about a cancelled request: uvicorn logs the number of those itself."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class Worker(UvicornWorker):  # type: ignore[misc]
    """Serves the application on an event loop."""

    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 - as in the base class
        "http": Protocol,
        "ws": "none",
        "loop": "uvloop",
        "lifespan": "on",
        "proxy_headers": False,  # `api.http.request` reads them, of trusted proxies only
        "server_header": False,
        "timeout_notify": 1,
    }

    def init_signals(self) -> None:
        """Handle signals before the start and after the end of the server, when uvicorn raises them again."""
        super().init_signals()
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.signal(signal.SIGINT, self.handle_exit)

    def load_wsgi(self) -> None:
        """Create the application; an error in the settings stops the master."""
        try:
            super().load_wsgi()
        except ServiceError as error:
            self.log.error("%s. %s", error.sentence, error.hint)
            sys.exit(Arbiter.APP_LOAD_ERROR)
        # The objects that exist now live as long as the process: exclude them from garbage collection.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD)

    async def _serve(self) -> None:
        if not self.alive:  # stopped while it was loading
            return
        Protocol.most_connections = self.cfg.worker_connections
        self.config.app = self.wsgi
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - _SPARE_S)
        _LOG.addFilter(_is_no_cancellation)
        server = _Server(self.config, self.age)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    async def callback_notify(self) -> None:
        """Notify the master that the event loop runs; without a master, stop."""
        self.notify()
        if os.getppid() != self.ppid:
            os.kill(os.getpid(), signal.SIGTERM)
