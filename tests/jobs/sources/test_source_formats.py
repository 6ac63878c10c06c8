"""Real exports: every format of MongoDB's tools gives the same transactions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import bson
import pytest
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps, loads
from decoded import EVER, Decoded, read_file
from effort import COMPILED, THOROUGH
from reference import outcome_of_bson

from jobs.decode.plan import Fields

SHOP = Path(__file__).parents[2] / "data" / "shop"
TYPED = [
    "transaction.bson",
    "transaction.relaxed.jsonl",
    "transaction.canonical.jsonl",
    "transaction.array.json",
    "dump",
]
TYPED += ["dump/shop", "dump/shop/transaction.bson.gz", "shop.archive", "shop.archive.gz"]
PAID = Fields(where=(("status", "paid"),))
NESTED = Fields(where=(("card.pan", "6037****1496"),))
CHUNK_SIZES = [1000, 65_536, 2**21] if COMPILED and THOROUGH else [1000, 2**21] if COMPILED else [2**21]


@cache
def expected(fields: Fields) -> tuple[Counter[tuple[str, int, int]], Counter[tuple[str, str]], int]:
    """Rows, reasons and how many are filtered out, by the reference."""
    raw = (SHOP / "transaction.bson").read_bytes()
    outcomes = [outcome_of_bson(bson.encode(document), fields, EVER) for document in bson.decode_all(raw)]
    rows = Counter((o.merchant, o.amount, o.instant) for o in outcomes if o.result == "counted")
    reasons = Counter((o.field, o.reason) for o in outcomes if o.result == "rejected")
    return rows, reasons, sum(o.result == "filtered" for o in outcomes)


@pytest.mark.parametrize("fields", [Fields(), PAID, NESTED], ids=["all", "paid", "one card"])
@pytest.mark.parametrize("form", TYPED if COMPILED else ["dump"])
def test_every_typed_format_gives_the_same_transactions(form: str, fields: Fields) -> None:
    rows, reasons, filtered = expected(fields)
    for chunk_bytes in CHUNK_SIZES:
        found = read_file(SHOP / form, fields, chunk_bytes=chunk_bytes)
        assert Counter(found.rows) == rows
        assert Counter(found.reasons) == reasons
        assert (found.counts.read, found.counts.filtered) == (1200, filtered)


@pytest.mark.parametrize("fields", [Fields(), PAID], ids=["all", "paid"])
@pytest.mark.parametrize("chunk_bytes", CHUNK_SIZES)
def test_csv_differs_only_in_lost_types(fields: Fields, chunk_bytes: int) -> None:
    rows, reasons, filtered = expected(fields)
    found = read_file(SHOP / "transaction.csv", fields, chunk_bytes=chunk_bytes)
    assert found.counts.filtered == filtered
    # A null is an empty cell, as a missing field is; a double and a document are text like any other merchant.
    lost = Counter(found.rows) - rows
    assert not rows - Counter(found.rows)
    assert sorted(merchant for merchant, _, _ in lost) == ["1.25", '{"a":1}']
    assert sum(lost.values()) == reasons["merchant", "wrong type"]
    seen = Counter(found.reasons)
    assert seen["merchant", "missing"] == reasons["merchant", "null"]
    assert {key: n for key, n in seen.items() if key[0] == "amount"} == {
        key: n for key, n in reasons.items() if key[0] == "amount"
    }


def require_whole_documents(found: Decoded, has_id: Callable[[object], bool]) -> None:
    assert found.rejects
    for reject in found.rejects:
        document = reject.document()
        line = dumps({"document": document}, json_options=CANONICAL_JSON_OPTIONS, ensure_ascii=False)
        assert has_id(loads(line)["document"]["_id"])
        assert json.loads(line)["document"].keys() == {"_id", "merchantId", "amount", "createdAt", "status"} | (
            {"card"} if isinstance(document["_id"], bson.ObjectId) else set()
        )


@pytest.mark.parametrize("form", TYPED if COMPILED else ["transaction.relaxed.jsonl"])
def test_a_quarantined_document_can_be_read_back(form: str) -> None:
    require_whole_documents(read_file(SHOP / form), lambda id_: isinstance(id_, bson.ObjectId))


def test_a_quarantined_csv_row_can_be_read_back() -> None:
    require_whole_documents(read_file(SHOP / "transaction.csv"), lambda id_: str(id_).startswith("ObjectId("))


POSITIONED = ["transaction.array.json", "transaction.bson", "transaction.canonical.jsonl"]


@pytest.mark.parametrize("form", POSITIONED if COMPILED else POSITIONED[:1])
def test_the_position_of_a_reject_is_the_offset_of_its_document(form: str) -> None:
    content = (SHOP / form).read_bytes()
    for reject in read_file(SHOP / form, chunk_bytes=5000).rejects:
        at = content[reject.position :]
        id_ = reject.document()["_id"]
        assert (id_.binary if form.endswith("bson") else str(id_).encode()) in at[:200]
        assert at[:1] == b"{" or bson.decode(at[: int.from_bytes(at[:4], "little")])["_id"] == id_


def test_the_position_of_a_csv_reject_is_its_line() -> None:
    lines = (SHOP / "transaction.csv").read_text().splitlines()
    rejects = read_file(SHOP / "transaction.csv", chunk_bytes=5000).rejects
    assert [lines[reject.position].split(",")[0] for reject in rejects] == [r.document()["_id"] for r in rejects]
    assert {reject.unit for reject in rejects} == {"row"}
