"""Poison senders: plug-ins that end the worker process that uses them."""

from __future__ import annotations

import os
from typing import ClassVar, Self

from core.settings import Settings
from notifier.senders.base import Ambiguous, Message, Receipt


class _Poison:
    channels: ClassVar = frozenset[str]()
    deduplicates: ClassVar = False

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """It needs no settings."""
        return cls()

    def send(self, message: Message) -> Receipt:
        """The outcome is unknown."""
        raise Ambiguous("no answer")

    def find(self, message: Message) -> Receipt | None:
        """Ends the process."""
        os._exit(9)

    def close(self) -> None:
        """Nothing to release."""


class EarlyCrashSender(_Poison):
    """Ends the process before an attempt is made."""

    @property
    def needs_address(self) -> bool:
        """Ends the process."""
        os._exit(9)


class LookupCrashSender(_Poison):
    """Ends the process in a status lookup."""

    needs_address: ClassVar = False
