"""``prune``: removes finished notifications and ended subscriptions."""

from __future__ import annotations

import math
from typing import Final

from core.command_line import counted, opened, print_result
from core.errors import UsageError
from core.instants import iso_instant, to_the_second
from core.notifications.model import RETENTION_DAYS
from core.settings import Settings
from core.stores import Stores, wall_clock_ms
from core.stores.notifications import NotificationStore

_BATCH: Final = 500  # removed in one transaction, so that others can write in between
_DAY_S: Final = 86_400


def run(older_than_days: int, unknown: bool, dry_run: bool, store_url: str | None, as_json: bool) -> None:
    """Remove notifications and subscriptions that ended at least so many days ago.

    :param unknown: also notifications with an unknown outcome.
    :param dry_run: only count them.
    """
    with opened(store_url) as (settings, stores):
        if older_than_days < (least := least_days(settings)):
            raise UsageError(
                f"--older-than must be at least {least} days",
                "Otherwise a repeated request, or an announcement within NOTIFY_NOT_AFTER_S, could create the removed "
                "message again.",
            )
        before_ms = wall_clock_ms() - older_than_days * _DAY_S * 1000
        notifications = _prune_notifications(stores.notifications, before_ms, unknown, dry_run)
        subscriptions = _prune_subscriptions(stores, before_ms, dry_run)
        counts = {"notifications": notifications, "subscriptions": subscriptions}
        print_result(
            as_json,
            {**counts, "before": iso_instant(before_ms), "dry_run": dry_run},
            f"{'Would remove' if dry_run else 'Removed'} {counted(notifications, 'notification')} and "
            f"{counted(subscriptions, 'subscription')} that ended before {to_the_second(before_ms)}.",
        )


def least_days(settings: Settings) -> int:
    """The least number of days to keep, so that nothing is created twice: see `core.notifications.model.derived_id`.

    It is a day more than NOTIFY_NOT_AFTER_S, which may be longer in the workers than in this process.
    """
    return max(RETENTION_DAYS, math.ceil(settings.notify_not_after_s / _DAY_S) + 1)


def _prune_notifications(store: NotificationStore, before_ms: int, unknown: bool, dry_run: bool) -> int:
    found = 0
    after: tuple[int, str] | None = None
    while page := store.finished(before_ms, unknown=unknown, after=after, limit=_BATCH):
        found += len(page) if dry_run else store.remove([one.id for one in page], before_ms, unknown=unknown)
        after = page[-1].created_at_ms, page[-1].id
    return found


def _prune_subscriptions(stores: Stores, before_ms: int, dry_run: bool) -> int:
    if not dry_run:
        return stores.subscriptions.remove_ended(before_ms)
    ended = [subscription.ended_at_ms for subscription in stores.subscriptions.all()]
    return sum(ended_at_ms is not None and ended_at_ms < before_ms for ended_at_ms in ended)
