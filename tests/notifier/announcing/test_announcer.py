"""Announcements: each subscriber gets one message per period, after it has ended and settled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from announcing_shop import DAY, DAY_MS, HOUR_MS, NEXT_DAY, NOT_AFTER_S, SALES, Sales, Shop
from examples import FINGERPRINT
from examples import run as example_run

from core.calendar import Mode
from core.errors import StoreUnavailable
from core.notifications.model import AnnouncedTotals, Notification, derived_id
from core.stores import open_stores
from core.stores.runs import RunStatus
from core.stores.subscriptions import Subscription

MINUTE_MS = 60_000


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with open_stores(f"sqlite:///{tmp_path / 'summaries.db'}", timeout_s=10) as stores:
        yield Shop(stores)


class HookedStore:
    """A part of a store that calls a function just before the method of that name."""

    def __init__(self, part: Any, method: str, happening: Any) -> None:
        self._part, self._method, self._happening = part, method, happening

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            self._happening()
        return getattr(self._part, name)


def test_a_finished_day_is_announced_with_the_specified_text(shop: Shop) -> None:
    subscription = shop.subscribe()
    settled_ms = shop.end_ms(DAY) + HOUR_MS
    shop.rebuild(SALES, settled_ms)
    assert shop.announce_at(settled_ms + 5) == 1
    (notification,) = shop.announcements()
    assert notification.title == "Daily summary for merchant m1"
    assert notification.body == "4 Tir 1403: 1,234,567 IRR in 12 transactions."
    assert (notification.user_id, notification.channels) == (subscription.user_id, ("sms",))
    not_after_ms = shop.end_ms(DAY) + round(NOT_AFTER_S * 1000)
    assert (notification.created_at_ms, notification.expires_at_ms) == (settled_ms + 5, not_after_ms)
    assert (notification.announces, notification.merchant_id) == (True, "m1")
    assert shop.stores.notifications.due(settled_ms + 5, 10) == [notification.id]
    day_ms = shop.end_ms(DAY) - DAY_MS
    assert notification.announced == AnnouncedTotals(
        Mode.DAILY, DAY, day_ms, shop.end_ms(DAY), amount=1_234_567, count=12, currency="IRR", scale=0
    )


def test_weekly_and_monthly_announcements_cover_the_whole_period(shop: Shop) -> None:
    shop.subscribe(Mode.WEEKLY, Mode.MONTHLY)
    end_ms = shop.end_ms("1403/04/31")
    shop.rebuild({"m1": {"1403/04/27": (5, 1), "1403/04/31": (7, 2)}}, end_ms + 4 * DAY_MS)
    shop.announcer = shop.another_announcer(not_after_s=30 * 86_400)
    shop.announce_at(end_ms + 4 * DAY_MS)
    told = {found.announced.mode: found.announced for found in shop.announcements() if found.announced is not None}
    assert (told[Mode.MONTHLY].key, told[Mode.MONTHLY].amount, told[Mode.MONTHLY].count) == ("1403/04", 12, 3)
    assert told[Mode.MONTHLY].start_ms == end_ms - 31 * DAY_MS


def test_overall_summaries_and_persian_texts_are_announced(shop: Shop) -> None:
    shop.subscribe(merchant_id=None, locale="fa")
    shop.rebuild({**SALES, "m2": {DAY: (-2_000_000, 1)}}, shop.end_ms(DAY) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + 2 * HOUR_MS) == 1
    (notification,) = shop.announcements()
    assert (notification.announces, notification.merchant_id) == (True, None)
    assert notification.title == "خلاصهٔ روزانهٔ همهٔ پذیرندگان"
    assert notification.body == "۴ تیر ۱۴۰۳: \u200e−۷۶۵٬۴۳۳ ریال در ۱۳ تراکنش."


def test_a_run_that_began_before_the_day_settled_announces_nothing(shop: Shop) -> None:
    shop.subscribe()
    end_ms = shop.end_ms(DAY)
    shop.rebuild(SALES, end_ms + 59 * MINUTE_MS, published_ms=end_ms + 3 * HOUR_MS)
    assert shop.announce_at(end_ms + 4 * HOUR_MS) == 0
    shop.rebuild({"m1": {DAY: (2_000_000, 13)}}, end_ms + 5 * HOUR_MS)
    assert shop.announce_at(end_ms + 6 * HOUR_MS) == 1
    assert shop.bodies() == ["4 Tir 1403: 2,000,000 IRR in 13 transactions."]


def test_an_export_made_during_the_day_is_not_announced(shop: Shop) -> None:
    shop.subscribe()
    end_ms = shop.end_ms(DAY)
    shop.rebuild(SALES, end_ms + 2 * HOUR_MS, as_of_ms=end_ms - 4 * HOUR_MS)
    assert shop.announce_at(end_ms + 3 * HOUR_MS) == 0
    shop.rebuild(SALES, end_ms + 2 * HOUR_MS, as_of_ms=end_ms + HOUR_MS)
    assert shop.announce_at(end_ms + 3 * HOUR_MS) == 1


def test_a_later_run_without_changes_settles_the_day(shop: Shop) -> None:
    shop.subscribe()
    end_ms = shop.end_ms(DAY)
    published = shop.rebuild(SALES, end_ms + MINUTE_MS)
    begun = shop.stores.runs.begin(replace(example_run(at_ms=end_ms + 2 * HOUR_MS), fingerprint=shop.fingerprint))
    assert shop.announce_at(end_ms + 3 * HOUR_MS) == 0
    unchanged = replace(begun, generation=published.generation).ended(RunStatus.UNCHANGED, end_ms + 3 * HOUR_MS)
    shop.stores.runs.update(unchanged)
    assert shop.announce_at(end_ms + 3 * HOUR_MS) == 1


def test_a_run_of_other_days_does_not_affect_whether_a_day_is_settled(shop: Shop) -> None:
    shop.subscribe()
    end_ms = shop.end_ms(DAY)
    shop.rebuild(SALES, end_ms + MINUTE_MS)
    shop.rebuild(SALES, end_ms + 2 * HOUR_MS, days=("1402/01/01", "1402/12/29"))
    assert shop.announce_at(end_ms + 3 * HOUR_MS) == 0
    shop.rebuild(SALES, end_ms + 4 * HOUR_MS, days=(DAY, DAY))
    shop.rebuild(SALES, end_ms + 5 * HOUR_MS, days=("1402/01/01", "1402/12/29"))
    assert shop.announce_at(end_ms + 6 * HOUR_MS) == 1


def test_runs_with_another_fingerprint_do_not_settle_a_day(shop: Shop) -> None:
    shop.subscribe()
    end_ms = shop.end_ms(DAY)
    shop.fingerprint = replace(FINGERPRINT, where=(("status", "refunded"),))
    shop.rebuild(SALES, end_ms + HOUR_MS)
    shop.fingerprint = FINGERPRINT
    shop.rebuild(SALES, end_ms + 2 * HOUR_MS, days=("1402/01/01", "1402/12/29"))
    assert shop.announce_at(end_ms + 3 * HOUR_MS) == 0


def test_runs_without_recorded_time_zone_rules_settle_a_day(shop: Shop) -> None:
    shop.subscribe()
    end_ms = shop.end_ms(DAY)
    shop.rebuild(SALES, end_ms + 2 * HOUR_MS)
    shop.fingerprint = replace(FINGERPRINT, zone_rules="0" * 64, zone_rules_source="tzdata 2026.6")
    shop.rebuild(SALES, end_ms + 3 * HOUR_MS, days=("1402/01/01", "1402/12/29"))
    assert shop.announce_at(end_ms + 4 * HOUR_MS) == 1


def test_a_failed_run_does_not_settle_a_day(shop: Shop) -> None:
    shop.subscribe()
    end_ms = shop.end_ms(DAY)
    shop.rebuild(SALES, end_ms + MINUTE_MS)
    failed = shop.stores.runs.begin(replace(example_run(at_ms=end_ms + 2 * HOUR_MS), fingerprint=shop.fingerprint))
    shop.stores.runs.update(failed.ended(RunStatus.FAILED, end_ms + 2 * HOUR_MS, "the disk is full"))
    assert shop.announce_at(end_ms + 3 * HOUR_MS) == 0


def test_a_run_that_died_after_publishing_settles_a_day(shop: Shop) -> None:
    shop.subscribe()
    end_ms = shop.end_ms(DAY)
    shop.rebuild(SALES, end_ms + HOUR_MS, ends=False)
    assert shop.stores.runs.recent(1)[0].status is RunStatus.RUNNING
    assert shop.announce_at(end_ms + HOUR_MS) == 1


def test_a_publication_without_its_ledger_row_settles_a_day(shop: Shop) -> None:
    shop.subscribe()
    end_ms = shop.end_ms(DAY)
    shop.rebuild(SALES, end_ms + HOUR_MS - 1, in_ledger=False)
    assert shop.announce_at(end_ms + 2 * HOUR_MS) == 0
    shop.rebuild(SALES, end_ms + HOUR_MS, in_ledger=False)
    assert shop.announce_at(end_ms + 2 * HOUR_MS) == 1


def test_a_rebuild_of_three_years_announces_two_days_only(shop: Shop) -> None:
    shop.subscribe(*Mode)
    days = [shop.calendar.period_of(Mode.DAILY, day).key for day in range(18_800, 19_898)]
    last = days[-1]
    shop.rebuild({"m1": dict.fromkeys(days, (10, 1))}, shop.end_ms(last) + 2 * HOUR_MS)
    assert shop.announce_at(shop.end_ms(last) + 3 * HOUR_MS) == 2
    assert {found.title for found in shop.announcements()} == {"Daily summary for merchant m1"}


@pytest.mark.parametrize(("late_ms", "told"), [(0, 1), (1, 0)])
def test_a_day_is_announced_only_within_forty_eight_hours(shop: Shop, late_ms: int, told: int) -> None:
    shop.subscribe()
    shop.rebuild({"m1": {DAY: (1, 1)}}, shop.end_ms(DAY) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + round(NOT_AFTER_S * 1000) + late_ms) == told


@pytest.mark.parametrize(("early_ms", "told"), [(1, 1), (0, 0)])
def test_only_subscriptions_from_before_its_end_get_an_announcement(shop: Shop, early_ms: int, told: int) -> None:
    shop.subscribe(created_ms=shop.end_ms(DAY) - early_ms)
    shop.rebuild(SALES, shop.end_ms(DAY) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == told


def test_concurrent_and_repeated_runs_announce_once(store_url: str) -> None:
    with open_stores(store_url, timeout_s=20) as stores:
        shop = Shop(stores)
        for user in range(12):
            shop.subscribe(user_id=f"u{user}")
        settled_ms = shop.end_ms(DAY) + HOUR_MS
        shop.rebuild(SALES, settled_ms)
        made: list[int] = []

        def run_elsewhere(number: int) -> None:
            with open_stores(store_url, timeout_s=20) as others:
                made.append(Shop(others).announce_at(settled_ms + number))

        threads = [threading.Thread(target=run_elsewhere, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert (len(made), sum(made)) == (4, 12)
        assert sorted(found.user_id for found in shop.announcements()) == sorted(f"u{user}" for user in range(12))
        assert shop.announce_at(settled_ms + HOUR_MS) == shop.announce_at(settled_ms + 2 * HOUR_MS) == 0
        assert len(shop.announcements()) == 12


def test_later_corrections_are_not_announced(shop: Shop) -> None:
    shop.subscribe()
    end_ms = shop.end_ms(DAY)
    shop.rebuild({"m1": {DAY: (10, 1)}}, end_ms + HOUR_MS)
    assert shop.announce_at(end_ms + HOUR_MS) == 1
    before = shop.announcements()
    for hours in range(2, 6):
        shop.rebuild({"m1": {DAY: (10 * hours, hours)}}, end_ms + hours * HOUR_MS)
        assert shop.announce_at(end_ms + hours * HOUR_MS) == 0
        assert shop.another_announcer().run() == 0
    assert shop.announcements() == before


def test_a_day_week_and_month_ending_together_give_three_messages(shop: Shop) -> None:
    friday = "1403/09/30"
    shop.subscribe(*Mode)
    shop.rebuild({"m1": {friday: (1, 1), "1403/09/28": (2, 2), "1403/09/02": (4, 3)}}, shop.end_ms(friday) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(friday) + HOUR_MS) == 4  # Thursday too
    assert shop.bodies() == [
        "1403 week 40: 3 IRR in 3 transactions.",
        "29 Azar 1403: no transactions.",
        "30 Azar 1403: 1 IRR in 1 transaction.",
        "Azar 1403: 7 IRR in 6 transactions.",
    ]
    assert shop.announce_at(shop.end_ms(friday) + 2 * HOUR_MS) == 0


def test_only_subscribed_modes_are_announced(shop: Shop) -> None:
    friday = "1403/09/30"
    shop.subscribe(Mode.MONTHLY)
    shop.rebuild({"m1": {friday: (1, 1)}}, shop.end_ms(friday) + HOUR_MS)
    shop.announce_at(shop.end_ms(friday) + HOUR_MS)
    assert [found.title for found in shop.announcements()] == ["Monthly summary for merchant m1"]


def test_a_period_is_not_announced_before_it_ends_or_before_its_last_day_is_published(shop: Shop) -> None:
    shop.subscribe(*Mode)
    thursday, friday = "1403/09/29", "1403/09/30"
    shop.rebuild({"m1": {thursday: (1, 1)}}, shop.end_ms(friday) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(friday) + HOUR_MS) == 1
    assert shop.bodies() == ["29 Azar 1403: 1 IRR in 1 transaction."]
    shop.rebuild({"m1": {thursday: (1, 1)}, "m2": {"1403/10/01": (1, 1)}}, shop.end_ms(friday) + 2 * HOUR_MS)
    assert shop.announce_at(shop.end_ms(friday) + 2 * HOUR_MS) == 3


def test_a_day_without_transactions_is_announced_and_an_unknown_merchant_is_not(shop: Shop) -> None:
    shop.subscribe(merchant_id="m2")
    sales: Sales = {"m1": {DAY: (1, 1)}}
    shop.rebuild(sales, shop.end_ms(DAY) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 0
    shop.rebuild({**sales, "m2": {"1402/01/01": (1, 1)}}, shop.end_ms(DAY) + 2 * HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + 2 * HOUR_MS) == 2
    assert shop.bodies() == ["3 Tir 1403: no transactions.", "4 Tir 1403: no transactions."]


def test_an_empty_store_announces_nothing(shop: Shop) -> None:
    shop.subscribe(*Mode, merchant_id=None)
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 0
    shop.rebuild({}, shop.end_ms(DAY) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + 2 * HOUR_MS) == 0


def test_transactions_dated_years_ahead_cause_no_announcement(shop: Shop) -> None:
    shop.subscribe()
    shop.rebuild({"m1": {DAY: (1, 1), "1480/01/01": (1, 1)}}, shop.end_ms(DAY) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 1
    assert shop.bodies() == ["4 Tir 1403: 1 IRR in 1 transaction."]


def test_days_before_the_first_published_day_are_not_announced(shop: Shop) -> None:
    shop.subscribe()
    shop.rebuild({"m1": {NEXT_DAY: (1, 1)}}, shop.end_ms(NEXT_DAY) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(NEXT_DAY) + HOUR_MS) == 1


def test_a_run_with_a_fast_clock_does_not_end_a_day(shop: Shop) -> None:
    shop.subscribe()
    shop.rebuild({"m1": {DAY: (1, 1)}}, shop.end_ms(DAY) + DAY_MS)
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS - 1) == 0
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 1


def test_changing_the_clock_causes_no_duplicate_announcement(shop: Shop) -> None:
    shop.subscribe()
    shop.rebuild({"m1": {DAY: (1, 1)}}, shop.end_ms(DAY) + HOUR_MS)
    offsets = (2 * HOUR_MS, -30 * DAY_MS, -400 * 365 * DAY_MS // 10, 3 * HOUR_MS, DAY_MS)
    assert [shop.announce_at(shop.end_ms(DAY) + offset) for offset in offsets] == [1, 0, 0, 0, 0]


def test_an_ended_subscription_gets_no_announcement(shop: Shop) -> None:
    gone, stays = shop.subscribe(user_id="gone"), shop.subscribe(user_id="stays")
    shop.rebuild(SALES, shop.end_ms(DAY) + HOUR_MS)
    shop.stores.subscriptions.end(gone.id, shop.end_ms(DAY) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 1
    assert shop.announcements()[0].user_id == stays.user_id


def test_a_subscription_that_ends_during_the_run_gets_no_announcement(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.rebuild(SALES, shop.end_ms(DAY) + HOUR_MS)
    shop.announcer = shop.another_announcer(
        summaries=HookedStore(
            shop.stores.summaries, "series", lambda: shop.stores.subscriptions.end(subscription.id, shop.now_ms)
        )
    )
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 0
    assert shop.announcements() == []


def test_an_announcement_never_mixes_two_publications(shop: Shop) -> None:
    """While totals are read, the same days are published with other totals by a run that began too early."""
    for user in range(3):
        shop.subscribe(user_id=f"u{user}")
    end_ms = shop.end_ms(DAY)
    shop.rebuild({"m1": {DAY: (1, 1)}}, end_ms + HOUR_MS)
    requested: list[None] = []

    def publish_at_the_third_question() -> None:
        requested.append(None)
        if len(requested) == 4:  # the count of the second message: its amount has been read
            shop.rebuild({"m1": {DAY: (2, 2)}}, end_ms + 2 * HOUR_MS)

    shop.announcer = shop.another_announcer(
        summaries=HookedStore(shop.stores.summaries, "series", publish_at_the_third_question)
    )
    assert shop.announce_at(end_ms + 2 * HOUR_MS) == 1
    assert shop.announce_at(end_ms + 2 * HOUR_MS) == 2
    assert shop.bodies() == [
        "4 Tir 1403: 1 IRR in 1 transaction.",
        "4 Tir 1403: 2 IRR in 2 transactions.",
        "4 Tir 1403: 2 IRR in 2 transactions.",
    ]


def test_a_store_failure_loses_no_announcement(shop: Shop) -> None:
    for user in range(5):
        shop.subscribe(user_id=f"u{user}")
    shop.rebuild(SALES, shop.end_ms(DAY) + HOUR_MS)
    requested: list[None] = []

    def fail_at_the_third() -> None:
        requested.append(None)
        if len(requested) == 3:
            raise StoreUnavailable("the disk is full")

    shop.announcer = shop.another_announcer(
        notifications=HookedStore(shop.stores.notifications, "add", fail_at_the_third)
    )
    with pytest.raises(StoreUnavailable):
        shop.announce_at(shop.end_ms(DAY) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 3
    assert sorted(found.user_id for found in shop.announcements()) == [f"u{user}" for user in range(5)]


def test_announcements_per_run_are_limited_and_the_next_run_continues(shop: Shop) -> None:
    for user in range(5):
        shop.subscribe(user_id=f"u{user}")
    shop.rebuild(SALES, shop.end_ms(DAY) + HOUR_MS)
    shop.announcer = shop.another_announcer(at_most=2)
    assert [shop.announce_at(shop.end_ms(DAY) + HOUR_MS) for _ in range(4)] == [2, 2, 1, 0]
    assert sorted(found.user_id for found in shop.announcements()) == [f"u{user}" for user in range(5)]


def test_existing_announcements_are_not_looked_up_again(shop: Shop) -> None:
    for user in range(20):
        shop.subscribe(user_id=f"u{user}")
    shop.rebuild(SALES, shop.end_ms(DAY) + HOUR_MS)
    requested: list[None] = []
    shop.announcer = shop.another_announcer(
        notifications=HookedStore(shop.stores.notifications, "get", lambda: requested.append(None))
    )
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 20
    before = len(requested)
    shop.rebuild(SALES, shop.end_ms(DAY) + 2 * HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + 2 * HOUR_MS) == 0
    assert len(requested) == before > 0


def test_two_equal_subscriptions_give_one_announcement(shop: Shop) -> None:
    first = shop.subscribe(channels=("sms", "email"))
    shop.subscribe(Mode.DAILY, Mode.WEEKLY, channels=("email", "sms"), created_ms=1)
    shop.rebuild(SALES, shop.end_ms(DAY) + HOUR_MS)
    shop.announcer = shop.another_announcer(
        summaries=HookedStore(
            shop.stores.summaries, "series", lambda: shop.stores.subscriptions.end(first.id, shop.now_ms)
        )
    )
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 2
    assert shop.another_announcer().run() == 0
    assert shop.channels() == ["email", "sms"]


def test_overlapping_subscriptions_announce_once_per_channel(store_url: str) -> None:
    with open_stores(store_url, timeout_s=20) as stores:
        shop = Shop(stores)
        shop.subscribe(created_ms=1)
        shop.subscribe(channels=("sms", "email"), locale="fa", created_ms=2)
        shop.subscribe(*Mode, channels=("email", "telegram"), created_ms=3)
        settled_ms = shop.end_ms(DAY) + HOUR_MS
        shop.rebuild(SALES, settled_ms)
        others = [shop.another_announcer() for _ in range(2)]
        assert shop.announce_at(settled_ms) == 3
        assert [other.run() for other in others] == [0, 0]
        assert shop.channels() == ["email", "sms", "telegram"]
        assert {found.channels[0]: found.locale for found in shop.announcements()} == {
            "sms": "en",
            "email": "fa",
            "telegram": "en",
        }


def test_adding_or_ending_a_subscription_causes_no_duplicate(shop: Shop) -> None:
    first = shop.subscribe(channels=("sms", "email"))
    settled_ms = shop.end_ms(DAY) + HOUR_MS
    shop.rebuild(SALES, settled_ms)
    assert shop.announce_at(settled_ms) == 2
    shop.subscribe(Mode.DAILY, Mode.MONTHLY, channels=("sms", "telegram"), created_ms=1)
    shop.stores.subscriptions.end(first.id, settled_ms)
    assert shop.announce_at(settled_ms + 1) == 1
    assert shop.another_announcer().run() == 0
    assert shop.channels() == ["email", "sms", "telegram"]


def test_concurrent_announcers_with_different_subscriptions_announce_once(store_url: str) -> None:
    """The first announcer creates it, with the text of the subscription that it knows."""
    with open_stores(store_url, timeout_s=20) as stores:
        shop = Shop(stores)
        shop.subscribe(locale="fa", channels=("sms", "email"))
        settled_ms = shop.end_ms(DAY) + HOUR_MS
        shop.rebuild(SALES, settled_ms)
        other, made = shop.another_announcer(), list[int]()

        def subscribe_and_announce_elsewhere() -> None:
            if not made:
                made.append(0)
                shop.subscribe(channels=("telegram", "sms"), created_ms=-1)
                made[0] = other.run()

        hooked = HookedStore(stores.notifications, "add", subscribe_and_announce_elsewhere)
        shop.announcer = shop.another_announcer(notifications=hooked)
        assert (shop.announce_at(settled_ms), made) == (0, [3])
        assert shop.channels() == ["email", "sms", "telegram"]


@pytest.mark.parametrize(
    "other",
    [
        {"merchant_id": None},
        {"user_id": "u2"},
        {"channels": ("email",)},
    ],
)
def test_a_different_subscription_gets_its_own_announcement(shop: Shop, other: dict[str, Any]) -> None:
    shop.subscribe()
    shop.subscribe(**other)
    shop.rebuild(SALES, shop.end_ms(DAY) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 2


def test_announcements_use_the_calendar_and_zone_of_the_publication(tmp_path: Path) -> None:
    fingerprint = replace(FINGERPRINT, calendar="gregorian", time_zone="America/New_York")
    with open_stores(f"sqlite:///{tmp_path / 'summaries.db'}", timeout_s=10) as stores:
        shop = Shop(stores, fingerprint)
        shop.subscribe(*Mode)
        sunday = "2024-03-31"
        assert shop.end_ms(sunday) == 1_711_944_000_000  # 2024-04-01T04:00Z
        shop.rebuild({"m1": {sunday: (5, 2)}}, shop.end_ms(sunday) + HOUR_MS)
        assert shop.announce_at(shop.end_ms(sunday) + HOUR_MS - 1) == 0
        assert shop.announce_at(shop.end_ms(sunday) + HOUR_MS) == 3
        assert shop.bodies() == [
            "2024 week 13: 5 IRR in 2 transactions.",
            "31 March 2024: 5 IRR in 2 transactions.",
            "March 2024: 5 IRR in 2 transactions.",
        ]


def test_an_hour_skipped_by_dst_is_not_part_of_the_day(tmp_path: Path) -> None:
    """In New York 2024-03-10 has 23 hours: what ended it is an hour nearer."""
    fingerprint = replace(FINGERPRINT, calendar="gregorian", time_zone="America/New_York")
    with open_stores(f"sqlite:///{tmp_path / 'summaries.db'}", timeout_s=10) as stores:
        shop = Shop(stores, fingerprint)
        shop.subscribe(created_ms=shop.end_ms("2024-03-09"))
        short = "2024-03-10"
        shop.rebuild({"m1": {short: (5, 2)}}, shop.end_ms("2024-03-09") + 24 * HOUR_MS)
        assert shop.announce_at(shop.end_ms("2024-03-09") + 24 * HOUR_MS) == 1


def test_the_next_day_is_announced_after_the_previous_one(shop: Shop) -> None:
    shop.subscribe()
    for day in (DAY, NEXT_DAY):
        shop.rebuild(SALES, shop.end_ms(day) + 2 * HOUR_MS)
        assert shop.announce_at(shop.end_ms(day) + 2 * HOUR_MS) == 1
    assert [found.body[:10] for found in shop.announcements()] == ["4 Tir 1403", "5 Tir 1403"]


def _id_by_subscription(subscription: Subscription) -> str:
    return derived_id("subscription", subscription.id, Mode.DAILY, DAY)


def _id_by_what_is_asked_for(subscription: Subscription) -> str:
    channels = ",".join(sorted(subscription.channels))
    return derived_id("announcement", "u1", channels, "en", Mode.DAILY, DAY, "merchant", "m1")


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("earlier_id", [_id_by_subscription, _id_by_what_is_asked_for])
def test_announcements_of_an_earlier_version_are_not_repeated(
    shop: Shop, earlier_id: Callable[[Subscription], str], ended: bool
) -> None:
    first = shop.subscribe(channels=("sms", "email"))
    shop.subscribe(channels=("sms", "telegram"))
    shop.rebuild(SALES, shop.end_ms(DAY) + HOUR_MS)
    earlier = Notification(earlier_id(first), "u1", "title", "body", first.channels, "en", 0)
    shop.stores.notifications.add(earlier, 0)
    if ended:
        shop.stores.subscriptions.end(first.id, shop.end_ms(DAY))
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 1
    assert shop.announcements()[-1].channels == ("telegram",)


def test_equal_user_ids_in_several_tenants_each_get_a_notification(shop: Shop) -> None:
    for tenant in ("operator", "acme", "merchants:x"):
        shop.subscribe(tenant=tenant)
        shop.subscribe(Mode.DAILY, Mode.WEEKLY, tenant=tenant)  # overlaps, and so causes no second message
    shop.rebuild(SALES, shop.end_ms(DAY) + HOUR_MS)
    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 3
    assert {(found.tenant, found.user_id, found.merchant_id) for found in shop.announcements()} == {
        (tenant, "u1", "m1") for tenant in ("operator", "acme", "merchants:x")
    }
    assert shop.another_announcer().run() == 0


@pytest.mark.parametrize("kind", ["subscription", "announcement"])
def test_an_earlier_operator_announcement_does_not_suppress_that_of_a_tenant(shop: Shop, kind: str) -> None:
    own, _ = shop.subscribe(), shop.subscribe(tenant="acme")
    shop.rebuild(SALES, shop.end_ms(DAY) + HOUR_MS)
    period = (Mode.DAILY, DAY)
    earlier_id = {
        "subscription": derived_id("subscription", own.id, *period),
        "announcement": derived_id("announcement", "u1", "sms", "en", *period, "merchant", "m1"),
    }[kind]
    shop.stores.notifications.add(Notification(earlier_id, "u1", "t", "b", ("sms",), "en", 0), 0)

    assert shop.announce_at(shop.end_ms(DAY) + HOUR_MS) == 1
    assert [found.tenant for found in shop.announcements() if found.announces] == ["acme"]
