"""Errors of opening a store, and the report of the migration to tenants, for all backends."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from core.errors import StoreMissing, StoreTooNew

_log = logging.getLogger(__name__)


def no_store(place: str) -> StoreMissing:
    """The error for readers if there is no store at `place`."""
    return StoreMissing(
        f"there is no store at {place}", "Build one first with: python -m jobs rebuild SOURCE. Or change STORE_URL."
    )


def too_new(place: str, found: int, known: int) -> StoreTooNew:
    """The error for a store at `place` with schema version `found`, later than `known`."""
    return StoreTooNew(
        f"the store at {place} has schema version {found}, but this program supports versions up to {known}",
        "Use the newer version of this program that wrote it. Nothing was changed.",
    )


@dataclass(frozen=True, slots=True)
class Ownerless:
    """Numbers of records from before tenants without a known API key, which the migration gives to the operator.

    :param contacts: users with an address.
    :param subscriptions: including ended ones.
    :param notifications: of subscriptions, of programs on the host, and of people who signed in.
    """

    contacts: int
    subscriptions: int
    notifications: int

    def report(self, place: str) -> None:
        """Log how many records of the store at `place` were assigned to the operator."""
        if self.contacts or self.subscriptions or self.notifications:
            _log.warning(
                "the store at %s now has tenants: contacts of %d users, %d subscriptions and %d notifications have no "
                "known owner, and now belong to the operator (see docs/operations.md)",
                place,
                self.contacts,
                self.subscriptions,
                self.notifications,
            )
