"""Fuzzing: random and mutated bytes give a result or a readable error, never a crash."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace

import pytest
from archives import Segment, archive
from changes import changed
from decoded import attempted, read_as_file, read_bson, read_json_lines, read_json_stream
from effort import COMPILED, tries
from hypothesis import example, given
from hypothesis import strategies as st
from made_up import FIELDS, Writing, documents, frame, to_bson

from jobs.decode.plan import Fields

START = [b"", b"{", b"[", b"[{", b"\x6d\xe2\x99\x81", b"\x1f\x8b\x08\0", b"_id,merchantId,amount,createdAt\n", b"PAR1"]
START += [
    b"\xef\xbb\xbf{",
    b"\x20\0\0\0\x10",
    b'{"merchantId":',
    b'[{"createdAt":{"$date":"',
    b"merchantId,amount,createdAt\n1,2,",
]
CHUNKS = st.sampled_from([1, 5, 64, 100_000])
TYPE_NUMBERS = range(256) if COMPILED else [*range(0x16), 0x7F, 0x80, 0xFF]


@tries(400, 40)
@given(st.sampled_from(START), st.binary(max_size=80), st.sampled_from(FIELDS), CHUNKS)
@example(b"a,a\n", b"1,2\n", Fields("a", "a", "a"), 100_000)
@example(b"a,b,b\n", b"1,2,3\n", Fields("a", "b", "a"), 100_000)
@example(b"a,\xff\n", b"1,2\n", Fields("a", "a", "a"), 100_000)
@example(b'"a,b', b"", Fields("a", "a", "a"), 100_000)
def test_random_bytes_give_a_result_or_an_error(start: bytes, rest: bytes, fields: Fields, chunk_bytes: int) -> None:
    found, sentence = attempted(lambda: read_as_file(start + rest, fields, chunk_bytes=chunk_bytes))
    assert found or sentence
    if found:
        assert found.counts.counted == len(found.rows)
        for reject in found.rejects:
            reject.document()


@tries(300, 25)
@given(st.data(), st.sampled_from(FIELDS), CHUNKS, st.randoms(use_true_random=False))
def test_mutated_bson_gives_a_result_or_an_error(
    data: st.DataObject, fields: Fields, chunk_bytes: int, chance: random.Random
) -> None:
    raw = b"".join(
        to_bson(document) for document in data.draw(st.lists(documents(fields, raw=True), min_size=1, max_size=4))
    )
    found, sentence = attempted(lambda: read_bson(changed(raw, chance), fields, chunk_bytes=chunk_bytes))
    assert found or "at byte" in sentence
    if found:
        assert found.counts.counted == len(found.rows)


@tries(400, 25)
@given(st.data(), st.sampled_from(FIELDS), CHUNKS, st.randoms(use_true_random=False), st.sampled_from(["", " ", "\n"]))
def test_mutated_json_gives_a_result_or_an_error(
    data: st.DataObject, fields: Fields, chunk_bytes: int, chance: random.Random, space: str
) -> None:
    made_up = data.draw(st.lists(documents(fields, raw=False), min_size=1, max_size=4))
    writing = Writing(canonical=chance.random() < 0.5, escapes=chance.choice(["none", "all"]), space=space)
    texts = [writing.document(document) for document in made_up]
    array = changed(f"[{','.join(texts)}]".encode(), chance)
    lines = changed("\n".join(replace(writing, space="").document(d) for d in made_up).encode(), chance)
    attempts = [
        lambda: read_json_lines(lines, fields, chunk_bytes=chunk_bytes),
        lambda: read_json_stream(lines, fields, chunk_bytes=chunk_bytes, array=False),
        lambda: read_json_stream(array, fields, chunk_bytes=chunk_bytes, array=True),
    ]
    for attempt in attempts:
        found, sentence = attempted(attempt)
        assert found or "at byte" in sentence
        if found:
            assert found.counts.counted == len(found.rows)
            for reject in found.rejects:
                reject.document()


@tries(300, 20)
@given(CHUNKS, st.randoms(use_true_random=False), st.booleans())
def test_a_mutated_archive_gives_all_documents_or_an_error(
    chunk_bytes: int, chance: random.Random, compressed: bool
) -> None:
    mine = [
        frame(b"\x10amount\0\1\0\0\0\x10merchantId\0\1\0\0\0\x09createdAt\0" + bytes(7) + bytes([i])) for i in range(3)
    ]
    content = archive(
        [Segment("shop.transaction", mine[:2]), Segment("shop.users", mine), Segment("shop.transaction", mine[2:])]
    )
    whole = read_as_file(content)
    assert whole.counts.counted == 3
    content = gzip.compress(content, 1) if compressed else content
    found, sentence = attempted(lambda: read_as_file(changed(content, chance), chunk_bytes=chunk_bytes))
    assert found or sentence
    if found:
        assert found.rows == whole.rows


@tries(200, 20)
@given(st.randoms(use_true_random=False), CHUNKS)
def test_mutated_csv_gives_a_result_or_an_error(chance: random.Random, chunk_bytes: int) -> None:
    content = (
        b'merchantId,amount,createdAt,note\nObjectId(0123456789abcdef01234567),5,1970-01-01T00:00:00Z,"a,\n""b"\n' * 2
    )
    found, sentence = attempted(lambda: read_as_file(changed(content, chance), chunk_bytes=chunk_bytes))
    assert found or sentence
    if found:
        for reject in found.rejects:
            reject.document()


@pytest.mark.parametrize("kind", TYPE_NUMBERS)
def test_no_value_at_the_end_of_a_buffer_is_read_beyond_it(kind: int) -> None:
    for content in (b"", b"\0", b"\x7f\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80"):
        raw = frame(bytes([kind]) + b"amount\0" + content)
        assert read_bson(raw, Fields()).counts.rejected == 1
