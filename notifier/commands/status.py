"""``status``: the messages by status, or one notification with its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer

from core.command_line import counted, opened, print_json
from core.errors import ServiceError
from core.instants import iso_instant, iso_instant_or_none
from core.notifications.events import RETRIABLE, LogStatus
from core.notifications.model import NotificationStatus
from core.settings import Settings
from core.stores import Stores, wall_clock_ms
from core.stores.notifications import Log, LogFilter, NotificationFilter, StoredNotification
from core.tables import aligned
from notifier.circuit_breaker import BreakerStatesUnavailable
from notifier.commands.queue import Queue
from notifier.gateway_pauses import RedisBreakerStates
from notifier.worker_settings import WorkerSettings, differences

_FAILED: Final = RETRIABLE - {LogStatus.PRINTED}
"""The statuses of failed logs that can be sent again. Notifications that are only partly cancelled have failed too."""


def run(notification_id: str | None, limit: int, store_url: str | None, as_json: bool) -> None:
    with opened(store_url) as (settings, stores):
        if notification_id is not None:
            shown = notification_view(require_notification(stores, notification_id))
        else:
            queue, workers = _queue(Queue(settings))
            shown = _overview(stores, _senders(settings.senders, workers), limit)
            shown |= {"queue": queue, "workers": workers_view(workers), "paused": _paused(settings)}
        if as_json:
            print_json(shown)
        elif notification_id is None:
            _print_overview(shown, differences(workers))
        else:
            _print_notification(shown)


def require_notification(stores: Stores, notification_id: str) -> StoredNotification:
    """The notification of that id.

    :raises ServiceError: there is none.
    """
    stored = stores.notifications.get(notification_id)
    if stored is None:
        raise ServiceError(
            f"there is no notification {notification_id}", "python -m notifier status lists the failed ones."
        )
    return stored


def _overview(stores: Stores, senders: Mapping[str, str], limit: int) -> dict[str, Any]:
    now_ms = wall_clock_ms()
    counts = {(found.channel, found.status): found.count for found in stores.notifications.counts()}
    oldest_due_ms = stores.notifications.oldest_due_ms(now_ms)
    which = NotificationFilter(status=NotificationStatus.FAILED, logs=LogFilter(_FAILED))
    failed = stores.notifications.listed(which, limit=limit)
    stored = [stores.notifications.get(listed.notification.id) for listed in failed]
    return {
        "channels": [
            {
                "channel": channel,
                "sender": senders.get(channel),
                **{status.value: counts.get((channel, status), 0) for status in LogStatus},
            }
            for channel in dict.fromkeys([*senders, *(channel for channel, _ in counts)])
        ],
        "due": stores.notifications.due_count(now_ms),
        "oldest_due_at": iso_instant_or_none(oldest_due_ms),
        "oldest_due_age_s": None if oldest_due_ms is None else (now_ms - oldest_due_ms) / 1000,
        "failed": [notification_view(found) for found in stored if found is not None],
    }


def _queue(queue: Queue) -> tuple[dict[str, Any], list[WorkerSettings]]:
    try:
        return {"length": queue.length(), "error": None}, queue.workers()
    except ServiceError as error:
        return {"length": None, "error": error.sentence}, []


def _senders(here: Mapping[str, str], workers: Sequence[WorkerSettings]) -> dict[str, str]:
    """The sender of each channel in the settings of the workers; if none answers, in those of this process."""
    found: dict[str, dict[str, None]] = {}
    for senders in [worker.senders for worker in workers] or [here]:
        for channel, name in senders.items():
            found.setdefault(channel, {})[name] = None
    return {channel: ", ".join(names) for channel, names in found.items()}


def workers_view(workers: Sequence[WorkerSettings]) -> list[dict[str, Any]]:
    """The workers that have answered, as JSON."""
    return [
        {"name": found.worker, "senders": found.senders, "differing_settings": found.differing} for found in workers
    ]


def _paused(settings: Settings) -> list[dict[str, Any]] | None:
    """The gateways that are paused for all workers; None if that is not known."""
    states = RedisBreakerStates(settings.celery_result_backend.get_secret_value())
    try:
        return [
            {
                "channel": pause.gateway.channel,
                "host": pause.gateway.host or None,
                "receiver_only": bool(pause.gateway.receiver),
                "left_s": round(pause.left_s, 1),
                "is_over": pause.is_over,
                "refused_s": round(pause.refused_s, 1),
                "reason": pause.reason,
            }
            for pause in states.paused()
        ]
    except BreakerStatesUnavailable:
        return None
    finally:
        states.close()


def notification_view(stored: StoredNotification) -> dict[str, Any]:
    """All about one notification, for machines."""
    notification = stored.notification
    return {
        "id": notification.id,
        "tenant": notification.tenant,
        "user_id": notification.user_id,
        "title": notification.title,
        "created_at": iso_instant(notification.created_at_ms),
        "expires_at": iso_instant_or_none(notification.expires_at_ms),
        "status": stored.status.value,
        "logs": [_log(log) for log in stored.logs],
    }


def _log(log: Log) -> dict[str, Any]:
    return {
        "channel": log.channel,
        "status": log.state.status.value,
        "attempts": log.state.attempts,
        "error_message": log.state.error_message,
        "reference": log.state.reference,
        "history": [
            {
                "at": iso_instant(event.at_ms),
                "kind": event.kind.value,
                "error": event.error,
                "reference": event.reference,
                "worker": event.worker,
                "sender": event.sender,
            }
            for event in log.events
        ],
    }


def _print_overview(shown: Mapping[str, Any], notes: Sequence[str]) -> None:
    channels = shown["channels"]
    columns = ["channel", *(status.value for status in LogStatus), "sender"]
    cells = [[_cell(channel[column]) for column in columns] for channel in channels]
    typer.echo(aligned([columns, *cells], range(1, len(columns) - 1)), nl=False)
    typer.echo("")
    if shown["oldest_due_at"] is None:
        typer.echo("Due    nothing")
    else:
        since = f"since {shown['oldest_due_at'][:19]}Z, {shown['oldest_due_age_s']:,.0f} s ago"
        typer.echo(f"Due    {counted(shown['due'], 'notification')}, the first {since}")
    queue = shown["queue"]
    typer.echo(f"Queue  {queue['error'] or _waiting(queue['length'])}")
    if shown["paused"] is None:
        typer.echo("Paused gateways are unknown, because Redis does not answer or is not used")
    for pause in shown["paused"] or ():
        whose = " ".join(filter(None, (pause["channel"], pause["host"])))
        whose += " to one receiver" if pause["receiver_only"] else ""
        left = f"for {pause['left_s']:,.0f} s" if pause["left_s"] else "until the probe succeeds"
        if pause["is_over"]:
            typer.echo(f"Ended  pause of {whose}, the next message is a probe: {pause['reason']}")
        else:
            typer.echo(f"Paused {whose} {left}: {pause['reason']}")
    for sentence in notes:
        typer.echo(f"Note   {sentence}")
    if shown["failed"]:
        typer.echo("\nLatest failed notifications; python -m notifier retry ID sends one again:")
        for notification in shown["failed"]:
            whose = f"tenant {notification['tenant']}  user {notification['user_id']}"
            typer.echo(f"{notification['id']}  {notification['created_at'][:19]}Z  {whose}")
            for log in notification["logs"]:
                if log["status"] in _FAILED:
                    typer.echo(f"  {log['channel']} is {log['status']}: {log['error_message'] or 'no reason is known'}")


def _print_notification(shown: Mapping[str, Any]) -> None:
    lines = {
        "notification": shown["id"],
        "status": shown["status"],
        "tenant": shown["tenant"],
        "user": shown["user_id"],
        "title": shown["title"],
        "created": f"{shown['created_at'][:19]}Z",
        "expires": "never" if shown["expires_at"] is None else f"{shown['expires_at'][:19]}Z",
    }
    for name, value in lines.items():
        typer.echo(f"{name:<13} {value}")
    for log in shown["logs"]:
        typer.echo(f"\n{log['channel']} is {log['status']} after {log['attempts']} attempt(s)")
        for event in log["history"]:
            facts = [
                event["kind"],
                event["sender"] and f"by {event['sender']}",
                event["error"],
                event["reference"] and f"reference {event['reference']}",
            ]
            typer.echo(f"  {event['at']}  {', '.join(filter(None, facts))}")


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "none")


def _waiting(length: int) -> str:
    return f"{counted(length, 'notification')} {'waits' if length == 1 else 'wait'}"
