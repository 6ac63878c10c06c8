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
from notifier.wording import PeriodTotals, write

_RUNS_READ: Final = 100
_MADE_AT_ONCE: Final = 3_000  # some twenty seconds of durable writes; a task may not take for ever
_MEASURES: Final[tuple[Measure, ...]] = ("amount", "count")


@dataclass(frozen=True, slots=True)
class _Announcement:
    """One period, to be announced over one channel to one user.

    :param subscriptions: those that ask for it, one or more, the oldest first.
    :param former: those that asked for it and have ended.
    """

    channel: str
    ended: FinishedPeriod
    subscriptions: list[Subscription] = field(default_factory=list)
    former: list[Subscription] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Written:
    """What is announced of one period: the text, and the figures in it."""

    title: str
    body: str
    totals: AnnouncedTotals


class Announcer:
    """Makes one notification for each user, merchant, period and channel, exactly once however often it runs.

    Users of one id in two tenants are two. The id of a notification is derived from these, so it can be made only once,
    whichever subscriptions ask for it, and also by two processes at the same moment; what is published later for the
    same period changes nothing. It is in the language of the oldest subscription. It is not queued here: that is what
    the sweep is for, which never fills the queue with the messages of all subscribers at once.

    :param settling_s: how long after the end of a period a run must have begun at the earliest that has read it.
    :param not_after_s: a period that ended longer ago is not announced: a rebuild of years sends nothing, nor do
        gateways that work again after days.
    :param currency: the unit of amounts where the store does not know it; or empty.
    :param clock: milliseconds since 1970 UTC.
    :param at_most: how many notifications one run makes; the next goes on.
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
        self._made: set[str] = set()  # spares asking the store for each of them every minute

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
        """Announce what is to be announced now; how many notifications were made, 0 when there is nothing left.

        It stops when something else is published meanwhile: the next run announces what is due then.

        :raises StoreUnavailable: the store does not answer; what was made is made, the rest comes with the next run.
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
                written = self._written(announcement, publication)
                if self._summaries.published() != publication:
                    break  # nobody knows which of the two the totals are of
                if written is None or not any(map(self._is_current, announcement.subscriptions)):
                    continue
                made += self._make(notification_id, announcement, written)
            self._made.add(notification_id)
            if made >= self._at_most:
                break
        return made

    def _wanted(self, finished: list[FinishedPeriod]) -> dict[str, _Announcement]:
        """What is to be announced to whom, by the id of the notification; most of it has been made before."""
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
        """Whether it was made before, also by an earlier version, and for subscriptions that have ended since."""
        asked = (*announcement.subscriptions, *announcement.former)
        earlier = (one_id for one in asked for one_id in _earlier_ids(one, announcement.ended))
        return any(self._notifications.get(one_id) is not None for one_id in (notification_id, *earlier))

    def _is_current(self, subscription: Subscription) -> bool:
        """Whether it has not ended meanwhile: announcing to thousands takes a while."""
        found = self._subscriptions.get(subscription.id)
        return found is not None and found.ended_at_ms is None

    def _make(self, notification_id: str, announcement: _Announcement, written: _Written) -> bool:
        """Keep the notification, from when on it is due; whether it was this process that made it."""
        subscription, now_ms = announcement.subscriptions[0], self._clock()
        notification = Notification(
            id=notification_id,
            user_id=subscription.user_id,
            title=written.title,
            body=written.body,
            channels=(announcement.channel,),
            locale=subscription.locale,
            created_at_ms=now_ms,
            expires_at_ms=announcement.ended.end_ms + self._not_after_ms,
            announces=True,
            merchant_id=subscription.merchant_id,
            tenant=subscription.tenant,
            announced=written.totals,
        )
        return self._notifications.add(notification, queue_at_ms=now_ms).notification == notification

    def _written(self, announcement: _Announcement, publication: Publication) -> _Written | None:
        """The text and figures: zero when nothing happened in the period; None for a merchant nobody knows."""
        subscription, ended = announcement.subscriptions[0], announcement.ended
        period = ended.period
        merchant_id = subscription.merchant_id
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
        label = calendar_named(publication.fingerprint.calendar).label(period, subscription.locale)
        shown = PeriodTotals(
            totals.mode, merchant_id, label, totals.amount, totals.count, totals.currency, totals.scale
        )
        return _Written(*write(shown, subscription.locale), totals)


def _id_of(subscription: Subscription, ended: FinishedPeriod, channel: str) -> str:
    asked = subscription.user_id, channel, ended.period.mode, ended.period.key, *_whose(subscription)
    if subscription.tenant == OPERATOR:  # as versions without tenants, which have made some already
        return derived_id("announced", *asked)
    return derived_id("announced to a tenant", subscription.tenant, *asked)


def _earlier_ids(subscription: Subscription, ended: FinishedPeriod) -> tuple[str, ...]:
    """The ids under which earlier versions of this program have announced it over the channels of `subscription`.

    The first went by subscriptions, the second by what they ask for. What they made is the operator's.
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
