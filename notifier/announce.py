"""Announcements: subscribers are notified of a period once it has ended and its summaries are published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

from core.calendar import calendar_named
from core.instants import Clock
from core.notifications.model import AnnouncedTotals, Notification, derived_id
from core.settings import Settings
from core.stores import Stores
from core.stores.notifications import NotificationStore
from core.stores.runs import RunLedger
from core.stores.subscriptions import Subscription, SubscriptionStore
from core.stores.summaries import Measure, Publication, SummaryStore
from core.tenants import OPERATOR
from notifier.finished_periods import FinishedPeriod, finished_periods
from notifier.wording import write

_RUNS_READ: Final = 100
_MADE_AT_ONCE: Final = 3_000  # some twenty seconds of durable writes; a task may not take for ever
_MEASURES: Final[tuple[Measure, ...]] = ("amount", "count")


@dataclass(frozen=True, slots=True)
class _Announcement:
    """The announcement of one period over one channel to one user.

    :param subscriptions: the active subscriptions to it, one or more, the oldest first.
    :param former: the ended subscriptions to it.
    """

    channel: str
    ended: FinishedPeriod
    subscriptions: list[Subscription] = field(default_factory=list)
    former: list[Subscription] = field(default_factory=list)


class Announcer:
    """Creates one notification for each tenant, user, merchant, period and channel, exactly once.

    The id of a notification is derived from these, so that it is created once for any number of subscriptions, runs and
    processes, and does not change when the period is published again. Its language is that of the oldest subscription.
    It is queued by the sweep, which does not fill the queue with the messages of all subscribers at once.

    :param settling_s: the least time from the end of a period to the instant of the sources that a run read for it.
    :param not_after_s: a period that ended longer ago is not announced: so a rebuild of years sends nothing.
    :param currency: the unit of amounts if the store does not know it; or empty.
    :param clock: milliseconds since 1970 UTC.
    :param at_most: the largest number of notifications that one run creates; the next run continues.
    """

    def __init__(
        self,
        summaries: SummaryStore,
        runs: RunLedger,
        subscriptions: SubscriptionStore,
        notifications: NotificationStore,
        *,
        settling_s: float,
        not_after_s: float,
        currency: str,
        clock: Clock,
        at_most: int = _MADE_AT_ONCE,
    ) -> None:
        self._summaries = summaries
        self._runs = runs
        self._subscriptions = subscriptions
        self._notifications = notifications
        self._settling_ms = round(settling_s * 1000)
        self._not_after_ms = round(not_after_s * 1000)
        self._currency = currency
        self._clock = clock
        self._at_most = at_most
        self._made: set[str] = set()  # saves a query for each of them every minute

    @classmethod
    def from_settings(cls, settings: Settings, stores: Stores, clock: Clock) -> Self:
        """The announcer that `settings` describe."""
        return cls(
            stores.summaries,
            stores.runs,
            stores.subscriptions,
            stores.notifications,
            settling_s=settings.notify_settling_s,
            not_after_s=settings.notify_not_after_s,
            currency=settings.currency,
            clock=clock,
        )

    def run(self) -> int:
        """Create the notifications that are due now; returns their number, 0 if nothing is left.

        It stops if other summaries are published in the meantime; the next run continues.

        :raises StoreUnavailable: the store does not answer; the next run creates the rest.
        """
        publication = self._summaries.published()
        if publication is None:
            return 0
        finished = finished_periods(
            publication,
            self._runs.recent(_RUNS_READ),
            now_ms=self._clock(),
            settling_ms=self._settling_ms,
            not_after_ms=self._not_after_ms,
        )
        wanted = self._wanted(finished)
        self._made &= wanted.keys()
        made = 0
        for notification_id, announcement in wanted.items():
            if notification_id in self._made:
                continue
            if not self._is_made(notification_id, announcement):
                notification = self._notification(notification_id, announcement, publication)
                if self._summaries.published() != publication:
                    break  # the totals may be of either publication
                if notification is None or not any(map(self._is_current, announcement.subscriptions)):
                    continue
                stored = self._notifications.add(notification, queue_at_ms=notification.created_at_ms)
                made += stored.notification == notification  # else another process has created it
            self._made.add(notification_id)
            if made >= self._at_most:
                break
        return made

    def _wanted(self, finished: list[FinishedPeriod]) -> dict[str, _Announcement]:
        """The announcements, by the id of the notification; most notifications exist already."""
        wanted: dict[str, _Announcement] = {}
        for subscription in self._subscriptions.all() if finished else ():
            is_current = subscription.ended_at_ms is None
            for ended in finished:
                if ended.period.mode not in subscription.modes or ended.end_ms <= subscription.created_at_ms:
                    continue
                for channel in subscription.channels:
                    found = wanted.setdefault(_id_of(subscription, ended, channel), _Announcement(channel, ended))
                    (found.subscriptions if is_current else found.former).append(subscription)
        return {found_id: found for found_id, found in wanted.items() if found.subscriptions}

    def _is_made(self, notification_id: str, announcement: _Announcement) -> bool:
        """Whether the notification exists, also of an earlier version, or for a subscription that has ended."""
        subscriptions = (*announcement.subscriptions, *announcement.former)
        earlier = (one_id for one in subscriptions for one_id in _earlier_ids(one, announcement.ended))
        return any(self._notifications.get(one_id) is not None for one_id in (notification_id, *earlier))

    def _is_current(self, subscription: Subscription) -> bool:
        """Whether it has not ended since it was read: announcing to thousands takes a while."""
        found = self._subscriptions.get(subscription.id)
        return found is not None and found.ended_at_ms is None

    def _notification(
        self, notification_id: str, announcement: _Announcement, publication: Publication
    ) -> Notification | None:
        """The notification, with totals of zero for a period without transactions; None for an unknown merchant."""
        subscription, ended = announcement.subscriptions[0], announcement.ended
        period, merchant_id, locale = ended.period, subscription.merchant_id, subscription.locale
        amounts, counts = (
            self._summaries.series(period.mode, measure, merchant_id, period.key, period.key) for measure in _MEASURES
        )
        if not counts and merchant_id is not None and not self._summaries.has_merchant(merchant_id):
            return None
        totals = AnnouncedTotals(
            mode=period.mode,
            key=period.key,
            start_ms=ended.start_ms,
            end_ms=ended.end_ms,
            amount=amounts[0].value if amounts else 0,
            count=counts[0].value if counts else 0,
            currency=publication.fingerprint.unit(self._currency),
            scale=publication.fingerprint.amount_scale,
        )
        label = calendar_named(publication.fingerprint.calendar).label(period, locale)
        title, body = write(totals, merchant_id, label, locale)
        return Notification(
            id=notification_id,
            user_id=subscription.user_id,
            title=title,
            body=body,
            channels=(announcement.channel,),
            locale=locale,
            created_at_ms=self._clock(),
            expires_at_ms=ended.end_ms + self._not_after_ms,
            announces=True,
            merchant_id=merchant_id,
            tenant=subscription.tenant,
            announced=totals,
        )


def _id_of(subscription: Subscription, ended: FinishedPeriod, channel: str) -> str:
    parts = subscription.user_id, channel, ended.period.mode, ended.period.key, *_whose(subscription)
    if subscription.tenant == OPERATOR:  # as in versions without tenants
        return derived_id("announced", *parts)
    return derived_id("announced to a tenant", subscription.tenant, *parts)


def _earlier_ids(subscription: Subscription, ended: FinishedPeriod) -> tuple[str, ...]:
    """The ids of its notifications over the channels of `subscription` in earlier versions.

    The first version had one for each subscription, the second one for equivalent subscriptions. Both belong to the
    operator.
    """
    if subscription.tenant != OPERATOR:
        return ()
    period = ended.period
    how = ",".join(sorted(subscription.channels)), subscription.locale
    return (
        derived_id("subscription", subscription.id, period.mode, period.key),
        derived_id("announcement", subscription.user_id, *how, period.mode, period.key, *_whose(subscription)),
    )


def _whose(subscription: Subscription) -> tuple[str, ...]:
    return ("all",) if subscription.merchant_id is None else ("merchant", subscription.merchant_id)
