"""Measures the latency of a normal client while hostile clients are slow, do not read, or are idle."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.api.loads import Paced, paced
from bench.api.questions import body_digests, series_path, write_lines
from bench.api.rates import WARM
from bench.api.servers import OURS, Server, serving
from bench.api.store import ServedStore, merchant_ids
from bench.running import say

TIMEOUT_S: Final = 2.0
_RATE_PER_S: Final = 500.0
_STEP_S: Final = 0.1
_COMING: Final = 500


@dataclass(slots=True)
class Hostile:
    """Results of a normal client, alternately without and with hostile clients."""

    what: str
    rate_per_s: float = _RATE_PER_S
    quiet: list[Paced] = field(default_factory=list)
    busy: list[Paced] = field(default_factory=list)


def measure_hostile(store: ServedStore, client: Path, scratch: Path, rounds: int, seconds: float) -> list[Hostile]:
    """Request warm series from one worker at a fixed rate, without and with each kind of hostile clients."""
    paths = [series_path(merchant) for merchant in merchant_ids(store.merchants)[:WARM]]
    asked = write_lines(scratch / "asked-by-the-good", paths)
    large = f"GET {paths[0]} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() * 64
    crowds = {
        "200 slowloris": _Crowd(200, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"a"),
        "200 non-readers": _Crowd(200, large, b""),
        "5,000 idle": _Crowd(5000, b"", b""),
    }
    found = [Hostile(what) for what in crowds]
    with serving(OURS, 1, store.path, scratch, variables={"API_REQUEST_TIMEOUT_S": str(TIMEOUT_S)}) as server:
        known = write_lines(scratch / "known-to-the-good", body_digests(server, paths))
        for number in range(1, rounds + 1):
            for hostile, crowd in zip(found, crowds.values(), strict=True):
                hostile.quiet.append(paced(client, server.url, asked, _RATE_PER_S, seconds, known))
                with crowd.around(server):
                    hostile.busy.append(paced(client, server.url, asked, _RATE_PER_S, seconds, known))
                quiet_ms, busy_ms = hostile.quiet[-1].p99_ms, hostile.busy[-1].p99_ms
                say(f"round {number} of {rounds}, {hostile.what}: p99 {quiet_ms:.1f} ms, with them {busy_ms:.1f} ms")
    return found


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Clients that each send `first`, then `more` ten times a second, and never read. They reconnect."""

    count: int
    first: bytes
    more: bytes

    @contextmanager
    def around(self, server: Server) -> Iterator[None]:
        """Keep all clients connected during the block."""
        address = urlsplit(server.url)
        ended = threading.Event()
        thread = threading.Thread(target=self._stay, args=[(address.hostname, address.port), ended])
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _stay(self, address: tuple[str, int], is_over: threading.Event) -> None:
        clients: list[socket.socket] = []
        while not is_over.wait(_STEP_S):
            coming = min(self.count - len(clients), _COMING)  # not all at once
            clients += [client for _ in range(coming) if (client := self._come(address))]
            for client in [client for client in clients if not self._stays(client)]:
                clients.remove(client)
                client.close()
        for client in clients:
            client.close()

    def _come(self, address: tuple[str, int]) -> socket.socket | None:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(1)
        try:
            client.connect(address)
            client.sendall(self.first)
        except OSError:
            client.close()
            return None
        client.setblocking(False)
        return client

    def _stays(self, client: socket.socket) -> bool:
        """Send a little more; returns whether the connection is still open."""
        try:
            client.send(self.more)
            return bool(client.recv(1, socket.MSG_PEEK)) and not self.more  # slow clients receive only a rejection
        except BlockingIOError:
            return True
        except OSError:
            return False
