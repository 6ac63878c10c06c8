"""Notifications, events and copies of log states as flat records: see `core.stores.records`."""

from __future__ import annotations

from typing import Final

from core.calendar.periods import Mode
from core.notifications.events import Event, EventKind, LogState, LogStatus
from core.notifications.model import AnnouncedTotals, Notification
from core.stores.notifications import StateCount
from core.stores.records import Mapper, Record

_TOTALS: Final = Mapper(AnnouncedTotals, read={"mode": Mode})
_NOTIFICATION: Final = Mapper(
    Notification,
    read={
        "channels": tuple,
        "announces": bool,
        "announced": lambda totals: next(map(_TOTALS.from_record, totals), None),
    },
    write={"announced": lambda totals: [] if totals is None else [_TOTALS.to_record(totals)]},
)
_EVENT: Final = Mapper(Event, read={"kind": EventKind})
_STATE: Final = Mapper(LogState)
COPIED: Final = (
    "status", "number", "attempts", "last_attempt_at_ms", "error_message", "reference", "finished_at_ms", "due_at_ms",
)  # fmt: skip

notification_to_record, notification_from_record = _NOTIFICATION.to_record, _NOTIFICATION.from_record
event_to_record, event_from_record = _EVENT.to_record, _EVENT.from_record


def state_to_record(state: LogState) -> Record:
    """The fields of `state` that a copy has."""
    record = _STATE.to_record(state)
    return {name: record[name] for name in COPIED}


def state_count(logs: str, count: int) -> StateCount:
    """The count of notifications with the same logs, which are text such as ``email:dead,sms:success``."""
    pairs = (log.split(":") for log in logs.split(","))
    return StateCount(tuple(sorted((channel, LogStatus(status)) for channel, status in pairs)), count)
