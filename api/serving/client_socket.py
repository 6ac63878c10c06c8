"""A socket for which no thread waits: what the client does not take at once is kept until it does."""

from __future__ import annotations

import socket
from collections import deque
from itertools import islice
from typing import Any, Final, Self

_READ_BYTES: Final = 65_536
_PARTS_AT_ONCE: Final = 64


class ClientSocket(socket.socket):
    """The socket of a client. No call blocks: gunicorn's own calls, which would, are redefined."""

    sent_bytes: int
    """How much the client has taken so far."""
    _unsent: deque[memoryview]

    @classmethod
    def of(cls, accepted: socket.socket) -> Self:
        """The same connection as `accepted`, which is of no use afterwards."""
        client = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        socket.socket.setblocking(client, False)
        client.sent_bytes = 0
        client._unsent = deque()
        return client

    def setblocking(self, flag: bool) -> None:
        """Do nothing: gunicorn asks for a blocking socket before each request."""

    def settimeout(self, value: float | None) -> None:
        """Do nothing: gunicorn asks for time-outs around what it takes for reads."""

    def read_now(self) -> bytes | None:
        """What has come: None when nothing has, empty when the client has ended.

        :raises OSError: the connection is broken.
        """
        try:
            return super().recv(_READ_BYTES)
        except BlockingIOError:
            return None

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Refuse: the event loop reads, and a thread has all that it may see of a request.

        :raises TimeoutError: always, as if the client were too slow.
        """
        raise TimeoutError("more was asked for than the request has")

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Keep `data` for `send_unsent`, so that head and body of an answer leave in one packet."""
        self._unsent.append(memoryview(data))

    def send_instead(self, data: Any) -> None:
        """Keep `data` in place of what was not sent yet."""
        self._unsent.clear()
        self.sendall(data)

    def send_unsent(self) -> bool:
        """Send as much of what was kept as the client takes now; whether nothing is left.

        :raises OSError: the connection is broken.
        """
        while self._unsent:
            try:
                sent = self.sendmsg(list(islice(self._unsent, _PARTS_AT_ONCE)))
            except BlockingIOError:
                return False
            self.sent_bytes += sent
            while self._unsent and sent >= len(self._unsent[0]):
                sent -= len(self._unsent.popleft())
            if sent:
                self._unsent[0] = self._unsent[0][sent:]
        return True
