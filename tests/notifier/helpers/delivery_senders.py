"""Senders for the tests of deliveries: plug-ins over a gateway that is a file, which outlives its clients.

Each line of the file is an event of the gateway: ``begun <id> <pid>`` and ``taken <id> <pid>``.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path
from typing import ClassVar, Self

from core.settings import Settings
from notifier.senders.base import (
    Ambiguous,
    Message,
    NotAskable,
    PermanentFailure,
    Receipt,
    TemporaryFailure,
)

FILE_VARIABLE = "TEST_GATEWAY_FILE"


class FileGateway:
    """The requests to the gateway at `path`, and the messages that it accepted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, word: str, message_id: str) -> None:
        """Append a line, which outlives a killed process."""
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, f"{word} {message_id} {os.getpid()}\n".encode())
        finally:
            os.close(handle)

    def lines(self, word: str) -> list[tuple[str, int]]:
        """The ids and processes of the lines that begin with `word`."""
        if not self.path.exists():
            return []
        parts = [line.split(" ") for line in self.path.read_text().splitlines()]
        return [(message_id, int(pid)) for found, message_id, pid in parts if found == word]

    def taken(self, message_id: str) -> int:
        """Number of times that the gateway accepted the message."""
        return sum(found == message_id for found, _ in self.lines("taken"))

    def take_once(self, message_id: str) -> None:
        """Accept the message unless it was accepted before."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.taken(message_id):
                self.write("taken", message_id)


class PlainSender:
    """Sends to a gateway without idempotency and without status lookup.

    The body selects the outcome: ``ok``, ``slow SECONDS`` (after the gateway accepted it), ``late SECONDS`` (before),
    ``exit`` (the process ends), ``refused``, ``never``, ``lost`` (accepted, without a response).
    """

    channels: ClassVar = frozenset[str]()
    needs_address: ClassVar = False
    deduplicates: ClassVar = False

    def __init__(self, gateway: FileGateway) -> None:
        self.gateway = gateway

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The file is named by the environment."""
        return cls(FileGateway(Path(os.environ[FILE_VARIABLE])))

    def send(self, message: Message) -> Receipt:
        """See the class."""
        what, _, seconds = message.body.partition(" ")
        self.gateway.write("begun", message.id)
        if what == "exit":
            os._exit(9)
        if what == "refused":
            raise TemporaryFailure("try later")
        if what == "never":
            raise PermanentFailure("no such receiver")
        if what == "late":
            time.sleep(float(seconds))
        self.take(message)
        if what == "slow":
            time.sleep(float(seconds))
        if what == "stuck":  # deaf to the soft time limit
            signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
            time.sleep(60)
        if what == "lost":
            raise Ambiguous("no answer")
        return Receipt(f"ref-{message.id}")

    def take(self, message: Message) -> None:
        """Let the gateway accept it."""
        self.gateway.write("taken", message.id)

    def find(self, message: Message) -> Receipt | None:
        """There is no status lookup."""
        raise NotAskable

    def close(self) -> None:
        """Nothing to release."""


class LookupSender(PlainSender):
    """Sends to a gateway with status lookup."""

    def find(self, message: Message) -> Receipt | None:
        """Whether the gateway accepted it."""
        return Receipt(f"ref-{message.id}") if self.gateway.taken(message.id) else None


class IdempotentSender(PlainSender):
    """Sends to a gateway with idempotency."""

    deduplicates: ClassVar = True

    def take(self, message: Message) -> None:
        """Accept it once."""
        self.gateway.take_once(message.id)


class UnconfiguredSender(PlainSender):
    """Needs a variable of the settings."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """:raises SettingsError: always."""
        from core.errors import SettingsError

        raise SettingsError("SMS_TEST_KEY is not set")
