"""mongodump archives: collections interleaved in segments, end markers, checksums."""

from __future__ import annotations

import random

import bson
import pytest
from archives import MAGIC, TERMINATOR, Segment, archive, checksum, end_marker, header, prelude, segment
from bson.datetime_ms import DatetimeMS
from decoded import read_as_file
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SourceDamaged, SourceError

MINE = "shop.transaction"


def document(number: int, size: int = 0) -> bytes:
    return bson.encode({"merchantId": "a", "amount": number, "createdAt": DatetimeMS(0), "filler": bytes(size)})


def amounts(content: bytes, collection: str | None = None, chunk_bytes: int = 1 << 20) -> list[int]:
    return [amount for _, amount, _ in read_as_file(content, collection=collection, chunk_bytes=chunk_bytes).rows]


@tries(150)
@given(
    st.lists(st.tuples(st.sampled_from([MINE, "shop.users", "log.audit"]), st.integers(0, 4)), max_size=8),
    st.sampled_from([1, 50, 200, 1 << 20]),
    st.randoms(use_true_random=False),
)
def test_the_collection_is_read_from_interleaved_segments(
    plan: list[tuple[str, int]], chunk_bytes: int, chance: random.Random
) -> None:
    number = iter(range(1000))
    segments = [Segment(name, [document(next(number), chance.choice([0, 300])) for _ in range(n)]) for name, n in plan]
    content = archive(segments, empty=[] if MINE in dict(plan) else [MINE], views=["shop.report"])
    expected = [bson.decode(raw)["amount"] for part in segments if part.name == MINE for raw in part.documents]
    assert amounts(content, chunk_bytes=chunk_bytes) == expected


def test_the_position_of_a_reject_is_its_offset_in_the_archive() -> None:
    bad = bson.encode({"amount": 1})
    content = archive([Segment(MINE, [document(1)]), Segment("shop.users", [document(2)]), Segment(MINE, [bad])])
    for chunk_bytes in (1, 100, 1 << 20):
        (reject,) = read_as_file(content, chunk_bytes=chunk_bytes).rejects
        assert reject.position == content.index(bad)


def test_a_missing_collection_is_refused_with_the_existing_ones() -> None:
    content = archive([Segment("shop.users", [document(1)]), Segment("shop.payments", [document(2)])])
    with pytest.raises(
        SourceError, match=r"no collection transaction or transactions: it has shop.payments, shop.users"
    ):
        amounts(content)
    assert amounts(content, "payments") == [2]
    assert amounts(content, "shop.payments") == [2]
    with pytest.raises(SourceError, match=r"no collection log.payments"):
        amounts(content, "log.payments")


def test_an_ambiguous_collection_name_needs_its_database() -> None:
    content = archive([Segment("a.transaction", [document(1)]), Segment("b.transaction", [document(2)])])
    with pytest.raises(SourceError, match=r"more than one collection .*: a.transaction, b.transaction"):
        amounts(content)
    with pytest.raises(SourceError, match="more than one collection transaction"):
        amounts(content, "transaction")
    assert amounts(content, "b.transaction") == [2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (prelude([MINE], version="0.2"), "version '0.2'"),
        (prelude([MINE]), "no end marker of shop.transaction"),
        (prelude([MINE]) + segment(Segment(MINE, [document(1)])), "no end marker of shop.transaction"),
        (prelude([MINE]) + end_marker(MINE, b"x"), "checksum of shop.transaction does not match"),
        (archive([Segment(MINE, [document(1)])]) + segment(Segment(MINE, [])), "continues after its end marker"),
        (prelude([MINE]) + header(MINE, EOF=True, CRC=bson.Int64(0)) + document(1), "follow the end marker"),
        (prelude([MINE]) + bson.encode({"db": "shop"}), "a header has no collection"),
        (prelude([MINE]) + header(MINE, EOF=False)[:-9], "truncated in a segment's header"),
        (prelude([MINE]) + header(MINE, EOF=False), "truncated in a terminator"),
        (prelude([MINE]) + header(MINE, EOF=False) + b"\x09\0\0\0abcde", "but does not end there"),
        (prelude([MINE]) + header(MINE, EOF=False) + b"\x03\0\0\0", "has the length 3"),
        (prelude([MINE]) + b"\x09\0\0\0abcd\0", "a segment's header is not valid BSON"),
        (MAGIC + b"\0\0\0\0", "has the length 0"),
        (MAGIC[:4], "truncated in the archive's header"),
        (prelude([MINE])[:-4], "truncated"),
        (prelude([MINE]) + header(MINE, EOF=False) + document(1) + b"\xff\xff\xff", "truncated in a terminator"),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
def test_a_broken_archive_is_refused_with_the_reason(content: bytes, reason: str, chunk_bytes: int) -> None:
    with pytest.raises(SourceDamaged, match=reason) as caught:
        amounts(content, chunk_bytes=chunk_bytes)
    assert 0 <= caught.value.offset <= len(content)


def test_the_checksum_is_crc_64_xz_as_a_signed_integer() -> None:
    assert checksum(b"123456789") == 0x995DC9BBDF1939FA - 2**64
    assert checksum(b"") == 0


def test_segments_missing_in_the_prelude_are_verified_too() -> None:
    mine, other = Segment(MINE, [document(1)]), Segment("shop.late", [document(2)])
    start = prelude([MINE]) + segment(mine) + end_marker(MINE, document(1)) + segment(other)
    assert amounts(start + end_marker("shop.late", document(2))) == [1]
    with pytest.raises(SourceDamaged, match=r"checksum of shop.late"):
        amounts(start + end_marker("shop.late", document(1)))


def test_an_unneeded_time_series_collection_is_skipped_and_verified() -> None:
    """The program mongodump names it in the prelude, and its buckets in the segments and the end marker."""
    mine, buckets = Segment(MINE, [document(1)]), Segment("shop.system.buckets.metrics", [document(2)])
    start = prelude([MINE], timeseries=["shop.metrics", "shop.empty"])
    ends = [(MINE, document(1)), (buckets.name, document(2)), ("shop.system.buckets.empty", b"")]
    content = start + segment(buckets) + segment(mine) + b"".join(end_marker(*end) for end in ends)
    assert amounts(content) == [1]
    for name, raw in ends:
        with pytest.raises(SourceDamaged, match=f"no end marker of {name}"):
            amounts(content.replace(end_marker(name, raw), b""))


def test_documents_larger_than_a_chunk_are_read_from_an_archive() -> None:
    content = archive([Segment(MINE, [document(1, 100_000), document(2), document(3, 50_000)])])
    assert amounts(content, chunk_bytes=100) == [1, 2, 3]
    assert TERMINATOR in content


VIEW = "shop.transactions"
PAYMENTS = Segment("shop.payments", [document(1)])


@pytest.mark.parametrize("marked", [False, True], ids=["as before", "with an end marker"])
@pytest.mark.parametrize("name", [None, "transactions", VIEW])
def test_a_view_is_refused_with_its_source_collection(name: str | None, marked: bool) -> None:
    content = archive([PAYMENTS, Segment("shop.users", [])], views=[VIEW], marked_views=marked)
    with pytest.raises(SourceError, match=r"^shop.transactions is a view, of which .* has no documents") as refusal:
        amounts(content, name)
    assert "mongodump --viewsAsCollections" in refusal.value.hint
    assert "--collection payments or --collection users." in refusal.value.hint
    assert amounts(content, "payments") == [1]


def test_a_view_names_its_source_collection() -> None:
    start = prelude([], views=[VIEW], options={"viewOn": "sales", "pipeline": []})
    with pytest.raises(SourceError, match="is a view") as refusal:
        amounts(start)
    assert refusal.value.hint.endswith("the collection on which it is defined: --collection sales.")


def test_a_view_dumped_as_a_collection_is_read() -> None:
    """Its type is that of a view all the same, and its options name no collection."""
    start = prelude([], views=[VIEW], options={}) + segment(Segment(VIEW, [document(1), document(2)]))
    assert amounts(start + end_marker(VIEW, document(1) + document(2))) == [1, 2]
    with pytest.raises(SourceDamaged, match=f"no end marker of {VIEW}"):
        amounts(start)


@pytest.mark.parametrize("name", [None, "transaction"])
def test_a_time_series_is_refused_before_anything_is_read(name: str | None) -> None:
    content = prelude([], timeseries=[MINE]) + b"\xff"
    with pytest.raises(SourceError, match=r"^shop.transaction is a time series, of which .* has buckets") as refusal:
        amounts(content, name)
    assert "mongoexport" in refusal.value.hint
