"""``retry``: what is dead or unknown is sent again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import typer

from core.command_line import edge, print_json, settings_and_store
from core.errors import ServiceError, UsageError
from core.notifications.events import RETRIABLE, Event, EventKind, LogStatus
from core.notifications.model import NotificationStatus
from core.stores import Stores, wall_clock_ms
from core.stores.notifications import Kept
from notifier.commands.status import required

_PAGE: Final = 500
_HOUR_MS: Final = 3_600_000
_ALL: Final = frozenset({LogStatus.DEAD})

Retried = dict[str, list[str]]
"""The channels over which each notification is sent again, by its id."""


def run(
    notification_ids: Sequence[str],
    channels: Sequence[str],
    hours: float | None,
    store_url: str | None,
    as_json: bool,
) -> None:
    """Let messages be sent again.

    :param channels: only over these; empty for all.
    :param hours: instead of those of `notification_ids`, all that failed and were made so many hours ago at most.
    """
    with edge(as_json):
        if bool(notification_ids) == (hours is not None):
            raise UsageError(
                "it is not said what to send again",
                "Name notifications by their ids, or give --all; python -m notifier status lists what failed.",
            )
        _, stores = settings_and_store(store_url, create=False)
        with stores:
            if hours is None:
                retried = _by_id(stores, notification_ids, channels)
            else:
                retried = {
                    kept.notification.id: again
                    for kept in _failed_since(stores, wall_clock_ms() - round(hours * _HOUR_MS))
                    if (again := _retry(stores, kept, channels, _ALL))
                }
        if as_json:
            print_json({"retried": [{"id": found, "channels": again} for found, again in retried.items()]})
        else:
            for found, again in retried.items():
                typer.echo(f"{found} is sent again over {', '.join(again)}.")
            if not retried:
                typer.echo("There is nothing to send again.")


def _by_id(stores: Stores, notification_ids: Sequence[str], channels: Sequence[str]) -> Retried:
    """All or none: whatever is wrong with one is told before anything is sent again."""
    found = [required(stores, notification_id) for notification_id in dict.fromkeys(notification_ids)]
    for kept in found:
        _require_possible(kept, channels)
    return {kept.notification.id: again for kept in found if (again := _retry(stores, kept, channels, RETRIABLE))}


def _require_possible(kept: Kept, channels: Sequence[str]) -> None:
    notification = kept.notification
    if strange := [channel for channel in channels if channel not in notification.channels]:
        raise UsageError(
            f"notification {notification.id} does not go over {', '.join(strange)}",
            f"Its channels are {', '.join(notification.channels)}.",
        )
    if notification.has_expired(wall_clock_ms()):
        raise ServiceError(
            f"notification {notification.id} has expired: it would not be sent", "Make a new one if it still matters."
        )
    chosen = [log for log in kept.logs if not channels or log.channel in channels]
    if all(log.state.status not in RETRIABLE for log in chosen):
        standing = ", ".join(f"{log.channel} is {log.state.status}" for log in chosen)
        raise ServiceError(
            f"there is nothing to send again of notification {notification.id}: {standing}",
            "Only dead and unknown messages are sent again.",
        )


def _failed_since(stores: Stores, since_ms: int) -> Iterator[Kept]:
    """The notifications that failed and have not expired, the newest first."""
    after: tuple[int, str] | None = None
    while page := stores.notifications.listed(status=NotificationStatus.FAILED, after=after, limit=_PAGE):
        for listed in page:
            if listed.notification.created_at_ms < since_ms:
                return
            kept = stores.notifications.get(listed.notification.id)
            if kept is not None and not kept.notification.has_expired(wall_clock_ms()):
                yield kept
        after = (page[-1].notification.created_at_ms, page[-1].notification.id)


def _retry(stores: Stores, kept: Kept, channels: Sequence[str], statuses: Collection[LogStatus]) -> list[str]:
    """Let the logs be sent again that stand as one of `statuses`; the channels of those."""
    again = []
    for log in kept.logs:
        if log.state.status in statuses and (not channels or log.channel in channels):
            event = Event(log.state.number + 1, EventKind.RETRY, wall_clock_ms())
            # Where something else has happened since, somebody was faster, or the gateway has spoken.
            if stores.notifications.append(kept.notification, log.channel, log.state, event) is not None:
                again.append(log.channel)
    return again
