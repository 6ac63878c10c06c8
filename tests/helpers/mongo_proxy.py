"""A proxy for a MongoDB server that answers some commands itself, or loses answers of the server."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import Any, Final, Self

import bson
from mongo_ways import with_address
from pymongo import MongoClient

Document = dict[str, Any]

_OP_MSG: Final = 2013
_HELLO: Final = frozenset({"hello", "ismaster", "isMaster"})


@dataclass(slots=True)
class _Rule:
    """What happens to the next `times` of a command to collections whose name begins with `of`.

    :param answer: what the client gets; None: what the server answers is lost.
    :param breaks: whether the connection is lost as well.
    """

    command: str
    answer: Document | None
    times: int
    of: str = ""
    breaks: bool = True
    applied: int = field(default=0, init=False)


class MongoProxy:
    """A proxy on loopback for the server at `url`, with the rules of a test; a context manager.

    :param as_mongos: whether the server shall pass for a mongos, so that drivers repeat writes.
    """

    def __init__(self, url: str, *, as_mongos: bool = False) -> None:
        client: MongoClient[Document]
        with MongoClient(url) as client:
            client.admin.command("ping")
            address = client.address
        assert address is not None
        self._target: Final = address
        self._as_mongos: Final = as_mongos
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._replaced: list[tuple[bytes, bytes]] = []
        self._open: list[socket.socket] = []
        self.seen: list[Document] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: Final = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url: Final = with_address(url, self.address)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in [self._listener, *self._open]:
            _cut(one)

    def refuse(self, command: str, code: int, message: str = "refused by the test") -> None:
        """Let `command` fail with `code`, without forwarding it."""
        self.answer(command, {"ok": 0.0, "code": code, "errmsg": message})

    def answer(self, command: str, document: Document, of: str = "", times: int = 10**6) -> None:
        """Answer `command` with `document`, without forwarding it.

        :param of: how the collection's name begins; likewise below.
        """
        self._rules.insert(0, _Rule(command, document, times, of))

    def lose_answer(self, command: str, of: str = "", *, breaks: bool = True) -> None:
        """Forward the next `command`, but lose its answer.

        :param breaks: the connection breaks; else the client waits until its time-out.
        """
        self._rules.insert(0, _Rule(command, None, 1, of, breaks))

    def replace(self, stored: bytes, shown: bytes) -> None:
        """Let `shown` stand in answers where the server has `stored`, and the other way round in requests."""
        assert len(stored) == len(shown)
        self._replaced.append((stored, shown))

    def commands(self, name: str) -> list[Document]:
        """The commands of that name that came so far, without the documents of batches."""
        with self._lock:
            return [one for one in self.seen if next(iter(one)) == name]

    def applied(self) -> int:
        """How many commands met a rule so far."""
        with self._lock:
            return sum(rule.applied for rule in self._rules)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                connection = _Connection(near, far, {})
                for work in (self._requests, self._answers):
                    threading.Thread(target=self._until_cut, args=(work, connection), daemon=True).start()

    def _until_cut(self, work: Any, connection: _Connection) -> None:
        with contextlib.suppress(OSError, EOFError):
            work(connection)
        _cut(connection.near)
        _cut(connection.far)

    def _requests(self, connection: _Connection) -> None:
        while True:
            message = _received(connection.near)
            for stored, shown in self._replaced:
                message = message.replace(shown, stored)
            command = _body(message)
            rule = self._rule_for(command)
            if rule is not None and rule.answer is not None:
                connection.near.sendall(_answer_to(message, rule.answer))
                continue
            connection.asked[message[4:8]] = (next(iter(command)), rule)
            connection.far.sendall(message)

    def _answers(self, connection: _Connection) -> None:
        while True:
            message = _received(connection.far)
            name, rule = connection.asked.get(message[8:12], ("", None))
            if rule is not None:
                if rule.breaks:
                    return
                continue
            if name in _HELLO and self._as_mongos:
                message = _with_body(message, _body(message) | {"msg": "isdbgrid", "logicalSessionTimeoutMinutes": 30})
            for stored, shown in self._replaced:
                message = message.replace(stored, shown)
            connection.near.sendall(message)

    def _rule_for(self, command: Document) -> _Rule | None:
        with self._lock:
            self.seen.append(command)
            for rule in self._rules:
                name, target = next(iter(command.items()))
                if rule.command == name and str(target).startswith(rule.of) and rule.applied < rule.times:
                    rule.applied += 1
                    return rule
        return None


@dataclass(frozen=True, slots=True)
class _Connection:
    """The client's socket, the server's, and by the number of each request its command and rule."""

    near: socket.socket
    far: socket.socket
    asked: dict[bytes, tuple[str, _Rule | None]]


def _received(source: socket.socket) -> bytes:
    head = _exactly(source, 16)
    return head + _exactly(source, int.from_bytes(head[:4], "little") - 16)


def _exactly(source: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        block = source.recv(size - len(found))
        if not block:
            raise EOFError
        found += block
    return bytes(found)


def _body_at(message: bytes) -> tuple[int, int]:
    """Where the document begins and ends that is the command, or the answer."""
    match int.from_bytes(message[12:16], "little"):
        case 1:  # OP_REPLY
            at = 36
        case 2004:  # OP_QUERY, of the first hello
            at = message.index(b"\0", 20) + 9
        case _:  # OP_MSG: the section of kind 0 is what is wanted, those of kind 1 have the documents of a batch
            at = 20
            while message[at] != 0:
                at += 1 + int.from_bytes(message[at + 1 : at + 5], "little")
            at += 1
    return at, at + int.from_bytes(message[at : at + 4], "little")


def _body(message: bytes) -> Document:
    start, end = _body_at(message)
    lenient = bson.CodecOptions[Document](
        unicode_decode_error_handler="replace", datetime_conversion=bson.DatetimeConversion.DATETIME_MS
    )
    return bson.decode(message[start:end], lenient)


def _with_body(message: bytes, document: Document) -> bytes:
    start, end = _body_at(message)
    changed = message[4:start] + bson.encode(document) + message[end:]
    return (len(changed) + 4).to_bytes(4, "little") + changed


def _answer_to(request: bytes, document: Document) -> bytes:
    content = request[4:8] * 2 + _OP_MSG.to_bytes(4, "little") + bytes(5) + bson.encode(document)
    return (len(content) + 4).to_bytes(4, "little") + content


def _cut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
