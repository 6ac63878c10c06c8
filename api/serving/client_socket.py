"""A socket for which no thread waits: what the client does not take at once is kept until it does."""

from __future__ import annotations

import select
import socket
from collections import deque
from typing import Any, Final, Self

_READ_BYTES: Final = 65_536


class ClientSocket(socket.socket):
    """The socket of a client; never blocks, but where `recv` says so.

    :param patience_s: how long `recv` waits for the client.
    """

    patience_s: float
    _unsent: deque[memoryview]

    @classmethod
    def of(cls, accepted: socket.socket, patience_s: float) -> Self:
        """The same connection as `accepted`, which is of no use afterwards."""
        client = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        client.settimeout(0)
        client.patience_s = patience_s
        client._unsent = deque()
        return client

    def setblocking(self, flag: bool) -> None:
        """Do nothing: gunicorn asks for a blocking socket before each request."""

    def read_now(self) -> bytes | None:
        """What has come: None when nothing has, empty when the client has ended.

        :raises OSError: the connection is broken.
        """
        try:
            return super().recv(_READ_BYTES)
        except BlockingIOError:
            return None

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Read, and wait for the client: only for bodies so large that they were not read beforehand.

        :raises TimeoutError: nothing came in `patience_s`.
        """
        poller = select.poll()
        poller.register(self, select.POLLIN)
        if not poller.poll(self.patience_s * 1000):
            raise TimeoutError("the client sends nothing more")
        return super().recv(bufsize, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send what the client takes now, and keep the rest for `send_unsent`.

        :raises OSError: the connection is broken.
        """
        self._unsent.append(memoryview(data))
        if len(self._unsent) == 1:
            self.send_unsent()

    def send_unsent(self) -> bool:
        """Send more of what was kept; whether nothing is left.

        :raises OSError: the connection is broken.
        """
        while self._unsent:
            data = self._unsent[0]
            try:
                sent = self.send(data)
            except BlockingIOError:
                return False
            if sent < len(data):
                self._unsent[0] = data[sent:]
                return False
            self._unsent.popleft()
        return True
