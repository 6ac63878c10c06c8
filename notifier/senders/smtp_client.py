"""smtplib's client with a deadline, and without accepting incomplete replies."""

from __future__ import annotations

import contextlib
import re
import select
import smtplib
import socket
import ssl
import threading
from typing import Final

from notifier.senders.dialling import Deadline, anywhere, connected

_QUIT_S: Final = 0.5
_MAX_LINE, _MAX_LINES = 8192, 200
_REPLY: Final = re.compile(rb"(?P<code>[2-5][0-9][0-9])(?P<more>[ -]?)(?P<text>[^\n]*)\r?\n")


class TimedSmtp(smtplib.SMTP):
    """smtplib's client with one deadline for the whole session.

    smtplib's timeout is for single reads, so a server that sends one byte per second would block it for ever: at the
    deadline, the connection is closed.
    """

    def __init__(self, host: str, port: int, helo: str, tls: ssl.SSLContext | None, deadline: Deadline) -> None:
        self._tls_at_once = tls
        self._deadline = deadline
        self._end = threading.Timer(deadline.left_s(), self._cut)
        self._end.daemon = True
        try:
            super().__init__(host, port, local_hostname=helo, timeout=deadline.left_s())
        except BaseException:
            self.close()
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = connected(host, port, self._deadline, anywhere, socket.create_connection, OSError)
        try:
            sock.settimeout(self._deadline.left_s())
            if self._tls_at_once is not None:
                sock = self._tls_at_once.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
        self._end.start()
        return sock

    def hurry(self) -> None:
        """Limit the next step to the remaining time."""
        if self.sock is not None:
            self.sock.settimeout(self._deadline.left_s())

    def getreply(self) -> tuple[int, bytes]:
        """The next complete reply: smtplib's own method also accepts the part of a line before a lost connection.

        :raises SMTPServerDisconnected: the connection is lost, or this is no reply.
        """
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection was lost")
        if self.file is None:
            self.file = self.sock.makefile("rb")
        lines: list[bytes] = []
        while len(lines) < _MAX_LINES:
            line = self.file.readline(_MAX_LINE)
            reply = _REPLY.fullmatch(line)
            if reply is None:
                break
            lines.append(reply["text"].strip())
            if reply["more"] != b"-":
                return int(reply["code"]), b"\n".join(lines)
        self.close()
        raise smtplib.SMTPServerDisconnected("the reply is incomplete")

    def write(self, content: bytes) -> None:
        """Send all of `content`."""
        self.hurry()
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection was lost")
        self.sock.sendall(content)

    def has_spoken(self) -> bool:
        """Whether there is an unread reply, or the server has closed the connection."""
        if self.sock is None:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0)) or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0)

    def quit_soon(self) -> None:
        """Send QUIT, without waiting long for the reply."""
        if self.sock is not None:
            self.sock.settimeout(_QUIT_S)
            self.docmd("QUIT")

    def close(self) -> None:
        """Close the connection."""
        self._end.cancel()
        super().close()

    def _cut(self) -> None:
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # SSLSocket.shutdown would also unwrap it
