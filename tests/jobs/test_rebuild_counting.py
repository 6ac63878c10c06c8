"""Counts, rejects, quarantine and warnings of a rebuild, on every backend."""

from __future__ import annotations

import gzip
import itertools
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.json_util import loads
from rebuilding import Workshop
from transactions import Transaction, bson_of, published_rows, spread, summaries_of, write_bson

from core.errors import SourceDamaged, TooManyRejects, TotalTooLarge, UsageError, WouldShrink, exit_code_of
from core.stores import Stores, open_stores
from core.stores.runs import Counts, RunStatus
from jobs.decode.plan import Fields
from jobs.rebuild import RebuildRequest

NOON = datetime(2024, 6, 24, 12, tzinfo=UTC)  # 1403/04/04
GOOD = spread(["a", "b"], days=30)
LARGEST, SMALLEST = 2**63 - 1, -(2**63)


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


@pytest.fixture
def workshop(stores: Stores, tmp_path: Path) -> Workshop:
    return Workshop(stores, tmp_path)


def test_several_sources_add_up(workshop: Workshop, tmp_path: Path) -> None:
    parts = [spread(["a"], days=9), spread(["a", "b"], days=20), spread([bson.ObjectId()], days=5)]
    sources = tuple(write_bson(tmp_path / f"part{i}.bson", part) for i, part in enumerate(parts))
    outcome = workshop.rebuild(RebuildRequest(sources, threads=2))
    assert published_rows(workshop.stores) == summaries_of(itertools.chain(*parts))
    assert outcome.file_formats == ("BSON",) * 3
    assert outcome.run.sources == sources


def test_a_duplicate_source_file_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    source = write_bson(tmp_path / "one.bson", GOOD)
    (tmp_path / "link.bson").symlink_to(source)
    for again in (source, str(tmp_path / "." / "one.bson"), str(tmp_path / "link.bson")):
        with pytest.raises(UsageError, match="is given twice"):
            workshop.rebuild(RebuildRequest((source, again)))
    with pytest.raises(UsageError, match="- is given twice"):
        workshop.rebuild(RebuildRequest(("-", "-")))
    assert workshop.stores.runs.recent(1) == []


def test_filtered_documents_are_skipped_and_counted(workshop: Workshop, tmp_path: Path) -> None:
    paid, other = spread(["a"], days=6), spread(["a"], days=5, amount=9)
    documents = [one.document() | {"card": {"status": "paid"}, "n": 3} for one in paid]
    documents += [one.document() | {"card": {"status": "void"}, "n": 3} for one in other]
    documents += [{"card": "paid", "n": 3}]
    fields = Fields(where=(("card.status", "paid"), ("n", "3")))
    outcome = workshop.rebuild(RebuildRequest((write_bson(tmp_path / "some.bson", documents),), fields=fields))
    assert published_rows(workshop.stores) == summaries_of(paid)
    assert outcome.run.counts == Counts(read=12, counted=6, filtered=6)


def test_every_document_read_is_accounted_for_in_the_ledger(workshop: Workshop, tmp_path: Path) -> None:
    documents = [one.document() | {"kept": "yes"} for one in GOOD]
    documents += [GOOD[0].document() | {"kept": "no"}] * 4
    documents += [GOOD[0].document() | {"kept": "yes", "amount": 0.5}] * 3
    request = RebuildRequest(
        (write_bson(tmp_path / "all.bson", documents),),
        first_key="1403/01/01",
        fields=Fields(where=(("kept", "yes"),)),
        max_reject_ratio=1,
    )
    workshop.rebuild(request)
    (run,) = workshop.stores.runs.recent(1)
    # Of 30 days of two merchants the first four are in 1402, and a reject among them is out of range before it is one.
    assert run.counts == Counts(read=67, counted=52, rejected=0, filtered=4, out_of_range=11)
    assert (run.status, run.phase, run.generation, run.error) == (RunStatus.PUBLISHED, "done", 1, None)


def bad_documents() -> list[dict[str, Any]]:
    """Documents that cannot be counted, each for another reason, whose content must come back whole."""
    good = Transaction("m", 5, NOON).document()
    return [
        good | {"amount": 12.5, "note": "خرید", "big": bson.Int64(2**62), "scan": bson.Binary(b"\x00\xff")},
        good | {"amount": True},
        good | {"amount": float("nan")},
        good | {"amount": bson.Decimal128("0.1")},
        good | {"amount": "12"},
        good | {"merchantId": ""},
        good | {"createdAt": None},
        good | {"createdAt": bson.datetime_ms.DatetimeMS(2**60)},
        good | {"amount": 1.5, "far": bson.datetime_ms.DatetimeMS(-(2**62))},
        good | {"amount": 1.5, "escaped": [{"$numberInt": "5"}, {"$date": "never"}]},
        good | {"amount": 1.5, "deep": _nested(400)},
        {"_id": 7, "amount": 1},
    ]


def _nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(levels):
        document = {"a": document}
    return document


def test_by_default_any_reject_fails_the_run(workshop: Workshop, tmp_path: Path) -> None:
    source = write_bson(tmp_path / "bad.bson", [*GOOD, *bad_documents()])
    with pytest.raises(TooManyRejects) as refusal:
        workshop.rebuild(RebuildRequest((source,)))
    assert exit_code_of(refusal.value) == 3
    assert refusal.value.sentence.startswith("12 of 72 documents were rejected (1 amount: NaN, 1 amount: boolean, ")
    assert workshop.stores.summaries.published() is None
    (run,) = workshop.stores.runs.recent(1)
    assert run.status is RunStatus.FAILED
    assert run.error == refusal.value.sentence
    assert run.counts == Counts(read=72, counted=60, rejected=12)
    assert run.rejects_by_reason == {
        "amount: NaN": 1,
        "amount: boolean": 1,
        "amount: fraction": 5,
        "amount: text": 1,
        "merchant: empty": 1,
        "time: missing": 1,
        "time: null": 1,
        "time: outside the calendar": 1,
    }
    assert run.quarantine is not None
    assert run.quarantine in refusal.value.hint


@pytest.mark.parametrize("threads", [1, 2])
def test_the_quarantine_file_has_every_reject_in_order(workshop: Workshop, tmp_path: Path, threads: int) -> None:
    encoded = [bson_of([one]) for part in (GOOD, bad_documents(), GOOD) for one in part]
    source = tmp_path / "bad.bson"
    source.write_bytes(b"".join(encoded))
    outcome = workshop.rebuild(RebuildRequest((str(source),), max_reject_ratio=0.2, threads=threads, chunk_bytes=500))
    path = Path(outcome.run.quarantine or "")
    assert path.parent == workshop.quarantine
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    lines = [loads(line) for line in path.read_text("utf-8").splitlines()]
    written = [line["document"] for line in lines]
    assert [one if isinstance(one, bytes) else bson.encode(one) for one in written] == encoded[60:72]
    # Dates that Python cannot hold, names that Extended JSON takes for types, and documents in documents in documents.
    assert [number for number, one in enumerate(written) if isinstance(one, bytes)] == [7, 8, 9, 10]
    assert [line["_id"] for line in lines][-1] == 7
    assert {line["source"] for line in lines} == {str(source)}
    assert [line["position"] for line in lines] == [
        {"byte": sum(map(len, encoded[:number]))} for number in range(60, 72)
    ]
    assert (lines[0]["field"], lines[0]["reason"]) == ("amount", "fraction")


def test_an_undecodable_document_is_quarantined_as_bytes(workshop: Workshop, tmp_path: Path) -> None:
    broken = bytearray(bson.encode(GOOD[0].document()))
    broken[4] = 0x7E  # an element type that does not exist
    source = tmp_path / "broken.bson"
    source.write_bytes(bson.encode(GOOD[1].document()) + broken)
    outcome = workshop.rebuild(RebuildRequest((str(source),), max_reject_ratio=0.5))
    (line,) = Path(outcome.run.quarantine or "").read_text("utf-8").splitlines()
    assert loads(line)["document"] == bytes(broken)
    assert outcome.run.rejects_by_reason == {"document: malformed": 1}


def test_a_run_with_allowed_rejects_publishes_and_is_degraded(workshop: Workshop, tmp_path: Path) -> None:
    source = write_bson(tmp_path / "bad.bson", [*GOOD, *bad_documents()])
    outcome = workshop.rebuild(RebuildRequest((source,), max_reject_ratio=12 / 72))
    assert published_rows(workshop.stores) == summaries_of(GOOD)
    assert outcome.run.degraded
    assert workshop.stores.runs.recent(1) == [outcome.run]


def test_one_reject_over_the_ratio_fails_the_run(workshop: Workshop, tmp_path: Path) -> None:
    source = write_bson(tmp_path / "bad.bson", [*GOOD, *bad_documents()])
    with pytest.raises(TooManyRejects, match=r"--max-reject-ratio 0\.16 allows 11$"):
        workshop.rebuild(RebuildRequest((source,), max_reject_ratio=0.16))


def test_a_run_without_rejects_leaves_no_quarantine_file(workshop: Workshop, tmp_path: Path) -> None:
    outcome = workshop.rebuild(RebuildRequest((write_bson(tmp_path / "good.bson", GOOD),)))
    assert outcome.run.quarantine is None
    assert not workshop.quarantine.exists()


def test_a_damaged_source_fails_at_any_ratio_and_keeps_its_rejects(workshop: Workshop, tmp_path: Path) -> None:
    source = tmp_path / "cut.bson"
    whole = Path(write_bson(tmp_path / "whole.bson", [*bad_documents(), *GOOD])).read_bytes()
    source.write_bytes(whole[:-1])
    last_begins = len(whole) - len(bson.encode(GOOD[-1].document()))
    with pytest.raises(
        SourceDamaged, match=rf"cut\.bson is damaged at byte {last_begins}: the file ends in the middle"
    ):
        workshop.rebuild(RebuildRequest((str(source),), max_reject_ratio=1, chunk_bytes=700))
    assert workshop.stores.summaries.published() is None
    (run,) = workshop.stores.runs.recent(1)
    assert run.status is RunStatus.FAILED
    assert len(Path(run.quarantine or "").read_text("utf-8").splitlines()) == run.counts.rejected == 12


def test_a_merchant_of_several_types_is_one_merchant_with_a_warning(workshop: Workshop, tmp_path: Path) -> None:
    object_id = bson.ObjectId()
    merchants = [42, bson.Int64(42), "42", 43, "44", object_id, str(object_id)]
    transactions = [Transaction(merchant, 1, NOON) for merchant in merchants]
    outcome = workshop.rebuild(RebuildRequest((write_bson(tmp_path / "mixed.bson", transactions),)))
    assert published_rows(workshop.stores) == summaries_of(transactions)
    assert published_rows(workshop.stores)["daily", "1403/04/04", "42"] == (3, 3)
    assert outcome.run.warnings == (
        f"2 merchants occur in more than one type (number, text, ObjectId) and count as one: 42, {object_id}",
    )
    assert workshop.stores.runs.recent(1) == [outcome.run]


def test_a_warning_names_a_few_of_many_merchants(workshop: Workshop, tmp_path: Path) -> None:
    transactions = [Transaction(merchant, 1, NOON) for i in range(10, 17) for merchant in (i, str(i))]
    outcome = workshop.rebuild(RebuildRequest((write_bson(tmp_path / "mixed.bson", transactions),)))
    (warning,) = outcome.run.warnings
    assert warning.startswith("7 merchants")
    assert warning.endswith(": 10, 11, 12, 13, 14, …")


def test_persian_merchant_ids_are_unchanged(workshop: Workshop, tmp_path: Path) -> None:
    names = ["فروشگاه\u200cهای تهران", "كتاب", "کتاب", "e\u0301", "\u00e9", " ", "a'; DROP TABLE x; --"]
    transactions = spread(names, days=2)
    workshop.rebuild(RebuildRequest((write_bson(tmp_path / "named.bson", transactions),)))
    assert published_rows(workshop.stores) == summaries_of(transactions)


def test_the_largest_and_smallest_amounts_are_exact(workshop: Workshop, tmp_path: Path) -> None:
    transactions = [
        Transaction("max", bson.Int64(LARGEST), NOON),
        Transaction("min", bson.Int64(SMALLEST), NOON),
        # On the way the sum leaves 64 bits on either side; the total fits again.
        *[Transaction("swing", bson.Int64(amount), NOON) for amount in [LARGEST] * 5 + [SMALLEST] * 5 + [6]],
        Transaction("odd", bson.Int64(2**53 + 1), NOON),
        Transaction("refund", -5, NOON),
        Transaction("zero", 0, NOON),
    ]
    source = write_bson(tmp_path / "extreme.bson", transactions)
    outcome = workshop.rebuild(RebuildRequest((source,), threads=2, chunk_bytes=200))
    expected = summaries_of(transactions)
    assert published_rows(workshop.stores) == expected
    assert expected["monthly", "1403/04", "swing"] == (1, 11)
    assert outcome.publication.total_amount == -1 + 1 + 2**53 + 1 - 5


def test_a_total_beyond_64_bits_is_reported_and_nothing_published(workshop: Workshop, tmp_path: Path) -> None:
    later = datetime(2024, 6, 26, 12, tzinfo=UTC)
    transactions = [Transaction("فروشگاه", bson.Int64(LARGEST), NOON), Transaction("فروشگاه", 1, later)]
    with pytest.raises(
        TotalTooLarge, match=rf"^the (weekly|monthly) total of (merchant فروشگاه|all .*) is {2**63}, which does not fit"
    ):
        workshop.rebuild(RebuildRequest((write_bson(tmp_path / "large.bson", transactions),)))
    assert workshop.stores.summaries.published() is None
    (run,) = workshop.stores.runs.recent(1)
    assert run.status is RunStatus.FAILED


def test_an_overall_total_beyond_64_bits_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    transactions = [Transaction(merchant, bson.Int64(LARGEST), NOON) for merchant in "ab"]
    with pytest.raises(TotalTooLarge, match="of all merchants together in 1403/04"):
        workshop.rebuild(RebuildRequest((write_bson(tmp_path / "large.bson", transactions),)))


@pytest.mark.parametrize(
    ("calendar", "zone"),
    [
        ("gregorian", "America/St_Johns"),
        ("jalali", "Pacific/Apia"),
        pytest.param("gregorian", "Asia/Tehran", marks=pytest.mark.thorough),
        pytest.param("jalali", "UTC", marks=pytest.mark.thorough),
    ],
)
def test_other_calendars_and_time_zones_are_supported(tmp_path: Path, calendar: str, zone: str) -> None:
    # Two and a half years, an instant every 11 hours or so: every change of the clocks is in it.
    step_ms, begin_ms = 40_000_007, 1_293_000_000_000
    instants = [datetime.fromtimestamp((begin_ms + i * step_ms) // 1000, UTC) for i in range(2000)]
    transactions = [Transaction("m", i + 1, at) for i, at in enumerate(instants)]
    source = write_bson(tmp_path / "years.bson", transactions)
    with open_stores(f"sqlite:///{tmp_path}/summaries.db", timeout_s=10) as stores:
        outcome = Workshop(stores, tmp_path, calendar, zone).rebuild(RebuildRequest((source,)))
        assert published_rows(stores) == summaries_of(transactions, zone, calendar)
    assert (outcome.publication.fingerprint.calendar, outcome.publication.fingerprint.time_zone) == (calendar, zone)


def test_empty_sources_are_published_only_if_allowed(workshop: Workshop, tmp_path: Path) -> None:
    full = RebuildRequest((write_bson(tmp_path / "full.bson", GOOD),))
    workshop.rebuild(full)
    folder = tmp_path / "dump" / "shop"
    folder.mkdir(parents=True)
    (folder / "transactions.bson.gz").write_bytes(gzip.compress(b""))
    empty = RebuildRequest((str(tmp_path / "dump"),), truncate=True, allow_empty=True)
    with pytest.raises(WouldShrink, match="60 of the 60 published transactions of the replaced days would be removed"):
        workshop.rebuild(empty)
    assert published_rows(workshop.stores) == summaries_of(GOOD)
    outcome = workshop.rebuild(replace(empty, allow_shrink=True))
    assert outcome.publication.rows == outcome.publication.total_count == 0
    assert outcome.publication.first_day_key is None
    assert published_rows(workshop.stores) == {}
    workshop.rebuild(replace(full, truncate=True))
    assert published_rows(workshop.stores) == summaries_of(GOOD)
