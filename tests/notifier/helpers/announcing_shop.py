"""A store in which runs publish sales, and an announcer of it whose clock the test sets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from examples import FINGERPRINT, Row, frame, publication, row
from examples import run as example_run

from core.calendar import Mode, calendar_named
from core.calendar.days import LocalDays
from core.calendar.periods import Locale
from core.notifications.model import Notification, new_id
from core.stores import Stores
from core.stores.runs import RunStatus
from core.stores.subscriptions import Subscription
from core.stores.summaries import Fingerprint, Publication
from core.tenants import OPERATOR
from notifier.announce import Announcer

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
SETTLING_S: Final = 3600.0
NOT_AFTER_S: Final = 48 * 3600.0

DAY: Final = "1403/04/04"
"""A Monday; neither a week nor a month ends with it."""
NEXT_DAY: Final = "1403/04/05"

Sales = Mapping[str, Mapping[str, tuple[int, int]]]
"""For each merchant and day the amount and the count."""

SALES: Final[Sales] = {"m1": {DAY: (1_234_567, 12), NEXT_DAY: (10, 1)}}


class Shop:
    """The summaries, subscriptions and notifications of `stores`, and changes of them.

    :ivar now_ms: the time of the announcer's clock.
    """

    def __init__(self, stores: Stores, fingerprint: Fingerprint = FINGERPRINT) -> None:
        self.stores = stores
        self.fingerprint = fingerprint
        self.calendar = calendar_named(fingerprint.calendar)
        self.now_ms = 0
        self.announcer = self.another_announcer()

    def another_announcer(self, **changes: Any) -> Announcer:
        """One that has announced nothing yet, as of another process."""
        parts: dict[str, Any] = {
            "summaries": self.stores.summaries,
            "runs": self.stores.runs,
            "subscriptions": self.stores.subscriptions,
            "notifications": self.stores.notifications,
            "settling_s": SETTLING_S,
            "not_after_s": NOT_AFTER_S,
            "currency": "IRR",
            "clock": lambda: self.now_ms,
        }
        return Announcer(**{**parts, **changes})

    def end_ms(self, key: str, mode: Mode = Mode.DAILY) -> int:
        """When that period ends."""
        return LocalDays(self.fingerprint.time_zone).start_ms(self.calendar.parse(mode, key).last_day + 1)

    def rebuild(
        self,
        sales: Sales,
        began_ms: int,
        *,
        days: tuple[str, str] | None = None,
        published_ms: int | None = None,
        in_ledger: bool = True,
        ends: bool = True,
        as_of_ms: int | None = None,
    ) -> Publication:
        """Publish `sales` in place of everything published.

        :param days: the days that the run says it has replaced; None for everything.
        :param in_ledger: whether there is anything of it in the ledger.
        :param ends: whether its row there is closed.
        :param as_of_ms: when its sources were written, where that is known.
        """
        before = self.stores.summaries.published()
        generation = 1 if before is None else before.generation + 1
        rows = frame(self._rows(sales))
        first, last = days or (None, None)
        run_id = 1_000_000 + generation
        if in_ledger:
            run = self.stores.runs.begin(
                replace(
                    example_run(at_ms=began_ms), fingerprint=self.fingerprint, first_day_key=first, last_day_key=last
                )
            )
            run_id = run.id
        published = replace(
            publication(generation, rows, run_id),
            published_at_ms=began_ms if published_ms is None else published_ms,
            fingerprint=self.fingerprint,
        )
        self.stores.summaries.publish(published, rows)
        if in_ledger and ends:
            done = replace(run, generation=generation, as_of_ms=as_of_ms)
            self.stores.runs.update(done.ended(RunStatus.PUBLISHED, published.published_at_ms))
        return published

    def subscribe(
        self,
        *modes: Mode,
        merchant_id: str | None = "m1",
        user_id: str = "u1",
        channels: Sequence[str] = ("sms",),
        locale: Locale = "en",
        created_ms: int = 0,
        tenant: str = OPERATOR,
    ) -> Subscription:
        """Subscribe, to days unless other modes are given."""
        return self.stores.subscriptions.add(
            Subscription(
                id=new_id(),
                merchant_id=merchant_id,
                user_id=user_id,
                modes=modes or (Mode.DAILY,),
                channels=tuple(channels),
                locale=locale,
                created_at_ms=created_ms,
                tenant=tenant,
            )
        )

    def announce_at(self, now_ms: int) -> int:
        """Run the announcer at that instant; how many notifications it made."""
        self.now_ms = now_ms
        return self.announcer.run()

    def announcements(self) -> list[Notification]:
        """All notifications, the oldest first."""
        return [listed.notification for listed in self.stores.notifications.listed(limit=10_000)][::-1]

    def bodies(self) -> list[str]:
        """The bodies of all notifications, sorted."""
        return sorted(notification.body for notification in self.announcements())

    def channels(self) -> list[str]:
        """The channels of all notifications, sorted."""
        return sorted(channel for notification in self.announcements() for channel in notification.channels)

    def _rows(self, sales: Sales) -> list[Row]:
        totals: dict[tuple[Mode, str, str | None], list[int]] = defaultdict(lambda: [0, 0])
        for merchant_id, days in sales.items():
            for day, values in days.items():
                number = self.calendar.parse(Mode.DAILY, day).first_day
                for mode in Mode:
                    for whose in (None, merchant_id):
                        sums = totals[mode, self.calendar.period_of(mode, number).key, whose]
                        sums[0] += values[0]
                        sums[1] += values[1]
        return [row(mode, key, whose, amount, count) for (mode, key, whose), (amount, count) in totals.items()]
