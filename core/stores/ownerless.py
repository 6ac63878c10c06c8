"""Records without a known tenant in a store from before tenants: the migration gives them to the operator."""

from __future__ import annotations

import logging
from dataclasses import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ownerless:
    """Numbers of records that were not created by a known API key.

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
                "owner that can be proven, and have become the operator's (docs/operations.md says what to do)",
                place,
                self.contacts,
                self.subscriptions,
                self.notifications,
            )
