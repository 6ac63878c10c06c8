"""The gateway of the bench: it accepts each message at once, writes nothing, and returns the time."""

from __future__ import annotations

import time
from typing import ClassVar, Final, Self

from core.settings import Settings
from notifier.senders.base import Message, NotAskable, Receipt

PATH: Final = f"{__name__}.CountingSender"
"""What ``NOTIFY_SENDERS`` names it."""


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class CountingSender:
    """Like `print`, without printing: what was sent is counted afterwards, by the references in the store."""

    channels: ClassVar = frozenset[str]()
    needs_address: ClassVar = False
    deduplicates: ClassVar = False

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """It needs no settings."""
        return cls()

    def send(self, message: Message) -> Receipt:
        """Take `message`; its reference is the instant, see `now_us`."""
        return Receipt(str(now_us()))

    def find(self, message: Message) -> Receipt | None:
        """It remembers nothing."""
        raise NotAskable

    def close(self) -> None:
        """Nothing is held."""
