"""BSON documents of every kind, compared with the reference implementation."""

from __future__ import annotations

import random
from typing import Any

import bson
import numpy as np
import pytest
from bson.datetime_ms import DatetimeMS
from decoded import EVER, read_bson
from effort import tries
from hypothesis import example, given
from hypothesis import strategies as st
from made_up import FIELDS, Nested, Raw, documents, frame, raws, to_bson, windows
from reference import outcome_of_bson

from jobs.decode.batch import Chunk
from jobs.decode.classify import Window
from jobs.decode.decoder import BsonDecoder
from jobs.decode.jit import PADDING
from jobs.decode.plan import Fields


def require_agreement(documents_: list[bytes], fields: Fields, window: Window, chunk_bytes: int) -> None:
    """What the decoder makes of the documents is what the reference makes of each."""
    expected = [outcome_of_bson(raw, fields, window) for raw in documents_]
    found = read_bson(b"".join(documents_), fields, window, chunk_bytes)
    counted = [o for o in expected if o.result == "counted"]
    assert found.rows == [(o.merchant, o.amount, o.instant) for o in counted]
    positions = [sum(map(len, documents_[:i])) for i in range(len(documents_))]
    rejected = [(at, o.field, o.reason) for at, o in zip(positions, expected, strict=True) if o.field]
    assert [(r.position, r.field, r.reason) for r in found.rejects] == rejected
    verdicts = [o.result for o in expected]
    assert found.counts.read == len(documents_)
    assert found.counts.filtered == verdicts.count("filtered")
    assert found.counts.out_of_range == verdicts.count("out of range")


@tries(300)
@given(st.data(), st.sampled_from(FIELDS), windows, st.sampled_from([1, 7, 100, 100_000]))
def test_every_document_is_decoded_like_the_reference(
    data: st.DataObject, fields: Fields, window: Window, chunk_bytes: int
) -> None:
    made_up = data.draw(st.lists(documents(fields, raw=True), max_size=6))
    require_agreement([to_bson(document) for document in made_up], fields, window, chunk_bytes)


def with_broken(inner: bytes, **more: Any) -> bytes:
    """A good document whose embedded document ``card`` has a right length and `inner` as its content."""
    card = (len(inner) + 5).to_bytes(4, "little") + inner + b"\0"
    good = bson.encode({"merchantId": "a", "amount": 7, "createdAt": DatetimeMS(0), **more})
    body = good[4:-1] + b"\x03card\0" + card + b"\0"
    return (len(body) + 4).to_bytes(4, "little") + body


BROKEN = {
    "unknown type": b"\x77pan\0\1\2\3",
    "name without end": b"\x08pan",
    "string without end": b"\x02pan\0\x7f\0\0\0x\0",
    "early end": b"\0\x0apan\0",
    "impossible length": b"\x03pan\0\x04\0\0\0\0",
}


@pytest.mark.parametrize("inner", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("times", [1, 200])  # the later ones are matched by a template
def test_only_the_outer_structure_and_the_fields_used_are_validated(inner: bytes, times: int) -> None:
    """What is inside an embedded document that no field path leads into is passed over by its length."""
    content = with_broken(inner) * times
    assert read_bson(content, Fields()).rows == [("a", 7, 0)] * times
    for fields in (Fields(amount="card.pan"), Fields(where=(("card.kind", "x"),))):
        assert read_bson(content, fields).reasons == [("document", "malformed")] * times


@pytest.mark.parametrize("inner", BROKEN.values(), ids=BROKEN)
def test_damage_below_the_used_fields_is_ignored(inner: bytes) -> None:
    deeper = with_broken(b"\x10kind\0\5\0\0\0" + b"\x03deep\0" + (len(inner) + 5).to_bytes(4, "little") + inner + b"\0")
    assert read_bson(deeper, Fields(amount="card.kind")).rows == [("a", 5, 0)]
    assert read_bson(deeper, Fields(amount="card.deep.pan")).reasons == [("document", "malformed")]


@tries(150)
@given(st.data(), st.sampled_from(FIELDS), st.randoms(use_true_random=False))
def test_similar_documents_are_not_confused_by_the_template_cache(
    data: st.DataObject, fields: Fields, chance: random.Random
) -> None:
    alike = [bytearray(to_bson(document)) for document in data.draw(st.lists(documents(fields, raw=False), min_size=1))]
    changed = []
    for _ in range(60):
        document = bytearray(chance.choice(alike))
        for _ in range(chance.choice([0, 0, 1, 1, 2])):
            if len(document) > 5:
                document[chance.randrange(4, len(document) - 1)] = chance.choice(
                    [0, 1, 2, 7, 16, 255, chance.randrange(256)]
                )
        changed.append(bytes(document))
        alike.append(document)
    require_agreement(changed, fields, EVER, 100_000)


@tries(200)
@given(raws, st.sampled_from(["merchantId", "amount", "createdAt"]))
def test_unusual_values_are_classified_like_the_reference(value: Raw, name: str) -> None:
    good = [("merchantId", "a"), ("amount", 5), ("createdAt", DatetimeMS(0))]
    document = to_bson([(n, value if n == name else v) for n, v in good])
    require_agreement([document, document], Fields(), EVER, 100_000)


@tries(150)
@given(st.binary(max_size=60))
@example(b"\x02amount\0\xff\xff\xff\x7f")
@example(b"\x05amount\0\xfb\xff\xff\x7f\0")
@example(b"\x0camount\0\xf0\xff\xff\x7f\0")
@example(b"\x0famount\0\xff\xff\xff\x7f\0")
@example(b"\x03amount\0\x05\0\0\0\0\0")
@example(b"\x0ba\0b")
@example(b"\x10amount")
def test_any_bytes_inside_a_document_are_classified_like_the_reference(inside: bytes) -> None:
    require_agreement([frame(inside)], Fields(), EVER, 1)


@pytest.mark.parametrize("after", [b"\0", b"\xff", b"\x10amount\0\1\0\0\0"])
def test_bytes_after_a_chunk_are_not_read(after: bytes) -> None:
    raw = to_bson([("merchantId", 7), ("amount", 5), ("createdAt", DatetimeMS(9))])
    memory = np.array(bytearray(raw + (after * PADDING)[:PADDING]))
    decoder = BsonDecoder(Fields(), EVER)
    (batch,) = decoder.batches(Chunk("made up", memory, len(raw), 0))
    assert [column.tolist() for column in (batch.codes, batch.amounts, batch.instants)] == [[0], [5], [9]]
    assert decoder.merchants.texts() == ["7"]


def test_of_duplicate_fields_the_last_counts() -> None:
    raw = to_bson([("merchantId", 7), ("amount", 5), ("amount", "x"), ("amount", 6), ("createdAt", DatetimeMS(99))])
    assert read_bson(raw, Fields()).rows == [("7", 6, 99)]


def test_a_duplicate_parent_hides_fields_of_the_first() -> None:
    fields = Fields("m.id", "m.amount", "t")
    first, second = Nested([("id", "a"), ("amount", 1)]), Nested([("id", "b")])
    raw = to_bson([("m", first), ("m", second), ("t", DatetimeMS(0))])
    assert read_bson(raw, fields).reasons == [("amount", "missing")]


def test_a_field_path_does_not_enter_arrays() -> None:
    fields = Fields("m.0", "amount", "t")
    raw = to_bson([("m", ["a"]), ("amount", 1), ("t", DatetimeMS(0))])
    assert read_bson(raw, fields).reasons == [("merchant", "missing")]


def test_documents_longer_than_a_template_are_read_repeatedly() -> None:
    long = to_bson([("note", "x" * 600), ("merchantId", 7), ("amount", 5), ("createdAt", DatetimeMS(0))])
    assert read_bson(long * 5, Fields()).rows == [("7", 5, 0)] * 5


def test_a_document_of_the_largest_size_is_read() -> None:
    small = [("merchantId", 7), ("amount", 5), ("createdAt", DatetimeMS(0))]
    filler = 16 * 1024 * 1024 - len(to_bson([("x", b""), *small]))
    document = to_bson([("x", bytes(filler)), *small])
    assert len(document) == 16 * 1024 * 1024
    assert read_bson(document + document, Fields()).rows == [("7", 5, 0)] * 2
