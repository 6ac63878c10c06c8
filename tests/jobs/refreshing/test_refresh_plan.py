"""The refresh plan: which days a refresh recomputes, by bookmark, look-back and changes."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from live_shop import clock_changes, ms_of
from totals_by_hand import day_number, local_date

from core.calendar import JalaliCalendar, Mode
from core.calendar.days import DAY_MS, LocalDays
from core.stores.runs import Holder, Run, RunStatus
from core.stores.summaries import Fingerprint, Publication
from jobs.runs.refresh_plan import RefreshPlan, RefreshPlanner
from jobs.sources.live.times import TimeRange

CALENDAR = JalaliCalendar()
FINGERPRINT = Fingerprint("Asia/Tehran", "jalali", "merchantId", "amount", "createdAt")
TODAY = datetime(2024, 3, 23, 9, tzinfo=UTC)
PUBLISHED = Publication(7, 1, ms_of(TODAY), FINGERPRINT, 10, "1402/01/01", "1403/01/04", 100, 10)


def planner(look_back_days: int = 3, zone: str = "Asia/Tehran") -> RefreshPlanner:
    return RefreshPlanner(CALENDAR, LocalDays(zone), look_back_days)


def key_of(day: int | None) -> str:
    assert day is not None
    return CALENDAR.period_of(Mode.DAILY, day).key


def published_of(at: datetime | None) -> Publication:
    """A publication complete up to `at`; None: unknown."""
    return replace(PUBLISHED, complete_until_ms=None if at is None else ms_of(at))


def unchanged(number: int, at: datetime, **changes: object) -> Run:
    """A refresh that began at that time and confirmed `PUBLISHED`."""
    made = Run(
        number, "refresh", RunStatus.UNCHANGED, Holder("here", 1, 0), ms_of(at), ms_of(at), ("mongodb://here/shop",),
        FINGERPRINT, as_of_ms=ms_of(at), incremental=True, first_day_key="1402/12/01", generation=PUBLISHED.generation,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def ago(**spans: float) -> datetime:
    return TODAY - timedelta(**spans)


def begin_key(publication: Publication, *runs: Run, look_back_days: int = 3) -> str:
    """The first recomputed day; `runs` in chronological order."""
    return key_of(planner(look_back_days).begin_day(publication, runs[::-1], ms_of(TODAY)))


def test_the_look_back_is_measured_from_the_publication_and_not_from_now() -> None:
    assert begin_key(published_of(ago(days=10))) == "1402/12/20"
    assert begin_key(published_of(ago(days=10)), look_back_days=0) == "1402/12/23"
    assert begin_key(published_of(ago(hours=1))) == "1403/01/01"


def test_the_day_of_the_last_read_is_local() -> None:
    evening = datetime(2024, 3, 22, 20, 29, tzinfo=UTC)
    assert begin_key(published_of(evening), look_back_days=0) == "1403/01/03"
    assert begin_key(published_of(evening + timedelta(minutes=1)), look_back_days=0) == "1403/01/04"


def test_a_refresh_without_changes_moves_the_bookmark() -> None:
    assert begin_key(published_of(ago(days=10)), unchanged(2, ago(days=7)), unchanged(3, ago(days=5))) == "1402/12/25"


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.DIED, RunStatus.INTERRUPTED, RunStatus.RUNNING])
def test_an_unfinished_refresh_does_not_move_the_bookmark(status: RunStatus) -> None:
    assert begin_key(published_of(ago(days=10)), unchanged(2, ago(days=1), status=status)) == "1402/12/20"


def test_a_refresh_of_an_earlier_generation_does_not_move_the_bookmark() -> None:
    """A run that was thought dead may publish an older export after its successor has ended."""
    overtaken = unchanged(3, ago(days=1), generation=PUBLISHED.generation - 1)
    assert begin_key(published_of(ago(days=10)), overtaken) == "1402/12/20"


def test_failed_runs_do_not_change_the_bookmark() -> None:
    failed = [unchanged(number, ago(hours=1), status=RunStatus.FAILED) for number in range(2, 102)]
    assert begin_key(published_of(ago(days=10)), *failed) == "1402/12/20"


def test_a_small_clock_correction_does_not_cause_a_full_read() -> None:
    assert begin_key(published_of(TODAY + timedelta(minutes=4))) == "1403/01/01"
    assert planner().begin_day(published_of(TODAY + timedelta(minutes=6)), [], ms_of(TODAY)) is None


def test_clock_skew_of_five_minutes_is_tolerated_to_the_millisecond() -> None:
    now_ms = ms_of(TODAY)
    until = [replace(PUBLISHED, complete_until_ms=now_ms + 300_000 + more) for more in (0, 1)]
    assert [planner().begin_day(one, [], now_ms) is None for one in until] == [False, True]


def test_a_bookmark_in_the_future_does_not_skip_days() -> None:
    """The clock was put back over midnight."""
    evening = datetime(2024, 3, 22, 20, 28, tzinfo=UTC)  # in Tehran 23:58 of 1403/01/03
    known = published_of(evening + timedelta(minutes=4))
    assert key_of(planner(0).begin_day(known, [], ms_of(evening))) == "1403/01/03"


def test_without_a_bookmark_everything_is_counted() -> None:
    assert planner().begin_day(published_of(None), [], ms_of(TODAY)) is None


def test_for_an_empty_store_everything_is_counted() -> None:
    assert planner().begin_day(replace(published_of(ago(hours=1)), rows=0), [], ms_of(TODAY)) is None


def test_a_bookmark_after_the_calendar_begins_with_its_last_day() -> None:
    after = (CALENDAR.last_day + 30) * DAY_MS
    publication = replace(PUBLISHED, complete_until_ms=after)
    assert planner(3).begin_day(publication, [], after) == CALENDAR.last_day
    assert planner(3).plan(CALENDAR.last_day).days == ((CALENDAR.last_day, CALENDAR.last_day),)


def test_a_look_back_before_the_calendar_begins_with_its_first_day() -> None:
    last_reading = CALENDAR.first_day + 30
    publication = replace(PUBLISHED, complete_until_ms=last_reading * DAY_MS)
    assert planner(36_500).begin_day(publication, [], ms_of(TODAY)) == CALENDAR.first_day


def test_without_older_changes_there_is_one_open_ended_range() -> None:
    begin = day_number(date(2024, 3, 20))
    plan = planner().plan(begin)
    assert plan.days == ((begin, CALENDAR.last_day),)
    assert plan.times == (TimeRange(ms_of(datetime(2024, 3, 19, 20, 30, tzinfo=UTC))),)
    assert (plan.begin_day, plan.older_days) == (begin, 0)


def plan_of(begin: int, *days: int) -> RefreshPlan:
    """The plan when one document of each of `days` has changed, in two batches of the server."""
    noons = [day * DAY_MS + DAY_MS // 2 for day in days]
    return planner().plan(begin, [noons[::2], noons[1::2], []])


def test_older_days_of_changed_documents_are_recounted_completely() -> None:
    plan = plan_of(19_800, 19_700, 19_702, 19_701, 19_000, 19_700, 19_799, 19_800, 19_900)
    assert plan.days == ((19_000, 19_000), (19_700, 19_702), (19_799, 19_799), (19_800, CALENDAR.last_day))
    assert (plan.begin_day, plan.older_days) == (19_800, 5)
    offset_ms = 12_600_000
    assert plan.times[0] == TimeRange(19_000 * DAY_MS - offset_ms, 19_001 * DAY_MS - offset_ms)
    assert plan.times[1] == TimeRange(19_700 * DAY_MS - offset_ms, 19_703 * DAY_MS - offset_ms)
    assert plan.times[3] == TimeRange(19_800 * DAY_MS - offset_ms)


def test_the_window_includes_its_first_instant() -> None:
    begin = day_number(date(2024, 3, 20))
    begin_ms = planner().plan(begin).times[-1].start_ms
    assert planner().plan(begin, [[begin_ms]]).days == ((begin, CALENDAR.last_day),)
    older = planner().plan(begin, [[begin_ms - 1]])
    assert older.days == ((begin - 1, begin - 1), (begin, CALENDAR.last_day))
    assert older.times == (TimeRange(begin_ms - DAY_MS, begin_ms), TimeRange(begin_ms))


def test_the_calendar_includes_its_first_instant() -> None:
    first_ms, _ = LocalDays("Asia/Tehran").named_range_ms(CALENDAR)
    assert planner().plan(19_800, [[first_ms]]).days[0] == (CALENDAR.first_day, CALENDAR.first_day)
    assert planner().plan(19_800, [[first_ms - 1]]).older_days == 0


def test_consecutive_days_are_merged_into_one_range() -> None:
    assert plan_of(19_800, 19_700, 19_701, 19_703).days[:-1] == ((19_700, 19_701), (19_703, 19_703))


def test_a_range_of_older_days_ends_at_the_window() -> None:
    """Also where the day that is cut comes again after the window has begun, in St. John's in 2010."""
    sunday = day_number(date(2010, 11, 7))
    newfoundland = planner(3, "America/St_Johns")
    plan = newfoundland.plan(sunday, [[(sunday - 1) * DAY_MS + 15 * 3_600_000]])
    assert plan.days == ((sunday - 1, sunday - 1), (sunday, CALENDAR.last_day))


def test_changed_documents_outside_the_calendar_are_ignored() -> None:
    plan = planner().plan(19_800, [[-(2**63), (CALENDAR.first_day - 2) * DAY_MS, 2**63 - 1]])
    assert plan.days == ((19_800, CALENDAR.last_day),)


@pytest.mark.parametrize("step", [2, 3, 40])
@pytest.mark.parametrize("days", [99, 100, 101, 1000])
def test_scattered_days_are_merged_into_few_ranges_without_loss(days: int, step: int) -> None:
    """The last ones are further apart, and remain separate."""
    changed = list(range(10_000, 10_000 + (days - 10) * step, step))
    changed += [changed[-1] + 200 * number for number in range(1, 11)]
    plan = plan_of(99_000, *changed)
    older = plan.days[:-1]
    assert len(older) <= 100
    assert all(any(first <= day <= last for first, last in older) for day in changed)
    assert all(earlier[1] < later[0] for earlier, later in zip(plan.days, plan.days[1:], strict=False))
    assert older[-9:] == tuple((day, day) for day in changed[-9:])
    assert older == tuple((day, day) for day in changed) or days > 100


def begin_of(day: int, zone: str) -> int:
    """The first instant (ms) whose local date is `day`; for zones where no day comes twice."""
    seconds = range((day - 1) * 86_400 - 43_200, day * 86_400 + 43_200)
    return seconds[bisect_left(seconds, day, key=lambda s: day_number(local_date(s * 1000, zone)))] * 1000


def test_ranges_of_days_are_correct_at_every_dst_change_of_tehran() -> None:
    changes = list(clock_changes("Asia/Tehran", 1977, 2022))
    assert len(changes) >= 60
    for change in changes:
        day = day_number(local_date(ms_of(change)))
        expected = {one: begin_of(one, "Asia/Tehran") for one in range(day - 2, day + 4)}
        for look_back_days in (1, 2, 3, 4):
            now_ms = ms_of(change + timedelta(days=9))
            begin = planner(look_back_days).begin_day(published_of(change + timedelta(days=2)), [], now_ms)
            assert begin is not None
            assert begin == day_number(local_date(ms_of(change + timedelta(days=2)))) - look_back_days
            assert planner().plan(begin).times == (TimeRange(expected[begin]),)
        older = planner().plan(day + 100, [[expected[day - 1], expected[day + 2] - 1]])
        assert older.days[:-1] == ((day - 1, day - 1), (day + 1, day + 1))
        assert older.times[0] == TimeRange(expected[day - 1], expected[day])
        assert older.times[1] == TimeRange(expected[day + 1], expected[day + 2])


def test_a_repeated_day_is_counted_together_with_the_next() -> None:
    """On 2010-11-07 at 00:01 the clocks of St. John's went back to 23:01 of the day before."""
    sunday = day_number(date(2010, 11, 7))
    newfoundland = planner(3, "America/St_Johns")
    begin = newfoundland.begin_day(published_of(datetime(2010, 11, 10, 18, tzinfo=UTC)), [], ms_of(TODAY))
    assert begin == sunday - 1
    for changed in (sunday - 1, sunday):
        noon_ms = changed * DAY_MS + 15 * 3_600_000
        plan = newfoundland.plan(sunday + 50, [[noon_ms]])
        assert plan.days[0] == (sunday - 1, sunday)
        bounds = [datetime(2010, 11, 6, 2, 30, tzinfo=UTC), datetime(2010, 11, 8, 3, 30, tzinfo=UTC)]
        assert plan.times[0] == TimeRange(*map(ms_of, bounds))


def test_clock_skew_ahead_is_tolerated_up_to_five_minutes() -> None:
    limit = published_of(TODAY + timedelta(minutes=5))
    assert begin_key(limit) == "1403/01/01"
    assert limit.complete_until_ms is not None
    beyond = replace(limit, complete_until_ms=limit.complete_until_ms + 1)
    assert planner().begin_day(beyond, [], ms_of(TODAY)) is None


def test_an_empty_publication_counts_as_no_publication() -> None:
    assert begin_key(replace(published_of(ago(days=10)), rows=1)) == "1402/12/20"
    assert planner().begin_day(replace(published_of(ago(days=10)), rows=0), [], ms_of(TODAY)) is None


def test_the_edge_of_the_window_separates_older_changes() -> None:
    begin_ms = begin_of(19_800, "Asia/Tehran")
    assert planner().plan(19_800, [[begin_ms]]).days == ((19_800, CALENDAR.last_day),)
    assert planner().plan(19_800, [[begin_ms - 1]]).days == ((19_799, 19_799), (19_800, CALENDAR.last_day))


def test_changes_count_from_the_first_instant_of_the_calendar() -> None:
    first_ms, _ = LocalDays("Asia/Tehran").named_range_ms(CALENDAR)
    first = CALENDAR.first_day
    assert planner().plan(19_800, [[first_ms]]).days == ((first, first), (19_800, CALENDAR.last_day))
    assert planner().plan(19_800, [[first_ms - 1]]).days == ((19_800, CALENDAR.last_day),)


def test_the_day_before_the_window_is_not_merged_with_it() -> None:
    """Also where that day is not a clean cut: what ends after it would be read twice."""
    sunday = day_number(date(2010, 11, 7))
    plan = planner(zone="America/St_Johns").plan(sunday, [[begin_of(sunday - 1, "America/St_Johns") + 3_600_000]])
    assert plan.days == ((sunday - 1, sunday - 1), (sunday, CALENDAR.last_day))
