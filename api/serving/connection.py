"""A client as the worker sees it, and the lists of those for whom it waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from gunicorn.http import wsgi
from gunicorn.workers.gthread import TConn

from api.serving.client_socket import ClientSocket
from api.serving.incoming import Incoming


class Connection(TConn):  # type: ignore[misc]
    """One client."""

    def __init__(self, cfg: Any, sock: ClientSocket, address: Any, server: Any, max_body_bytes: int) -> None:
        super().__init__(cfg, sock, address, server)
        self.data_ready = True
        self.incoming = Incoming(max_body_bytes)
        self.whole = True
        """Whether all of the request under way was read before a thread got it."""
        self.keep = False
        """Whether another request may follow the one under way."""
        self.waiting: WaitingList | None = None
        """The list on which it is."""
        self.taken_bytes = 0
        """What the client had taken when it was last given time to take more."""
        self.discarded_bytes = 0


class Response(wsgi.Response):  # type: ignore[misc]
    """A response that does not tell which software made it."""

    def default_headers(self) -> list[str]:
        """The lines of the head that the application does not make."""
        return [line for line in super().default_headers() if not line.startswith("Server:")]


class WaitingList:
    """Connections that may take a time each, by the instant at which it is over.

    :param patience_s: that time.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._run_out_at: dict[Connection, float] = {}

    def add(self, conn: Connection) -> None:
        """`conn` begins to wait."""
        self._run_out_at[conn] = time.monotonic() + self._patience_s

    def remove(self, conn: Connection) -> None:
        """`conn` waits no more."""
        del self._run_out_at[conn]

    def renew(self, conn: Connection) -> None:
        """`conn` has all its time again."""
        self.remove(conn)  # and becomes the last
        self.add(conn)

    def first(self) -> Connection | None:
        """Who has waited longest."""
        return next(iter(self._run_out_at), None)

    def run_out(self) -> Iterator[Connection]:
        """Those whose time is over; whoever takes one removes it."""
        now = time.monotonic()
        while (conn := self.first()) and self._run_out_at[conn] <= now:
            yield conn

    def end_by(self, deadline: float) -> None:
        """Give nobody more time than until `deadline`."""
        for conn, run_out_at in self._run_out_at.items():
            self._run_out_at[conn] = min(run_out_at, deadline)
