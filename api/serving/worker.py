"""gunicorn's threaded worker, with clients waited for in its event loop and never in a thread.

The worker of gunicorn gives a connection to a thread as soon as it is accepted or has sent a byte, and the thread then
waits for the rest of the request, without limit: a handful of clients that send a byte now and then, or nothing, would
stop the service, and so would those that do not take their answer. Here a thread is given whole requests only, what the
client does not take at once is sent by the event loop, whoever is too slow is closed, and when there is no room left
whoever has waited longest makes room.

It builds on internals of the gunicorn that requirements.txt pins; the tests beside it say what they must do.
"""

from __future__ import annotations

import errno
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, Final

from gunicorn.arbiter import Arbiter
from gunicorn.http import wsgi
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from api.serving.client_socket import ClientSocket
from api.serving.connection import Connection, Response, WaitingList
from api.serving.incoming import Progress
from api.serving.refusals import RequestTimeout, refusal_of
from core.errors import ServiceError
from core.log_lines import redacted

_LINGER_S: Final = 2.0  # for a client that still sends when it is answered, so that it sees the answer
_LINGER_BYTES: Final = 8 * 1024 * 1024
_LEAST_TAKEN_BYTES: Final = 64 * 1024  # of an answer, for which a client is given its time anew
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves whole requests in threads, and everything slow in the event loop.

    A connection is with a thread, or kept for another request (gunicorn's list), or on one of the three lists here.
    """

    patience_s: float = 10.0
    """How long a client may take to send a request, and to take a part of an answer; `gunicorn_conf` sets it."""
    max_body_bytes: int = 64 * 1024
    """The largest body that is read before the application sees the request; `gunicorn_conf` sets it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiving = WaitingList(self.patience_s)
        self._sending = WaitingList(self.patience_s)
        self._lingering = WaitingList(_LINGER_S)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker cannot do.

        :raises RuntimeError: TLS is configured.
        """
        super().check_config(cfg, log)
        if cfg.is_ssl:
            raise RuntimeError("TLS is not served here: put a proxy that does in front")

    def init_signals(self) -> None:
        """Leave SIGINT, which a terminal sends to every process, to the master: it stops the workers gracefully."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def load_wsgi(self) -> None:
        """Make the application; where the settings do not allow it, the master stops."""
        try:
            super().load_wsgi()
        except ServiceError as error:
            self.log.error("%s. %s", error.sentence, error.hint)
            sys.exit(Arbiter.APP_LOAD_ERROR)

    def accept(self, listener: Any) -> None:
        """Take a new connection."""
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        client = ClientSocket.of(accepted)
        self._begin(Connection(self.cfg, client, address, listener.getsockname(), self.max_body_bytes))

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        """A kept connection has something to say."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._begin(conn)

    def _begin(self, conn: Connection) -> None:
        """Receive a request; often it is there already."""
        if not self._receive(conn):
            self._wait_for_more(conn)

    def _wait_for_more(self, conn: Connection) -> None:
        self._wait(conn, self._receiving, selectors.EVENT_READ, self._receive)

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
        if progress is Progress.PART:
            return False
        if progress is Progress.ASKS_FIRST:
            conn.sock.sendall(_CONTINUE)
            with suppress(OSError):  # the next read will tell
                conn.sock.send_unsent()
            return False
        if progress is Progress.LINE_TOO_LONG:
            self._refuse(conn, LimitRequestLine("without end"))
        elif progress is Progress.HEAD_TOO_LARGE:
            self._refuse(conn, LimitRequestHeaders("without end"))
        else:
            self._hand_over(conn, whole=progress is Progress.WHOLE)
        return True

    def _hand_over(self, conn: Connection, *, whole: bool) -> None:
        self._wait_no_more(conn)
        conn.whole = whole
        conn.init()
        conn.parser.unreader.unread(conn.incoming.take())
        self.enqueue_req(conn)

    def handle(self, conn: Connection) -> Any:
        """Parse and serve a request, in a thread; whether another may follow."""
        keep = super().handle(conn)
        with suppress(OSError):  # the event loop meets it again, and closes
            conn.sock.send_unsent()
        return keep

    def handle_request(self, req: Any, conn: Connection) -> bool:
        """Serve a request, in a thread; whether another may follow."""
        req._expected_100_continue = False  # the client was told, or is to be refused
        resp, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg, Response)
        environ["wsgi.multithread"] = True
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        chunks = self.wsgi(environ, resp.start_response)
        try:
            # Where the next request begins is not known unless all of this one was read; and a stop may have begun.
            may_keep = conn.whole and self.alive and self.cfg.keepalive
            if not may_keep or len(self.keepalived_conns) >= self.max_keepalived:
                resp.force_close()
            for chunk in chunks:
                resp.write(chunk)
            resp.close()
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        return not resp.should_close()

    def finish_request(self, conn: Connection, future: Future[Any]) -> None:
        """Send what is left of an answer, then wait for the next request or close."""
        conn.keep = not future.cancelled() and future.exception() is None and bool(future.result())
        self._answer(conn)

    def _answer(self, conn: Connection) -> None:
        conn.taken_bytes = conn.sock.sent_bytes
        if not self._send_rest(conn):
            self._wait(conn, self._sending, selectors.EVENT_WRITE, self._send_rest)

    def _send_rest(self, conn: Connection, _: Any = None) -> bool:
        """Send more of the answer; False when the client must take some first."""
        try:
            all_sent = conn.sock.send_unsent()
        except OSError:
            self._drop(conn)
            return True
        if not all_sent:
            if conn.waiting is not None and conn.sock.sent_bytes - conn.taken_bytes >= _LEAST_TAKEN_BYTES:
                conn.taken_bytes = conn.sock.sent_bytes
                conn.waiting.renew(conn)
            return False
        self._wait_no_more(conn)
        if not conn.keep:
            self._linger(conn)
        elif not (ahead := conn.parser.unreader.take_buffered()):
            self._keep(conn)
        elif not self._came(conn, ahead):
            self._wait_for_more(conn)
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
        if self._discard(conn):
            return
        if self.alive:
            self._wait(conn, self._lingering, selectors.EVENT_READ, self._discard)
        else:
            self._drop(conn)

    def _discard(self, conn: Connection, _: Any = None) -> bool:
        try:
            data = conn.sock.read_now()
        except OSError:
            data = b""
        conn.discarded_bytes += len(data or b"")
        if data == b"" or conn.discarded_bytes > _LINGER_BYTES:
            self._drop(conn)
            return True
        return False

    def _refuse(self, conn: Connection, error: Exception) -> None:
        self._wait_no_more(conn)
        self.handle_error(None, conn.sock, conn.client, error)
        conn.keep = False
        self._answer(conn)

    def handle_error(self, req: Any, client: ClientSocket, addr: Any, exc: BaseException) -> None:
        """Answer what never became a request of the application, or broke outside it."""
        status, response = refusal_of(exc)
        address = addr[0] if isinstance(addr, tuple) else "a local socket"
        if status.value >= 500 and req is not None:
            self.log.exception("Error handling %s %s of %s", req.method, redacted(req.uri), address)
        else:
            self.log.info("Refused a request of %s: %d %s", address, status.value, status.phrase)
        client.send_instead(response)

    def _wait(
        self, conn: Connection, waiting: WaitingList, events: int, callback: Callable[[Connection, Any], bool]
    ) -> None:
        """Put `conn` on the list `waiting`, and call back at each of `events`."""
        conn.waiting = waiting
        waiting.add(conn)
        self.poller.register(conn.sock, events, partial(callback, conn))

    def _wait_no_more(self, conn: Connection) -> None:
        if conn.waiting is not None:
            conn.waiting.remove(conn)
            conn.waiting = None
            self.poller.unregister(conn.sock)

    def _drop(self, conn: Connection) -> None:
        self._wait_no_more(conn)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Close whoever has been too slow; the event loop calls it on every turn."""
        for conn in self._receiving.run_out():
            if len(conn.incoming):
                self._refuse(conn, RequestTimeout())
            else:
                self._drop(conn)
        for conn in chain(self._sending.run_out(), self._lingering.run_out()):
            self._drop(conn)
        if self.nr_conns >= self.worker_connections:
            self._make_room()

    def _make_room(self) -> None:
        """Close one connection that only waits: thus the slow never keep out others."""
        if self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self.poller.unregister(conn.sock)
            self._drop(conn)
        elif conn := self._lingering.first() or self._receiving.first() or self._sending.first():
            self._drop(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        """The worker stops: whoever has not sent all of a request by `deadline` is not waited for."""
        super()._cap_keepalive(deadline)
        self._receiving.end_by(deadline)
