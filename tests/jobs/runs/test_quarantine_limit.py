"""The size limit of the quarantine file, and sources in which every document is rejected."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from command_line import CommandLine
from effort import THOROUGH
from rebuilding import Workshop

from core.errors import ServiceError, TooManyRejects
from core.stores import open_stores
from core.stores.runs import RunStatus
from jobs.decode.batch import LeadingRejects
from jobs.decode.plan import Fields
from jobs.partitions import counting
from jobs.rebuild import RebuildRequest
from jobs.runs.rejects import RejectLimits, Rejects

GOOD = {"merchantId": "a", "amount": 1, "createdAt": DatetimeMS(1_700_000_000_000)}
NO_AMOUNT = bson.encode({name: value for name, value in GOOD.items() if name != "amount"} | {"sum": 5})
FEW = 1000
HOPELESS = 100_000 if THOROUGH else FEW


@pytest.fixture
def _few_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_LEADING_REJECTS", FEW)


@pytest.fixture(autouse=True)
def _as_many_as_there_is_time_for(request: pytest.FixtureRequest) -> None:
    if not THOROUGH:
        request.getfixturevalue("_few_decide")


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with open_stores(f"sqlite:///{tmp_path}/summaries.db", timeout_s=10) as stores:
        yield Workshop(stores, tmp_path)


def write(path: Path, *parts: bytes) -> str:
    path.write_bytes(gzip.compress(b"".join(parts), 1))
    return str(path)


def numbered(first: int, last: int, **changes: Any) -> bytes:
    return b"".join(bson.encode({"_id": i} | GOOD | changes) for i in range(first, last))


def kept_ids(run_quarantine: str | None) -> list[int]:
    lines = [] if run_quarantine is None else Path(run_quarantine).read_text("utf-8").splitlines()
    return [int(json.loads(line)["_id"]["$numberInt"]) for line in lines]


@pytest.mark.parametrize("threads", [pytest.param(1, marks=pytest.mark.thorough), 4])
@pytest.mark.parametrize("limit", [0, 1, 5000, 20_000, 10**9])
def test_the_first_rejects_are_quarantined_and_all_are_counted(
    workshop: Workshop, tmp_path: Path, threads: int, limit: int
) -> None:
    parts = [numbered(0, 60, amount=1.5), numbered(60, 90), numbered(90, 150, merchantId=None)]
    first, second = write(tmp_path / "1", *parts), write(tmp_path / "2", numbered(150, 200, amount="x"))
    request = RebuildRequest((first, second), threads=threads, chunk_bytes=500, max_reject_ratio=1)
    run = workshop.rebuild(replace(request, max_quarantine_bytes=limit)).run
    assert run.rejects_by_reason == {"amount: fraction": 60, "merchant: null": 60, "amount: text": 50}
    stored = kept_ids(run.quarantine)
    assert stored == [*range(60), *range(90, 200)][: len(stored)]
    assert (run.rejects_kept, run.rejects_not_kept) == (len(stored), 170 - len(stored))
    assert 0 < len(stored) < 170 if 1000 < limit < 10**6 else len(stored) == (170 if limit > 1 else 0)
    assert sum(path.stat().st_size for path in workshop.quarantine.glob("*")) <= limit


def test_after_a_reject_over_the_limit_no_smaller_one_is_stored(workshop: Workshop, tmp_path: Path) -> None:
    large = numbered(1, 2, amount="x" * 10_000)
    source = write(tmp_path / "x", numbered(0, 1, amount="x"), large, numbered(2, 5, amount="x"))
    request = RebuildRequest((source,), max_reject_ratio=1, allow_empty=True, max_quarantine_bytes=2000)
    run = workshop.rebuild(request).run
    assert (kept_ids(run.quarantine), run.rejects_not_kept) == ([0], 4)


def test_a_disk_that_fills_up_while_writing_rejects_is_reported(small_disk: Path) -> None:
    def blocks() -> Iterator[bytes]:
        yield bytes(2**20 + 1)  # beyond this size they are in a file
        with suppress(OSError), (small_disk / "filling").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield bytes(6000)  # more than its last page takes, and less than its buffer

    rejects = Rejects.of(RejectLimits(2**30, small_disk / "rejects.jsonl"), blocks())
    with pytest.raises(ServiceError, match=r"rejects\.jsonl cannot be written: No space left on device"):
        list(rejects.blocks())


def test_the_number_of_quarantined_rejects_is_in_the_ledger(store_url: str, tmp_path: Path) -> None:
    source = write(tmp_path / "x", numbered(0, 50, amount="x"))
    with open_stores(store_url, timeout_s=10) as stores:
        with pytest.raises(TooManyRejects, match="50 of 50 documents were rejected") as refusal:
            Workshop(stores, tmp_path).rebuild(RebuildRequest((source,), max_quarantine_bytes=3000))
        (run,) = stores.runs.recent(1)
    assert run.rejects_kept == len(kept_ids(run.quarantine))
    assert f"The first {run.rejects_kept} rejects are in {run.quarantine}; the other" in refusal.value.hint


@pytest.mark.parametrize("threads", [1, 3])
def test_a_source_rejected_for_one_reason_is_not_read_to_its_end(
    workshop: Workshop, tmp_path: Path, threads: int
) -> None:
    source = write(tmp_path / "x.bson", NO_AMOUNT * (2 * HOPELESS), numbered(0, 10))
    request = RebuildRequest(
        (source,), threads=threads, chunk_bytes=20 * HOPELESS, max_reject_ratio=0.4, max_quarantine_bytes=10_000
    )
    with pytest.raises(TooManyRejects) as refusal:
        workshop.rebuild(request)
    assert refusal.value.exit_code == 3
    assert refusal.value.sentence == (
        f"the first {HOPELESS:,} documents of {source} were all rejected for one reason, amount: missing "
        "(--amount-field amount)"
    )
    assert "Name the field of the amount with --amount-field: the first document has merchantId, createdAt, sum." in (
        refusal.value.hint
    )
    (run,) = workshop.stores.runs.recent(1)
    assert run.status is RunStatus.FAILED
    assert HOPELESS <= run.counts.read == run.counts.rejected < 2 * HOPELESS
    assert run.rejects_kept == len(Path(run.quarantine or "").read_text("utf-8").splitlines()) > 0
    assert workshop.rebuild(replace(request, fields=Fields(amount="sum"))).run.counts.counted == 2 * HOPELESS


@pytest.mark.usefixtures("_few_decide")
@pytest.mark.parametrize(
    ("first", "bad", "ratio", "second"),
    [
        ([], FEW - 1, 0.0, False),
        ([GOOD], FEW, 0.0, False),
        ([{"x": 1}], FEW, 0.0, False),
        ([], FEW, 0.5, False),
        ([], FEW, 0.0, True),
    ],
    ids=["one too few", "one counted", "two reasons", "asked for", "second source"],
)
def test_other_sources_are_read_completely_and_rejects_counted_by_reason(
    workshop: Workshop, tmp_path: Path, first: list[dict[str, Any]], bad: int, ratio: float, second: bool
) -> None:
    source = write(tmp_path / "x.bson", *map(bson.encode, first), NO_AMOUNT * bad, numbered(0, 10))
    sources = (write(tmp_path / "first.bson", NO_AMOUNT), source) if second else (source,)
    request = RebuildRequest(sources, threads=2, max_reject_ratio=ratio, max_quarantine_bytes=0)
    with pytest.raises(TooManyRejects, match=r"documents were rejected \(.*amount: missing"):
        workshop.rebuild(request)
    (run,) = workshop.stores.runs.recent(1)
    assert run.counts.read == len(first) + bad + 10 + second
    assert run.rejects_by_reason["amount: missing"] == bad + second
    assert (run.quarantine, run.rejects_kept, workshop.quarantine.exists()) == (None, 0, False)


def test_the_first_documents_in_source_order_decide() -> None:
    a, b, none = LeadingRejects(2, "a", whole=True), LeadingRejects(2, "b", whole=True), LeadingRejects()
    assert none.then(a).then(none).then(a) == LeadingRejects(4, "a", whole=True)
    assert a.then(b).then(a) == LeadingRejects(2, "a", whole=False)
    assert a.then(LeadingRejects(1, "a", whole=False)).then(a) == LeadingRejects(3, "a", whole=False)
    assert a.then(LeadingRejects(whole=False)).then(a) == LeadingRejects(2, "a", whole=False)


def test_the_quarantine_limit_is_an_option_and_a_setting(tmp_path: Path) -> None:
    jobs = CommandLine(tmp_path, MAX_QUARANTINE_MB="0")
    write(tmp_path / "x.bson", numbered(0, 3), numbered(3, 8, amount="x" * 300_000))
    none = jobs("rebuild", "x.bson", "--truncate", "--max-reject-ratio", "1")
    assert "None of the 5 rejects was written, because --max-quarantine-mb is too small.\n" in none.out
    some = jobs("rebuild", "x.bson", "--truncate", "--max-reject-ratio", "1", "--max-quarantine-mb", "1")
    assert "The first 3 rejects are in quarantine/run-000002-" in some.out
    assert "; the other 2 were only counted.\n" in some.out
    of_json = jobs("rebuild", "x.bson", "--truncate", "--max-reject-ratio", "1", "--max-quarantine-mb", "2", "--json")
    assert (of_json.json["run"]["rejects_kept"], of_json.json["run"]["rejects_not_kept"]) == (5, 0)
    assert "quarantined  3 of 5 rejects\n" in jobs("status", "2").out
    assert jobs("status", "1", "--json").json["rejects_not_kept"] == 5
    verified = jobs("verify", "x.bson", "--max-reject-ratio", "1", "--max-quarantine-mb", "1", "--json").json
    assert (verified["rejects_kept"], verified["rejects_not_kept"]) == (3, 2)
