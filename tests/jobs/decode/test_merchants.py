"""Merchants and their codes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from bson import Int64, ObjectId
from bson.datetime_ms import DatetimeMS
from decoded import EVER, read_bson
from effort import CHECKED, COMPILED, THOROUGH, tries
from hypothesis import example, given
from hypothesis import strategies as st
from made_up import merchants, to_bson

from core.errors import ServiceError
from jobs.decode.batch import Batch, Chunk
from jobs.decode.decoder import BsonDecoder
from jobs.decode.merchants import KIND_INTEGER, KIND_STRING, MerchantTable
from jobs.decode.plan import Fields
from jobs.sources.chunks import Buffer

MANY = (100_000 if THOROUGH else 20_000) if COMPILED and not CHECKED else 1_500


def chunk_of(content: bytes) -> Chunk:
    buffer = Buffer(0)
    end = buffer.put(content)
    return Chunk("made up", buffer.data, end, 0)


def merchants_of(batches: Iterable[Batch], decoder: BsonDecoder) -> list[str]:
    """The text of the merchant of each transaction."""
    codes = [code for batch in batches for code in batch.codes]
    texts = decoder.merchants.texts()
    return [texts[code] for code in codes]


def transactions(of: list[object]) -> bytes:
    return b"".join(to_bson([("createdAt", DatetimeMS(0)), ("merchantId", m), ("amount", 1)]) for m in of)


@pytest.mark.parametrize("kind", ["ObjectId", "mixed"])
def test_very_many_merchants_keep_their_codes_and_ids(kind: str) -> None:
    ids = [ObjectId(i.to_bytes(12, "big")) for i in range(MANY)]
    numbers = [Int64((-1) ** i * i * 10**10) for i in range(MANY)]
    texts = [f"فروشگاه {i}" for i in range(MANY)]
    kinds: dict[str, list[object]] = {
        "ObjectId": [*ids],
        "mixed": [ids[0], *texts[::3], *numbers[::3], *ids[1::3]],
    }
    of = kinds[kind]
    expected = [str(merchant) for merchant in of]
    decoder = BsonDecoder(Fields(), EVER)
    content = transactions(of)
    assert merchants_of(decoder.batches(chunk_of(content + content)), decoder) == expected + expected
    assert len(decoder.merchants) == len(of)
    assert decoder.merchants.texts() == expected


@tries(150)
@given(st.lists(merchants, max_size=30))
def test_a_merchant_has_one_code_for_all_its_types(of: list[object]) -> None:
    valid = [merchant for merchant in of if merchant != ""]
    decoder = BsonDecoder(Fields(), EVER)
    batches = list(decoder.batches(chunk_of(transactions(valid))))
    assert merchants_of(batches, decoder) == [str(m) for m in valid]
    assert len(decoder.merchants) == len({(type(m), m) for m in valid})


def test_a_number_and_equal_text_have_different_types() -> None:
    decoder = BsonDecoder(Fields(), EVER)
    list(decoder.batches(chunk_of(transactions([42, "42", Int64(42)]))))
    assert decoder.merchants.texts() == ["42", "42"]
    assert decoder.merchants.kinds().tolist() == [KIND_INTEGER, KIND_STRING]


def test_a_batch_keeps_its_merchants_when_the_table_grows() -> None:
    decoder = BsonDecoder(Fields(), EVER)
    (first,) = decoder.batches(chunk_of(transactions(["a", "b"])))
    list(decoder.batches(chunk_of(transactions([f"merchant {i}" for i in range(2000)]))))
    assert merchants_of([first], decoder) == ["a", "b"]


def test_a_long_merchant_id_grows_the_table() -> None:
    name = "x" * (200_000 if COMPILED else 20_000)
    assert read_bson(transactions([name, "y", name]), Fields()).rows == [(name, 1, 0), ("y", 1, 0), (name, 1, 0)]


@tries(200)
@given(st.binary(min_size=1, max_size=6))
@example(b"\xe2\x82")
@example(b"\xc0\x80")
@example(b"\xf4\x90\x80\x80")
@example(b"\xf0\x9f\x98\x80")
def test_utf_8_is_validated_like_in_python(content: bytes) -> None:
    raw = to_bson([("createdAt", DatetimeMS(0)), ("amount", 1), ("merchantId", "x" * len(content))])
    found = read_bson(raw.replace(b"x" * len(content) + b"\0", content + b"\0"), Fields())
    try:
        assert found.rows == [(content.decode(), 1, 0)]
    except UnicodeDecodeError:
        assert found.reasons == [("merchant", "not UTF-8")]


def test_a_table_does_not_grow_beyond_2_gib() -> None:
    table = MerchantTable()
    table.state.size[1] = 2**31
    with pytest.raises(ServiceError, match="2 GiB"):
        table.grow()


@pytest.mark.skipif(not COMPILED, reason="the same tables are grown by kernels that are compiled, and faster")
def test_the_memory_of_a_table_is_proportional_to_its_merchants() -> None:
    decoder = BsonDecoder(Fields(), EVER)
    list(decoder.batches(chunk_of(transactions(list(range(40_000))))))
    held = sum(array.nbytes for array in decoder.merchants.state)
    assert held < 100 * len(decoder.merchants)


def test_hashes_are_salted_per_table_against_collision_attacks() -> None:
    assert len({int(MerchantTable().state.seed[0]) for _ in range(4)}) == 4
