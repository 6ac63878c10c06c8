"""The gateway of the bench: it accepts each message at once, writes nothing, and returns the time."""

from __future__ import annotations

import time
from typing import ClassVar, Final, Self

from core.settings import Settings
from notifier.senders.base import Message, Receipt, Sender

PATH: Final = f"{__name__}.CountingSender"
"""Its name in ``NOTIFY_SENDERS``."""


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class CountingSender(Sender):
    """Like `print`, without printing; sent messages are counted by their references in the store."""

    channels: ClassVar = frozenset[str]()
    needs_address: ClassVar = False

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls()

    def send(self, message: Message) -> Receipt:
        """Take `message`; its reference is the instant, see `now_us`."""
        return Receipt(str(now_us()))
