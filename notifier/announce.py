"""Announcing: whoever subscribed is told of a period once it has ended and its summaries are published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from core.calendar import calendar_named
from core.notifications.model import Notification, derived_id
from core.settings import Settings
from core.stores import Stores
from core.stores.holders import Clock
from core.stores.notifications import NotificationStore
from core.stores.runs import RunLedger
from core.stores.subscriptions import Subscription, SubscriptionStore
from core.stores.summaries import Measure, Publication, SummaryStore
from notifier.finished import FinishedPeriod, finished_periods
from notifier.wording import PeriodTotals, write

_RUNS_LOOKED_AT: Final = 100
_MADE_AT_ONCE: Final = 3_000  # some twenty seconds of durable writes; a task may not take for ever
_MEASURES: Final[tuple[Measure, ...]] = ("amount", "count")


@dataclass(frozen=True, slots=True)
class _Telling:
    """What is to be told: the same by each of `subscriptions`, which are one or more."""

    subscriptions: tuple[Subscription, ...]
    ended: FinishedPeriod

    @property
    def earlier_ids(self) -> Iterator[str]:
        """The ids under which an earlier version of this program, which went by subscriptions, has told it."""
        period = self.ended.period
        for subscription in self.subscriptions:
            yield derived_id("subscription", subscription.id, period.mode, period.key)


class Announcer:
    """Makes a notification for what is told to whom, exactly once however often it runs.

    The id of a notification is derived from the period, the user, the merchant, the channels and the language, so it
    can be made only once, also where two subscriptions ask for it; what is published later for the same period changes
    nothing. It is not queued here: that is what the sweep is for, which
    never fills the queue with the messages of all subscribers at once.

    :param settling_s: how long after the end of a period a run must have begun at the earliest that has read it.
    :param not_after_s: a period that ended longer ago is not told of: a rebuild of years sends nothing, and neither do
        gateways that work again after days.
    :param currency: the unit of amounts.
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

        It stops when something else is published meanwhile: what then is to be told, the next run sees.

        :raises StoreUnavailable: the store does not answer; what was made is made, the rest comes with the next run.
        """
        publication = self._summaries.published()
        if publication is None:
            return 0
        finished = finished_periods(
            publication,
            self._runs.recent(_RUNS_LOOKED_AT),
            now_ms=self._clock(),
            settling_ms=self._settling_ms,
            not_after_ms=self._not_after_ms,
        )
        wanted = self._wanted(finished)
        self._made &= wanted.keys()
        made = 0
        for notification_id, telling in wanted.items():
            if notification_id in self._made:
                continue
            if not self._told(notification_id, telling):
                subscription = telling.subscriptions[0]
                totals = self._totals(subscription, telling.ended, publication)
                if self._summaries.published() != publication:
                    break  # nobody knows which of the two the totals are of
                if totals is None or not any(map(self._in_force, telling.subscriptions)):
                    continue
                made += self._make(notification_id, subscription, telling.ended, totals)
            self._made.add(notification_id)
            if made >= self._at_most:
                break
        return made

    def _wanted(self, finished: list[FinishedPeriod]) -> dict[str, _Telling]:
        """What is to be told to whom, by the id of the notification; most of it has been told before."""
        wanted: dict[str, _Telling] = {}
        if not finished:
            return wanted
        for subscription in self._subscriptions.all(in_force=True):
            for ended in finished:
                if ended.period.mode in subscription.modes and ended.end_ms > subscription.created_at_ms:
                    notification_id = _id_of(subscription, ended)
                    before = wanted[notification_id].subscriptions if notification_id in wanted else ()
                    wanted[notification_id] = _Telling((*before, subscription), ended)
        return wanted

    def _told(self, notification_id: str, telling: _Telling) -> bool:
        return any(self._notifications.get(one) is not None for one in (notification_id, *telling.earlier_ids))

    def _in_force(self, subscription: Subscription) -> bool:
        """Whether it still is: telling thousands takes a while."""
        found = self._subscriptions.get(subscription.id)
        return found is not None and found.ended_at_ms is None

    def _make(
        self, notification_id: str, subscription: Subscription, ended: FinishedPeriod, totals: PeriodTotals
    ) -> bool:
        """Keep the notification, from when on it is due; whether it was this process that made it."""
        title, body = write(totals, subscription.locale)
        now_ms = self._clock()
        notification = Notification(
            id=notification_id,
            user_id=subscription.user_id,
            title=title,
            body=body,
            channels=subscription.channels,
            locale=subscription.locale,
            created_at_ms=now_ms,
            expires_at_ms=ended.end_ms + self._not_after_ms,
            announces=True,
            merchant_id=subscription.merchant_id,
        )
        return self._notifications.add(notification, queue_at_ms=now_ms).notification == notification

    def _totals(
        self, subscription: Subscription, ended: FinishedPeriod, publication: Publication
    ) -> PeriodTotals | None:
        """What the period came to: zero when nothing happened in it; None for a merchant nobody knows."""
        merchant_id, period = subscription.merchant_id, ended.period
        amounts, counts = (
            self._summaries.series(period.mode, measure, merchant_id, period.key, period.key) for measure in _MEASURES
        )
        if not counts and merchant_id is not None and not self._summaries.has_merchant(merchant_id):
            return None
        return PeriodTotals(
            mode=period.mode,
            merchant_id=merchant_id,
            label=calendar_named(publication.meaning.calendar).label(period, subscription.locale),
            amount=amounts[0].value if amounts else 0,
            count=counts[0].value if counts else 0,
            currency=self._currency,
        )


def _id_of(subscription: Subscription, ended: FinishedPeriod) -> str:
    whose = ("all",) if subscription.merchant_id is None else ("merchant", subscription.merchant_id)
    how = ",".join(sorted(subscription.channels)), subscription.locale
    return derived_id("announcement", subscription.user_id, *how, ended.period.mode, ended.period.key, *whose)
