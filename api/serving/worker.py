"""gunicorn's threaded worker, with clients waited for in its event loop and never in a thread.

The worker of gunicorn gives a connection to a thread as soon as it is accepted or has sent a byte, and the thread then
waits for the rest of the request, without limit: a handful of clients that send a byte now and then, or nothing, would
stop the service, and so would those that do not take their answer. Here a thread is given whole requests only, what the
client does not take at once is sent by the event loop, and whoever is too slow is closed.

It builds on internals of the gunicorn that requirements.txt pins; the tests beside it say what they must do.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from api.observing.log_lines import redacted
from api.serving.client_socket import ClientSocket
from api.serving.incoming import Incoming, Progress
from api.serving.refusals import RequestTimeout, refusal_of

_LINGER_S: Final = 2.0  # for a client that still sends when it is answered, so that it sees the answer
_LINGER_BYTES: Final = 8 * 1024 * 1024
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(TConn):  # type: ignore[misc]
    """One client."""

    def __init__(self, cfg: Any, sock: ClientSocket, address: Any, server: Any, max_body_bytes: int) -> None:
        super().__init__(cfg, sock, address, server)
        self.incoming = Incoming(max_body_bytes)
        self.whole = True
        """Whether all of the request under way was read before a thread got it."""
        self.keep = False
        """Whether another request may follow the one under way."""
        self.events = 0
        """What the event loop waits for."""
        self.discarded = 0


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves whole requests in threads, and everything slow in the event loop."""

    patience_s: float = 10.0
    """How long a client may take to send a request, and to take an answer; `gunicorn_conf` sets it."""
    max_body_bytes: int = 64 * 1024
    """The largest body that is read before the application sees the request; `gunicorn_conf` sets it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By the time they began to wait, which is the order in which they run out of time.
        self._slow: dict[Connection, float] = {}
        self._lingering: dict[Connection, float] = {}

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker cannot do.

        :raises RuntimeError: TLS is configured.
        """
        super().check_config(cfg, log)
        if cfg.is_ssl:
            raise RuntimeError("TLS is not served here: put a proxy that does in front")

    def accept(self, listener: Any) -> None:
        """Take a new connection."""
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        client = ClientSocket.of(accepted, self.patience_s)
        self._begin(Connection(self.cfg, client, address, listener.getsockname(), self.max_body_bytes))

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        """A kept connection has something to say."""
        self.poller.unregister(client)
        conn.events = 0
        self.keepalived_conns.remove(conn)
        self._begin(conn)

    def _begin(self, conn: Connection) -> None:
        """Wait for a request; often it is there already."""
        self._slow[conn] = time.monotonic() + self.patience_s
        if not self._receive(conn):
            self._watch(conn, selectors.EVENT_READ, self._receive)

    def _receive(self, conn: Connection, _: Any = None) -> bool:
        """Read what has come; False when more must come."""
        try:
            data = conn.sock.read_now()
        except OSError:
            data = b""
        if data is None:
            return False
        if not data:
            self._drop(conn)
            return True
        return self._came(conn, data)

    def _came(self, conn: Connection, data: bytes) -> bool:
        progress = conn.incoming.add(data)
        if progress is Progress.ASKS_FIRST:
            conn.sock.sendall(_CONTINUE)
        elif progress is Progress.LINE_TOO_LONG:
            self._refuse(conn, LimitRequestLine("without end"))
        elif progress is Progress.HEAD_TOO_LARGE:
            self._refuse(conn, LimitRequestHeaders("without end"))
        elif progress is not Progress.PART:
            self._hand_over(conn, whole=progress is Progress.WHOLE)
        return progress not in (Progress.PART, Progress.ASKS_FIRST)

    def _hand_over(self, conn: Connection, *, whole: bool) -> None:
        self._unwatch(conn)
        conn.whole = whole
        conn.data_ready = True
        conn.init()
        conn.parser.unreader.unread(conn.incoming.take())
        self.enqueue_req(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Serve a request, in a thread."""
        req._expected_100_continue = False  # the client was told, or is to be refused
        if not conn.whole:
            req.force_close()  # where the next request begins is not known
        return super().handle_request(req, conn)

    def finish_request(self, conn: Connection, future: Future[Any]) -> None:
        """Send what is left of an answer, then wait for the next request or close."""
        conn.keep = not future.cancelled() and future.exception() is None and bool(future.result())
        self._slow[conn] = time.monotonic() + self.patience_s
        if not self._send_rest(conn):
            self._watch(conn, selectors.EVENT_WRITE, self._send_rest)

    def _send_rest(self, conn: Connection, _: Any = None) -> bool:
        """Send more of the answer; False when the client must take some first."""
        try:
            if not conn.sock.send_unsent():
                return False
        except OSError:
            self._drop(conn)
            return True
        self._unwatch(conn)
        if not conn.keep:
            self._linger(conn)
        elif ahead := conn.parser.unreader.take_buffered():
            self._slow[conn] = time.monotonic() + self.patience_s
            if not self._came(conn, ahead):
                self._watch(conn, selectors.EVENT_READ, self._receive)
        else:
            self._keep(conn)
        return True

    def _keep(self, conn: Connection) -> None:
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))

    def _linger(self, conn: Connection) -> None:
        """Close, but not before the client has: what it still sends would make its side forget the answer."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
            return
        self._lingering[conn] = time.monotonic() + _LINGER_S
        if not self._discard(conn):
            self._watch(conn, selectors.EVENT_READ, self._discard)

    def _discard(self, conn: Connection, _: Any = None) -> bool:
        try:
            data = conn.sock.read_now()
        except OSError:
            data = b""
        conn.discarded += len(data or b"")
        if data == b"" or conn.discarded > _LINGER_BYTES:
            self._drop(conn)
            return True
        return False

    def _watch(self, conn: Connection, events: int, callback: Callable[[Connection, Any], bool]) -> None:
        self.poller.register(conn.sock, events, partial(callback, conn))
        conn.events = events

    def _unwatch(self, conn: Connection) -> None:
        self._slow.pop(conn, None)
        self._lingering.pop(conn, None)
        if conn.events:
            self.poller.unregister(conn.sock)
            conn.events = 0

    def _drop(self, conn: Connection) -> None:
        self._unwatch(conn)
        self.nr_conns -= 1
        conn.close()

    def _refuse(self, conn: Connection, error: Exception) -> None:
        self._unwatch(conn)
        self.handle_error(None, conn.sock, conn.client, error)
        self._linger(conn)

    def murder_pending(self) -> None:
        """Close who has been too slow."""
        now = time.monotonic()
        for conn in _run_out(self._slow, now):
            if len(conn.incoming):
                self._refuse(conn, RequestTimeout())
            else:
                self._drop(conn)
        for conn in _run_out(self._lingering, now):
            self._drop(conn)

    def handle_error(self, req: Any, client: ClientSocket, addr: Any, exc: BaseException) -> None:
        """Answer what never became a request of the application, or broke outside it."""
        status, response = refusal_of(exc)
        address = addr[0] if isinstance(addr, tuple) else "a local socket"
        if status.value >= 500 and req is not None:
            self.log.exception("Error handling %s %s of %s", req.method, redacted(req.uri), address)
        else:
            self.log.info("Refused a request of %s: %d %s", address, status.value, status.phrase)
        try:
            client.sendall(response)
        except OSError:
            self.log.debug("The client has gone before it was refused.")


def _run_out(waiting: dict[Connection, float], now: float) -> Iterator[Connection]:
    while waiting:
        conn, deadline = next(iter(waiting.items()))
        if deadline > now:
            return
        yield conn  # whoever takes it removes it from `waiting`
