"""smtplib's client, made exact about time and about replies that were cut off."""

from __future__ import annotations

import contextlib
import re
import select
import smtplib
import socket
import ssl
import threading
from typing import Final

from notifier.senders.dialling import Deadline, connected

_QUIT_S: Final = 0.5
_MAX_LINE, _MAX_LINES = 8192, 200
_REPLY: Final = re.compile(rb"(?P<code>[2-5][0-9][0-9])(?P<more>[ -]?)(?P<text>[^\n]*)\r?\n")


class TimedSmtp(smtplib.SMTP):
    """smtplib's client whose whole conversation is over by a deadline.

    Its own time-out is for single reads, so that a server that says a byte a second goes on for ever: when the time is
    over, the connection is cut.
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
        sock = connected(host, port, self._deadline)
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
        """Let the next step take no longer than is left."""
        if self.sock is not None:
            self.sock.settimeout(self._deadline.left_s())

    def getreply(self) -> tuple[int, bytes]:
        """The next reply, whole: smtplib's own also takes for one what a lost connection has left of a line.

        :raises SMTPServerDisconnected: the connection is lost, or what came is no reply.
        """
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection was lost")
        if self.file is None:
            self.file = self.sock.makefile("rb")
        said: list[bytes] = []
        while len(said) < _MAX_LINES:
            line = self.file.readline(_MAX_LINE)
            reply = _REPLY.fullmatch(line)
            if reply is None:
                break
            said.append(reply["text"].strip())
            if reply["more"] != b"-":
                return int(reply["code"]), b"\n".join(said)
        self.close()
        raise smtplib.SMTPServerDisconnected("no whole reply")

    def write(self, content: bytes) -> None:
        """Send `content` whole."""
        self.hurry()
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection was lost")
        self.sock.sendall(content)

    def has_spoken(self) -> bool:
        """Whether the server has said something that was not read yet, or has hung up."""
        if self.sock is None:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0)) or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0)

    def quit_soon(self) -> None:
        """Say goodbye, without waiting long for the answer."""
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
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # SSLSocket's own would also unwrap it, from here
