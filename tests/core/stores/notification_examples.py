"""Notifications and delivery events, for the tests of the stores."""

from __future__ import annotations

from core.notifications.events import Event, EventKind, LogState
from core.notifications.model import Notification, derived_id
from core.stores.notifications import NotificationStore

NOW_MS = 1_719_230_400_000
LEASE_MS = 60_000
FAR_MS = 2**52 // 1000
"""Later than whatever is due."""

_TIMED = (EventKind.ATTEMPT, EventKind.FAILED, EventKind.MAYBE)


def notification(
    number: int = 1, *channels: str, user_id: str = "u1", created_at_ms: int = NOW_MS, body: str = "body"
) -> Notification:
    """The notification of that number, over sms unless channels are given."""
    return Notification(
        id=derived_id("example", str(number)),
        user_id=user_id,
        title=f"title {number}",
        body=body,
        channels=channels or ("sms",),
        locale="en",
        created_at_ms=created_at_ms,
    )


def event(number: int, kind: EventKind, at_ms: int = NOW_MS, until_ms: int | None = None) -> Event:
    """An event without words; what has a lease or a wait has one of `LEASE_MS` unless another end is given."""
    if kind in _TIMED and until_ms is None:
        until_ms = at_ms + LEASE_MS
    return Event(number, kind, at_ms, until_ms)


def happen(
    store: NotificationStore, stored: Notification, *kinds: EventKind, channel: str = "", at_ms: int = NOW_MS
) -> LogState:
    """Let events of `kinds` happen to the log of `channel`, the first one unless another is given."""
    channel = channel or stored.channels[0]
    found = store.get(stored.id)
    assert found is not None
    state = found.log(channel).state
    for kind in kinds:
        then = store.append(stored, channel, state, event(state.number + 1, kind, at_ms))
        assert then is not None
        state = then
    return state
