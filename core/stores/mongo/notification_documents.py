"""Notifications as MongoDB documents, each with copies of its logs, for lists and for finding due logs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bson import Int64
from bson.datetime_ms import DatetimeMS

from core.notifications.events import Event, LogState
from core.notifications.model import Notification
from core.stores.mongo.database import Document
from core.stores.mongo.documents import from_document, to_document
from core.stores.notification_records import (
    event_from_record,
    event_to_record,
    notification_from_record,
    notification_to_record,
    state_to_record,
)
from core.stores.notifications import Log, StoredNotification, with_events


@dataclass(frozen=True, slots=True)
class Queueing:
    """From when ``due`` returns a log, as long as it gets no event.

    :param number: the number of its last event.
    :param not_before_ms: not before this, milliseconds since 1970 UTC; None for never, if it is not open.
    """

    number: int
    not_before_ms: int | None


KEEP: Final[Mapping[str, Queueing]] = {}
"""Leave each log queued as it is; one that has got an event is returned when it is due."""


def new_document(stored: StoredNotification, queue_at_ms: int) -> Document:
    """The document of a notification that is not stored yet."""
    queued = {log.channel: Queueing(log.state.number, queue_at_ms) for log in stored.logs}
    document = to_document(notification_to_record(stored.notification), "id")
    return {**document, **copies(stored, {"logs": []}, queued), "revision": Int64(0)}


def notification_of(document: Document) -> Notification:
    """The notification in `document`; the copies are not needed."""
    return notification_from_record(from_document(document, "id"))


def copied_events(document: Document) -> dict[str, list[Event]]:
    """The events of each log that the copies have, in the order of the channels."""
    return {log["channel"]: [event_of(event) for event in log["events"]] for log in document["logs"]}


def copied_event_ids(document: Document) -> list[str]:
    """The ids of the events that the copies have."""
    notification = notification_of(document)
    return [
        event_id(notification.log_id(channel), event.number)
        for channel, events in copied_events(document).items()
        for event in events
    ]


def copied(document: Document) -> StoredNotification:
    """The notification and its logs as the copies have them."""
    return with_events(notification_of(document), copied_events(document))


def event_document(notification: Notification, channel: str, event: Event) -> Document:
    """The document whose insertion appends `event` to the log of `channel`.

    Its claim distinguishes it from an equal event of another process, and ``of_at`` from an event of a removed
    notification with the same id.
    """
    record = {"id": event_id(notification.log_id(channel), event.number), **event_to_record(event)}
    return {
        **to_document(record, "id"),
        "of_at": DatetimeMS(notification.created_at_ms),
        "claim": secrets.token_hex(8),
    }


def made_of(event: Document, default_ms: int) -> int:
    """When the notification of `event` was created; `default_ms` for events of earlier versions, which do not say."""
    return int(event.get("of_at", default_ms))


def event_id(log_id: str, number: int) -> str:
    """The id of an event, which is unique."""
    return f"{log_id}:{number}"


def event_of(document: Document) -> Event:
    """The event in `document`."""
    return event_from_record(from_document(document, "id"))


def copies(stored: StoredNotification, document: Document, queueing: Mapping[str, Queueing]) -> Document:
    """The copies of `stored`: the part of its document that has the states of its logs.

    :param document: the document as it is now.
    :param queueing: from when ``due`` returns its logs, by channel; see `KEEP` for the others.
    """
    known = {log["channel"]: log for log in document["logs"]}
    logs = [_log_document(log, known.get(log.channel), queueing.get(log.channel)) for log in stored.logs]
    return {
        "status": stored.status.value,
        "standing": ",".join(sorted(f"{log['channel']}:{log['status']}" for log in logs)),
        "due_at": _earliest([log["due_at"] for log in logs]),
        **with_queue(logs),
    }


def with_queue(logs: list[Document]) -> Document:
    """`logs` as part of a document, with the instant from when ``due`` returns the first of them."""
    return {"logs": logs, "queue_at": _earliest([log["queue_at"] for log in logs])}


def _log_document(log: Log, copy: Document | None, queueing: Queueing | None) -> Document:
    record = {"channel": log.channel, **state_to_record(log.state), "queue_at_ms": _queue_at(log.state, copy, queueing)}
    return {**to_document(record, "id"), "events": [to_document(event_to_record(event), "id") for event in log.events]}


def _queue_at(state: LogState, copy: Document | None, queueing: Queueing | None) -> int | None:
    if queueing is not None and queueing.number == state.number:
        if state.due_at_ms is None:
            return queueing.not_before_ms
        return max(state.due_at_ms, queueing.not_before_ms or state.due_at_ms)
    if copy is not None and copy["number"] == state.number:
        return None if copy["queue_at"] is None else int(copy["queue_at"])
    return state.due_at_ms


def _earliest(instants: list[DatetimeMS | None]) -> DatetimeMS | None:
    return min((instant for instant in instants if instant is not None), key=int, default=None)
