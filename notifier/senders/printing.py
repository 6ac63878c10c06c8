"""The sender ``print``: it logs messages instead of sending them, and is the default of every channel."""

from __future__ import annotations

from typing import ClassVar, Self

from core.event_log import log_event
from core.settings import Settings
from notifier.senders.base import Message, Receipt, Sender, TemporaryFailure


class PrintSender(Sender):
    """Logs each message, with its address masked."""

    channels: ClassVar = frozenset[str]()
    needs_address: ClassVar = False

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls()

    def send(self, message: Message) -> Receipt:
        """Log `message`.

        :raises TemporaryFailure: standard output cannot be written.
        """
        try:
            log_event(
                "notification",
                id=message.id,
                channel=message.channel,
                address=message.masked_address or None,
                locale=message.locale,
                title=message.title,
                body=message.body,
            )
        except OSError as error:
            raise TemporaryFailure(f"standard output cannot be written: {error.strerror}") from None
        return Receipt(printed=True)
