"""Shrink protection: a rebuild does not remove most published transactions unless allowed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from archives import Segment, archive
from bson import json_util
from rebuilding import Workshop
from transactions import bson_of, published_rows, spread, summaries_of, write_bson

from core.errors import NothingCounted, SourceError, WouldShrink, exit_code_of
from core.stores import Stores, open_stores
from core.stores.runs import RunStatus
from jobs.decode.plan import Fields
from jobs.rebuild import RebuildRequest

FORTY_DAYS = spread(["a", 7], days=40)
"""From 1402/12/26 to 1403/02/05."""
HEADER = "_id,merchantId,amount,createdAt\n"
PAYMENTS = Segment("shop.payments", [bson_of([one]) for one in FORTY_DAYS])


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


@pytest.fixture
def workshop(stores: Stores, tmp_path: Path) -> Workshop:
    """A store that holds `FORTY_DAYS`."""
    workshop = Workshop(stores, tmp_path)
    workshop.rebuild(RebuildRequest((write_bson(tmp_path / "forty-days.bson", FORTY_DAYS),)))
    return workshop


def dump_folder(folder: Path) -> None:
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "transaction.bson.gz").write_bytes(gzip.compress(b""))


def dump_of_a_view(folder: Path) -> None:
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "payments.bson").write_bytes(bson_of(FORTY_DAYS))
    view = {"options": {"viewOn": "payments", "pipeline": []}, "collectionName": "transactions", "type": "view"}
    (folder / "shop" / "transactions.metadata.json").write_text(json.dumps(view))


EMPTY: dict[str, Callable[[Path], object]] = {
    "an empty array": lambda path: path.write_text("[]\n"),
    "an empty array over lines": lambda path: path.write_text("[\n\n]"),
    "a CSV of a header": lambda path: path.write_text(HEADER),
    "an empty collection in an archive": lambda path: path.write_bytes(archive([], empty=["shop.transaction"])),
    "an empty .bson.gz in a dump folder": dump_folder,
    "a view": lambda path: path.write_bytes(archive([PAYMENTS], views=["shop.transactions"])),
    "a view with an end marker": lambda path: path.write_bytes(
        archive([PAYMENTS], views=["shop.transactions"], marked_views=True)
    ),
    "a view in a dump folder": dump_of_a_view,
    "other days": lambda path: path.write_bytes(bson_of(spread(["a"], days=9, first=date(2020, 1, 1)))),
    "documents without the filter's value": lambda path: path.write_bytes(bson_of(FORTY_DAYS)),
    "documents that are rejected": lambda path: path.write_bytes(bson_of([{"_id": 1}, {"_id": 2}])),
}


def test_a_source_without_counted_transactions_is_an_error(workshop: Workshop, tmp_path: Path) -> None:
    before = workshop.stores.summaries.published()
    for what, write in EMPTY.items():
        write(tmp_path / what)
        request = RebuildRequest((str(tmp_path / what),), max_reject_ratio=1)
        if what == "documents without the filter's value":
            by_filter = Fields(where=(("amount", "-1"),))
            with pytest.raises(NothingCounted, match="of 80 documents 80 filtered out"):
                workshop.rebuild(replace(request, fields=by_filter, truncate=True))
        else:
            if what != "other days":
                with pytest.raises(SourceError) as refusal:
                    workshop.rebuild(replace(request, truncate=True))
                assert exit_code_of(refusal.value) == 1, what
            with pytest.raises(SourceError):
                workshop.rebuild(replace(request, first_key="1403/01/01", last_key="1403/01/02"))
        assert workshop.stores.summaries.published() == before, what
        assert workshop.stores.runs.recent(1)[0].status is RunStatus.FAILED, what
    assert published_rows(workshop.stores) == summaries_of(FORTY_DAYS)


def test_an_empty_source_is_an_error_even_for_an_empty_store(stores: Stores, tmp_path: Path) -> None:
    EMPTY["an empty array"](tmp_path / "source")
    workshop, request = Workshop(stores, tmp_path), RebuildRequest((str(tmp_path / "source"),))
    with pytest.raises(NothingCounted, match="there are no documents") as refusal:
        workshop.rebuild(request)
    assert "--allow-empty" in refusal.value.hint
    assert stores.summaries.published() is None
    assert workshop.rebuild(replace(request, allow_empty=True)).publication.rows == 0


def test_unpublished_days_may_be_declared_empty(workshop: Workshop, tmp_path: Path) -> None:
    EMPTY["an empty array"](tmp_path / "source")
    workshop.rebuild(RebuildRequest((str(tmp_path / "source"),), first_key="1403/05/01", allow_empty=True))
    assert published_rows(workshop.stores) == summaries_of(FORTY_DAYS)


def test_one_of_several_sources_may_be_empty(workshop: Workshop, tmp_path: Path) -> None:
    EMPTY["an empty array"](tmp_path / "source")
    sources = (str(tmp_path / "source"), str(tmp_path / "forty-days.bson"))
    workshop.rebuild(RebuildRequest(sources, truncate=True))
    assert published_rows(workshop.stores) == summaries_of(FORTY_DAYS)


@pytest.mark.parametrize("first_key", [None, "1403/01/01"])
def test_removing_more_than_half_needs_allow_shrink(workshop: Workshop, tmp_path: Path, first_key: str | None) -> None:
    """All of it, or of the days from the first of the year on."""
    replaced = FORTY_DAYS if first_key is None else FORTY_DAYS[8:]
    others = FORTY_DAYS[: len(FORTY_DAYS) - len(replaced)]
    half, less = replaced[::2], replaced[:-2:2]
    request = RebuildRequest((), truncate=first_key is None, first_key=first_key)
    source = write_bson(tmp_path / "less.bson", less)
    sentence = rf"^{len(half) + 1} of the {len(replaced)} published transactions .* would be removed, more than half$"
    with pytest.raises(WouldShrink, match=sentence) as refusal:
        workshop.rebuild(replace(request, sources=(source,)))
    assert exit_code_of(refusal.value) == 5
    assert "--allow-shrink" in refusal.value.hint
    assert published_rows(workshop.stores) == summaries_of(FORTY_DAYS)
    assert workshop.stores.runs.recent(1)[0].error == refusal.value.sentence
    workshop.rebuild(replace(request, sources=(write_bson(tmp_path / "half.bson", half),)))
    assert published_rows(workshop.stores) == summaries_of([*others, *half])
    workshop.rebuild(replace(request, sources=(source,), allow_shrink=True))
    assert published_rows(workshop.stores) == summaries_of([*others, *less])


def test_transactions_of_other_days_do_not_offset_lost_ones(workshop: Workshop, tmp_path: Path) -> None:
    elsewhere = write_bson(tmp_path / "elsewhere.bson", spread(["a", 7], days=40, first=date(2020, 1, 1)))
    with pytest.raises(WouldShrink, match=r"^80 of the 80 published transactions"):
        workshop.rebuild(RebuildRequest((elsewhere,), truncate=True))


@pytest.mark.parametrize("calendar", ["jalali", "gregorian"])
def test_changing_the_calendar_or_zone_is_no_loss(workshop: Workshop, tmp_path: Path, calendar: str) -> None:
    other = Workshop(workshop.stores, tmp_path, calendar=calendar, zone="Europe/Berlin")
    other.rebuild(RebuildRequest((str(tmp_path / "forty-days.bson"),), truncate=True))
    assert published_rows(workshop.stores) == summaries_of(FORTY_DAYS, "Europe/Berlin", calendar)


def test_transactions_that_move_to_other_days_are_no_loss(workshop: Workshop, tmp_path: Path) -> None:
    """Those of late in the evening are of the next day further east, or by another field; fewer than half are not."""
    evening = [one._replace(at=one.at.replace(hour=18)) for one in spread(["a"], days=30, first=date(2024, 3, 1))]
    source = write_bson(tmp_path / "evening.bson", evening)
    workshop.rebuild(RebuildRequest((source,), truncate=True, allow_shrink=True))
    tokyo = Workshop(workshop.stores, tmp_path, zone="Asia/Tokyo")
    few = write_bson(tmp_path / "few.bson", evening[:14])
    with pytest.raises(WouldShrink, match=r"^16 of the 30 published transactions"):
        tokyo.rebuild(RebuildRequest((few,), truncate=True))
    tokyo.rebuild(RebuildRequest((source,), truncate=True))
    assert published_rows(workshop.stores) == summaries_of(evening, "Asia/Tokyo")
    paid = tmp_path / "paid.jsonl"
    paid.write_text(
        "".join(f"{json_util.dumps(one.document() | {'paidAt': one.at + timedelta(days=90)})}\n" for one in evening)
    )
    tokyo.rebuild(RebuildRequest((str(paid),), truncate=True, fields=Fields(time="paidAt")))
    later = [one._replace(at=one.at + timedelta(days=90)) for one in evening]
    assert published_rows(workshop.stores) == summaries_of(later, "Asia/Tokyo")
