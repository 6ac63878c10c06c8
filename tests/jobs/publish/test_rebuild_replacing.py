"""What a rebuild replaces, and what it refuses to replace, on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from rebuilding import Workshop
from transactions import Transaction, published_rows, spread, summaries_of, write_bson

from core.errors import FingerprintMismatch, UsageError, exit_code_of
from core.stores import Stores, open_stores
from core.stores.runs import RunStatus
from jobs.decode.plan import Fields
from jobs.rebuild import RebuildRequest

# From Saturday 1402/12/26 on: the week of Nowruz, three months, two years.
FIRST = spread(["a", 7], days=40)
SECOND = spread(["a", "b"], days=40, amount=50_000)


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


@pytest.fixture
def workshop(stores: Stores, tmp_path: Path) -> Workshop:
    return Workshop(stores, tmp_path)


@pytest.fixture
def first(tmp_path: Path) -> RebuildRequest:
    """A request for the summaries of `FIRST`."""
    return RebuildRequest((write_bson(tmp_path / "first.bson", FIRST),))


@pytest.fixture
def second(tmp_path: Path) -> RebuildRequest:
    """A request for the summaries of `SECOND`."""
    return RebuildRequest((write_bson(tmp_path / "second.bson", SECOND),))


def of_days(transactions: list[Transaction], first_day: date, last_day: date) -> list[Transaction]:
    """The transactions of an inclusive range of days (in Tehran, where noon UTC is the same day)."""
    return [one for one in transactions if first_day <= one.at.date() <= last_day]


def test_the_first_rebuild_fills_an_empty_store(workshop: Workshop, first: RebuildRequest) -> None:
    outcome = workshop.rebuild(first)
    assert published_rows(workshop.stores) == summaries_of(FIRST)
    assert outcome.publication.generation == 1
    assert (outcome.publication.first_day_key, outcome.publication.last_day_key) == ("1402/12/26", "1403/02/05")
    assert outcome.publication.total_count == len(FIRST)
    assert outcome.publication.total_amount == sum(one.amount for one in FIRST)
    assert outcome.publication == workshop.stores.summaries.published()


def test_a_store_with_summaries_needs_truncate_or_a_range(
    workshop: Workshop, first: RebuildRequest, second: RebuildRequest
) -> None:
    workshop.rebuild(first)
    with pytest.raises(UsageError, match=r"^the store already has \d+ summaries of 80 transactions$") as refusal:
        workshop.rebuild(second)
    assert "--truncate" in refusal.value.hint
    assert "--from DAY --to DAY" in refusal.value.hint
    assert exit_code_of(refusal.value) == 2
    assert published_rows(workshop.stores) == summaries_of(FIRST)
    assert [run.id for run in workshop.stores.runs.recent(9)] == [1]


def test_truncate_leaves_exactly_what_the_sources_hold(
    workshop: Workshop, first: RebuildRequest, second: RebuildRequest
) -> None:
    workshop.rebuild(first)
    workshop.rebuild(replace(second, truncate=True))
    assert published_rows(workshop.stores) == summaries_of(SECOND)


def test_truncate_of_an_empty_store_is_allowed(workshop: Workshop, first: RebuildRequest) -> None:
    workshop.rebuild(replace(first, truncate=True))
    assert published_rows(workshop.stores) == summaries_of(FIRST)


def test_truncate_and_a_range_contradict_one_another(workshop: Workshop, first: RebuildRequest) -> None:
    with pytest.raises(UsageError, match="cannot be combined with"):
        workshop.rebuild(replace(first, truncate=True, last_key="1403/01/01"))
    assert workshop.stores.runs.recent(1) == []


def test_from_and_to_replace_days_and_recompute_their_weeks_and_months(
    workshop: Workshop, first: RebuildRequest, second: RebuildRequest
) -> None:
    workshop.rebuild(first)
    # Monday to Wednesday of the week that holds Nowruz: it also begins a month and a year.
    outcome = workshop.rebuild(replace(second, first_key="1402/12/28", last_key="1403/01/01"))
    days = date(2024, 3, 18), date(2024, 3, 20)
    replaced = of_days(SECOND, *days)
    protected = [one for one in FIRST if one not in of_days(FIRST, *days)]
    assert published_rows(workshop.stores) == summaries_of(protected + replaced)
    assert outcome.run.counts.counted == len(replaced) == 6
    assert outcome.run.counts.out_of_range == len(SECOND) - 6
    assert outcome.run.days_changed == 3
    assert (outcome.run.first_day_key, outcome.run.last_day_key) == ("1402/12/28", "1403/01/01")
    assert outcome.publication.total_count == len(protected) + len(replaced)


def test_from_without_to_replaces_until_the_end(
    workshop: Workshop, first: RebuildRequest, second: RebuildRequest
) -> None:
    workshop.rebuild(first)
    outcome = workshop.rebuild(replace(second, first_key="1403/01/20"))
    begin = date(2024, 4, 8)
    expected = of_days(FIRST, date.min, begin - timedelta(days=1)) + of_days(SECOND, begin, date.max)
    assert published_rows(workshop.stores) == summaries_of(expected)
    assert (outcome.run.first_day_key, outcome.run.last_day_key) == ("1403/01/20", None)


def test_to_without_from_replaces_from_the_beginning(
    workshop: Workshop, first: RebuildRequest, second: RebuildRequest
) -> None:
    workshop.rebuild(first)
    outcome = workshop.rebuild(replace(second, last_key="1403/01/20"))
    end = date(2024, 4, 8)
    expected = of_days(SECOND, date.min, end) + of_days(FIRST, end + timedelta(days=1), date.max)
    assert published_rows(workshop.stores) == summaries_of(expected)
    assert (outcome.run.first_day_key, outcome.run.last_day_key) == (None, "1403/01/20")


def test_unchanged_days_are_published_again(workshop: Workshop, first: RebuildRequest) -> None:
    before = workshop.rebuild(first).publication
    outcome = workshop.rebuild(replace(first, first_key="1402/12/28", last_key="1403/01/01"))
    assert outcome.publication == replace(
        before, generation=2, run_id=2, published_at_ms=outcome.publication.published_at_ms
    )
    assert outcome.run.days_changed == 0
    assert published_rows(workshop.stores) == summaries_of(FIRST)


def test_a_replaced_day_missing_in_the_sources_is_removed(
    workshop: Workshop, first: RebuildRequest, tmp_path: Path
) -> None:
    workshop.rebuild(first)
    gone = date(2024, 3, 20), date(2024, 3, 21)
    protected = [one for one in FIRST if one.at.date() not in gone]
    source = write_bson(tmp_path / "without-two-days.bson", protected)
    workshop.rebuild(RebuildRequest((source,), first_key="1403/01/01", last_key="1403/01/04"))
    assert published_rows(workshop.stores) == summaries_of(protected)


def test_the_borders_of_a_range_are_local_midnights(workshop: Workshop, tmp_path: Path) -> None:
    midnight = datetime(2024, 3, 19, 20, 30, tzinfo=UTC)  # 1403/01/01 00:00 in Tehran
    instants = [midnight + timedelta(milliseconds=ms) for ms in (-1, 0, 86_400_000 - 1, 86_400_000)]
    source = write_bson(tmp_path / "borders.bson", [Transaction("a", 10**i, at) for i, at in enumerate(instants)])
    outcome = workshop.rebuild(RebuildRequest((source,), first_key="1403/01/01", last_key="1403/01/01"))
    assert published_rows(workshop.stores)["daily", "1403/01/01", "a"] == (110, 2)
    assert outcome.run.counts.out_of_range == 2


def test_the_range_accepts_persian_digits(workshop: Workshop, first: RebuildRequest) -> None:
    outcome = workshop.rebuild(replace(first, first_key="۱۴۰۳/۰۱/۰۱", last_key="٠١٤٠٣/٠١/٠٢"[1:]))
    assert (outcome.run.first_day_key, outcome.run.last_day_key) == ("1403/01/01", "1403/01/02")
    assert published_rows(workshop.stores) == summaries_of(of_days(FIRST, date(2024, 3, 20), date(2024, 3, 21)))


@pytest.mark.parametrize(
    ("first_key", "last_key", "sentence"),
    [
        ("1403/13/01", None, "1403/13/01"),
        (None, "1403/W01", "1403/W01"),
        ("2024-03-32", None, "2024-03-32"),
        ("1403/01/02", "1403/01/01", "--from 1403/01/02 is after --to 1403/01/01"),
    ],
)
def test_an_invalid_range_is_refused(
    workshop: Workshop, first: RebuildRequest, first_key: str | None, last_key: str | None, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        workshop.rebuild(replace(first, first_key=first_key, last_key=last_key))
    assert workshop.stores.runs.recent(1) == []


@pytest.mark.parametrize(
    "changed",
    ["time zone", *(pytest.param(one, marks=pytest.mark.thorough) for one in ("calendar", "merchant field")), "filter"],
)
def test_another_fingerprint_needs_truncate(
    workshop: Workshop, first: RebuildRequest, second: RebuildRequest, tmp_path: Path, changed: str
) -> None:
    workshop.rebuild(first)
    other = workshop
    key, named, fields = "1403/01/01", changed.replace(" ", "_"), Fields()
    match changed:
        case "time zone":
            other = Workshop(workshop.stores, tmp_path, zone="Europe/Berlin")
        case "calendar":
            other = Workshop(workshop.stores, tmp_path, calendar="gregorian")
            key = "2024-03-20"
        case "merchant field":
            fields = Fields(merchant="_id")
        case _:
            fields, named = Fields(where=(("amount", "50000"),)), "where"
    with pytest.raises(
        FingerprintMismatch, match=rf"^the store was built with other settings: {named} is .* in the store"
    ):
        other.rebuild(replace(second, fields=fields, first_key=key, last_key=key))
    assert published_rows(workshop.stores) == summaries_of(FIRST)
    assert [run.id for run in workshop.stores.runs.recent(9)] == [1]
    outcome = other.rebuild(replace(second, fields=fields, truncate=True, allow_shrink=True))
    assert workshop.stores.summaries.published() == outcome.publication
    assert outcome.publication.fingerprint != workshop.stores.runs.recent(9)[-1].fingerprint


def test_the_order_of_filters_does_not_change_the_fingerprint(workshop: Workshop, tmp_path: Path) -> None:
    documents = [one.document() | {"x": 1, "y": 2} for one in FIRST]
    request = RebuildRequest((write_bson(tmp_path / "xy.bson", documents),))
    workshop.rebuild(replace(request, fields=Fields(where=(("x", "1"), ("y", "2")))))
    again = replace(request, fields=Fields(where=(("y", "2"), ("x", "1"))), first_key="1403/01/01")
    assert workshop.rebuild(again).run.status is RunStatus.PUBLISHED
