"""Appends an event, and dies after N writes to the server: ``notification_crasher.py URL ID KIND N``."""

from __future__ import annotations

import os
import signal
import sys

from notification_examples import NOW_MS, happen
from pymongo import monitoring

from core.notifications.events import EventKind
from core.stores import open_stores


class Killer(monitoring.CommandListener):
    """Kills this process once `writes` more have succeeded."""

    writes = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Do nothing."""

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Count a write before the store sees its result."""
        if event.command_name in ("insert", "update"):
            self.writes -= 1
            if self.writes == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Do nothing."""


def main(store_url: str, notification_id: str, kind: EventKind, writes: int) -> None:
    """Append an event of `kind` to the first delivery of the notification."""
    killer = Killer()
    monitoring.register(killer)
    with open_stores(store_url, timeout_s=20) as stores:
        stored = stores.notifications.get(notification_id)
        assert stored is not None
        killer.writes = writes
        happen(stores.notifications, stored.notification, kind, at_ms=NOW_MS)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], EventKind(sys.argv[3]), int(sys.argv[4]))
