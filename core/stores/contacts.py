"""The interface of the store of contacts: where a user is reached, per channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class ContactStore(Protocol):
    """Where contacts are kept. Threads may share an instance, and take turns; processes may not."""

    def replace(self, user_id: str, addresses: Mapping[str, str]) -> None:
        """Let the user be reached at `addresses`, by channel, and nowhere else; durable when it returns.

        :raises StoreUnavailable: the store could not be written.
        """

    def move(self, user_id: str, channel: str, old: str, new: str) -> bool:
        """Let the user be reached over `channel` at `new`, if it is at `old` now; whether it was.

        Durable when it returns.

        :raises StoreUnavailable: the store could not be written.
        """

    def get(self, user_id: str) -> dict[str, str]:
        """The addresses of the user by channel; empty when nothing is known of them.

        :raises StoreUnavailable: the store does not answer.
        """
