"""``retry``: what is dead, unknown or printed is sent again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import typer

from core.command_line import edge, print_json, settings_and_store
from core.errors import ServiceError, UsageError
from core.notifications.asking import retry, standing, strange_channels
from core.notifications.events import RETRIABLE, LogStatus
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
                since_ms = wall_clock_ms() - round(hours * _HOUR_MS)
                retried = _retried(stores, _unsent_since(stores, since_ms), channels, _ALL)
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
    return _retried(stores, found, channels, RETRIABLE)


def _require_possible(kept: Kept, channels: Sequence[str]) -> None:
    notification = kept.notification
    if strange := strange_channels(notification, channels):
        raise UsageError(
            f"notification {notification.id} does not go over {', '.join(strange)}",
            f"Its channels are {', '.join(notification.channels)}.",
        )
    if notification.has_expired(wall_clock_ms()):
        raise ServiceError(
            f"notification {notification.id} has expired: it would not be sent", "Make a new one if it still matters."
        )
    chosen = channels or notification.channels
    if all(kept.log(channel).state.status not in RETRIABLE for channel in chosen):
        raise ServiceError(
            f"there is nothing to send again of notification {notification.id}: {standing(kept, chosen)}",
            "Only dead, unknown and printed messages are sent again.",
        )


def _unsent_since(stores: Stores, since_ms: int) -> Iterator[Kept]:
    """The notifications that failed, and those of which something is open still: of these a log may be dead already.

    Those that failed first, each kind the newest first.
    """
    for status in (NotificationStatus.FAILED, NotificationStatus.PENDING):
        after: tuple[int, str] | None = None
        while page := stores.notifications.listed(status=status, after=after, limit=_PAGE):
            for listed in page:
                if listed.notification.created_at_ms < since_ms:
                    break
                if (kept := stores.notifications.get(listed.notification.id)) is not None:
                    yield kept
            after = (page[-1].notification.created_at_ms, page[-1].notification.id)
            if after[0] < since_ms:
                break


def _retried(
    stores: Stores, found: Iterable[Kept], channels: Sequence[str], statuses: Collection[LogStatus]
) -> Retried:
    """Let them be sent again over those of `channels` that they have, all without any."""
    retried: Retried = {}
    for kept in found:
        chosen = [channel for channel in kept.notification.channels if not channels or channel in channels]
        if again := retry(stores.notifications, kept, chosen, wall_clock_ms, statuses):
            retried[kept.notification.id] = again
    return retried
