"""Adds notifications and delivery events until killed: ``notification_hammer.py URL NAME``.

Half of the time it is the one that all processes share. Prints a line for each thing once it is durable: ``added ID``,
or ``ID CHANNEL NUMBER``.
"""

from __future__ import annotations

import itertools
import random
import sys
from dataclasses import replace

from notification_examples import event, notification

from core.notifications.events import EventKind, is_possible
from core.notifications.model import derived_id
from core.stores import open_stores
from core.stores.notifications import NotificationStore

CHANNELS = ("sms", "email", "telegram")
SHARED = derived_id("shared")


def hammer(store: NotificationStore, name: str) -> None:
    """Never ends."""
    chance = random.Random(name)
    own = SHARED
    for number in itertools.count():
        if number % 5 == 0:
            own = derived_id(name, str(number))
            store.add(replace(notification(number, *CHANNELS), id=own), 0)
            print("added", own, flush=True)
        strike(store, chance.choice((SHARED, own)), chance)


def strike(store: NotificationStore, notification_id: str, chance: random.Random) -> None:
    """Append a possible event to a delivery of the notification, unless another process is faster."""
    stored = store.get(notification_id)
    assert stored is not None
    log = chance.choice(stored.logs)
    possible = [kind for kind in EventKind if is_possible(log.state, kind)]
    lasting = [kind for kind in possible if kind not in (EventKind.SUCCESS, EventKind.CANCEL)]
    if possible:
        kind = chance.choice(lasting if lasting and notification_id == SHARED else possible)
        happening = event(log.state.number + 1, kind)
        if store.append(stored.notification, log.channel, log.state, happening) is not None:
            print(notification_id, log.channel, happening.number, flush=True)


if __name__ == "__main__":
    with open_stores(sys.argv[1], timeout_s=20) as stores:
        hammer(stores.notifications, sys.argv[2])
