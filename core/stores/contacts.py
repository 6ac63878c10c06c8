"""The interface of the store of contacts: where the user of a tenant is reached, per channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from core.tenants import OPERATOR


class ContactStore(Protocol):
    """Where contacts are kept. Threads may share an instance, and take turns; processes may not.

    Each tenant has users of its own: two of one id have nothing in common.
    """

    def replace(self, user_id: str, addresses: Mapping[str, str], *, tenant: str = OPERATOR) -> None:
        """Let the user be reached at `addresses`, by channel, and nowhere else; durable when it returns.

        :raises StoreUnavailable: the store could not be written.
        """

    def change(self, user_id: str, changes: Mapping[str, str | None], *, tenant: str = OPERATOR) -> dict[str, str]:
        """Let the user be reached at the addresses of `changes`, by channel, and over those of None no more.

        All other channels stay as they are, also where they are changed at the same moment. Durable when it returns.

        :returns: the addresses of the user by channel then.
        :raises StoreUnavailable: the store could not be written.
        """

    def move(self, user_id: str, channel: str, previous: str, new: str, *, tenant: str = OPERATOR) -> bool:
        """Let the user be reached over `channel` at `new`, if it is at `previous` now; whether it was.

        Durable when it returns.

        :raises StoreUnavailable: the store could not be written.
        """

    def get(self, user_id: str, *, tenant: str = OPERATOR) -> dict[str, str]:
        """The addresses of the user by channel; empty when nothing is known of them.

        :raises StoreUnavailable: the store does not answer.
        """

    def listed(self, *, tenant: str = OPERATOR, after: str | None = None, limit: int) -> dict[str, dict[str, str]]:
        """The addresses of users of the tenant, by user id in the order of code points, and by channel.

        Users without any address are left out.

        :param after: the last user of the page before.
        :param limit: at most so many users.
        :raises StoreUnavailable: the store does not answer.
        """

    def tenants_of(self, user_id: str) -> frozenset[str]:
        """The tenants of which a user of that id can be reached over any channel.

        :raises StoreUnavailable: the store does not answer.
        """
