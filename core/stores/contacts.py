"""The interface of the store of contacts: the addresses of a tenant's users by channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from core.tenants import OPERATOR


class ContactStore(Protocol):
    """Stores contacts. Thread-safe (calls take turns), but not fork-safe.

    Each tenant has its own users: equal ids of two tenants are different users.
    Each method raises `StoreUnavailable` if the store does not answer or cannot be written.
    """

    def replace(self, user_id: str, addresses: Mapping[str, str], *, tenant: str = OPERATOR) -> None:
        """Replace all addresses of the user by `addresses`, by channel; durable when it returns."""

    def change(self, user_id: str, changes: Mapping[str, str | None], *, tenant: str = OPERATOR) -> dict[str, str]:
        """Set the user's addresses of `changes`, by channel; None removes one.

        Other channels do not change, and concurrent changes of them are preserved. Durable when it returns.

        :returns: the new addresses of the user by channel.
        """

    def move(self, user_id: str, channel: str, previous: str, new: str, *, tenant: str = OPERATOR) -> bool:
        """Change the user's address of `channel` from `previous` to `new`; False if it is not `previous`.

        Durable when it returns.
        """

    def get(self, user_id: str, *, tenant: str = OPERATOR) -> dict[str, str]:
        """The addresses of the user by channel; empty for an unknown user."""

    def listed(self, *, tenant: str = OPERATOR, after: str | None = None, limit: int) -> dict[str, dict[str, str]]:
        """The addresses of the tenant's users, by user id in the order of code points, and by channel.

        Users without addresses are not included.

        :param after: the last user of the previous page.
        """

    def tenants_of(self, user_id: str) -> frozenset[str]:
        """The tenants with a user of that id who has an address."""
