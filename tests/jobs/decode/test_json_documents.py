"""Extended JSON of every kind gives the result of the same documents as BSON."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from bson import Decimal128, Int64
from bson.datetime_ms import DatetimeMS
from decoded import EVER, Decoded, read_bson, read_json_lines, read_json_stream, read_one_json
from effort import COMPILED, tries
from hypothesis import given
from hypothesis import strategies as st
from made_up import FIELDS, Nested, Writing, documents, to_bson, windows, writings

from core.errors import SourceDamaged, UsageError
from jobs.decode.classify import Window
from jobs.decode.decoder import JsonDecoder
from jobs.decode.plan import Fields

SMALL_CHANGES = [
    *(bytes([c]) for c in b'"\\{}[]:,.-+0123456789eEaAtTfFnNZ \xff\xd9'),
    b"",
    b'\\"',
    b"\\u0031",
    b"null",
    b"12",
]
CHUNKS = st.sampled_from([1, 7, 100, 100_000])
LONG = 9000 if COMPILED else 4200
"""More characters than the initial capacity of a decoder."""


def require_same(found: Decoded, expected: Decoded) -> None:
    assert found.rows == expected.rows
    assert found.counts == expected.counts
    assert found.reasons == expected.reasons


@tries(200)
@given(st.data(), st.sampled_from(FIELDS), windows, writings, CHUNKS)
def test_json_lines_give_the_result_of_the_same_bson(
    data: st.DataObject, fields: Fields, window: Window, writing: Writing, chunk_bytes: int
) -> None:
    made_up = data.draw(st.lists(documents(fields, raw=False), max_size=6))
    lines = "".join(writing.document(document) + "\n" for document in made_up).encode()
    expected = read_bson(b"".join(map(to_bson, made_up)), fields, window)
    require_same(read_json_lines(lines, fields, window, chunk_bytes), expected)
    assert read_json_lines(lines.rstrip(b"\n"), fields, window, chunk_bytes).rows == expected.rows


@tries(150)
@given(st.data(), st.sampled_from(FIELDS), windows, writings, st.sampled_from(["", " ", "\n\t", "\r\n"]), CHUNKS)
def test_arrays_and_multi_line_documents_give_the_result_of_the_same_bson(
    data: st.DataObject, fields: Fields, window: Window, writing: Writing, space: str, chunk_bytes: int
) -> None:
    writing = replace(writing, space=space)
    made_up = data.draw(st.lists(documents(fields, raw=False), max_size=5))
    expected = read_bson(b"".join(map(to_bson, made_up)), fields, window)
    texts = [writing.document(document) for document in made_up]
    array = f"{space}[{space}{f'{space},{space}'.join(texts)}{space}]{space}".encode()
    require_same(read_json_stream(array, fields, window, chunk_bytes, array=True), expected)
    stream = space.join(texts).encode()
    require_same(read_json_stream(stream, fields, window, chunk_bytes, array=False), expected)


def require_similar_texts_distinct(texts: list[bytes], fields: Fields, chance: random.Random, *, array: bool) -> None:
    """Texts with small changes give together what each gives alone, to a decoder that has seen nothing before."""
    alike = list(texts)
    expected = Decoded()
    sound: list[bytes] = []
    for _ in range(40):
        text = bytearray(chance.choice(alike))
        for _ in range(chance.choice([0, 0, 1, 1, 2])):
            at = chance.randrange(len(text))
            text[at : at + chance.choice([0, 1, 1, 1, 2])] = chance.choice(SMALL_CHANGES)
        try:
            alone = read_json_lines(bytes(text), fields)
        except SourceDamaged:
            with pytest.raises(SourceDamaged):
                read_json_lines(b"\n".join([*texts, *texts, bytes(text)]), fields)
            continue
        if alone.counts.read == 1:
            sound.append(bytes(text))
            alike.append(bytes(text))
            expected.rows += alone.rows
            expected.rejects += alone.rejects
            expected.counts += alone.counts
    if array:
        require_same(read_json_stream(b"[" + b",".join(sound) + b"]", fields, array=True), expected)
    else:
        require_same(read_json_lines(b"\n".join(sound), fields), expected)


@tries(80, 3)
@given(st.data(), st.sampled_from(FIELDS), writings, st.randoms(use_true_random=False), st.booleans())
def test_similar_documents_are_not_confused_by_the_template_cache(
    data: st.DataObject, fields: Fields, writing: Writing, chance: random.Random, array: bool
) -> None:
    made_up = data.draw(st.lists(documents(fields, raw=False), min_size=1, max_size=3))
    texts = [writing.document(document).encode() for document in made_up]
    require_similar_texts_distinct(texts, fields, chance, array=array)


@pytest.mark.parametrize("value", [Decimal128("42"), Decimal128("9E+300"), 42.0, float("nan")])
@pytest.mark.parametrize("canonical", [False, True])
def test_a_merchant_that_is_a_double_or_a_decimal_is_of_the_wrong_type(value: Any, canonical: bool) -> None:
    document = Writing(canonical).document([("m", value), ("a", 1), ("t", DatetimeMS(0))])
    assert read_one_json(document).reasons == [("merchant", "wrong type")]


def test_of_duplicate_fields_the_last_counts() -> None:
    document = Writing().document([("t", DatetimeMS(0)), ("a", 1), ("m", "x"), ("a", None), ("a", 2), ("m", "y")])
    assert read_one_json(document).rows == [("y", 2, 0)]


def test_a_duplicate_parent_hides_fields_of_the_first() -> None:
    pairs = [("t", DatetimeMS(0)), ("p", Nested([("m", "x"), ("a", 1)])), ("p", 5), ("p", Nested([("m", "y")]))]
    assert read_one_json(Writing().document(pairs), Fields("p.m", "p.a", "t")).reasons == [("amount", "missing")]


@tries(200, 30)
@given(st.data())
def test_similar_dates_are_not_confused(data: st.DataObject) -> None:
    dates = st.sampled_from(
        ["2024-02-29T23:59:59.999Z", "2024-02-29T23:59:00Z", "2023-02-29T23:59:07.5Z", "1970-01-01T00:00Z"]
    )
    changes = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("0123456789:-.TZ+ x")), max_size=2)
    lines = []
    for date in data.draw(st.lists(dates, min_size=2, max_size=12)):
        text = list(date)
        for at, character in data.draw(changes):
            text[at : at + 1] = character
        lines.append(f'{{"m":"x","a":1,"t":{{"$date":"{"".join(text)}"}}}}')
    alone = [read_one_json(line) for line in lines]
    together = read_one_json("\n".join(lines))
    assert together.rows == [row for found in alone for row in found.rows]
    assert together.reasons == [reason for found in alone for reason in found.reasons]


@pytest.mark.parametrize("merchant", ["\\ud800", "\\udc00x", "\\ud800\\u0041", "\udcff", "x\udcc0\udc80"])
def test_a_merchant_id_with_invalid_unicode_is_rejected(merchant: str) -> None:
    assert read_one_json(f'{{"m":"{merchant}","a":1,"t":{{"$date":0}}}}').reasons == [("merchant", "not UTF-8")]


def test_ever_longer_escapes_are_read() -> None:
    name, text = "\\u0061" * LONG, "\\n" * LONG
    found = read_one_json(f'{{"{name}":1,"m":"{text}","a":1,"t":{{"$date":0}}}}')
    assert found.rows == [("\n" * LONG, 1, 0)]


def test_ever_longer_escaped_text_is_read() -> None:
    assert read_one_json('{"m":"' + "\\n" * LONG + '","a":1,"t":{"$date":0}}').rows == [("\n" * LONG, 1, 0)]


@pytest.mark.parametrize("name", ['a"b', "a\\b", 'm":"x","a', "a\tb", 'a\\"'])
def test_escaped_field_names_are_read_or_refused(name: str) -> None:
    document = Writing().document([("m", "x"), ("a", 1), (name, Int64(5)), ("t", DatetimeMS(0))])
    fields = Fields("m", name, "t")
    try:
        JsonDecoder(fields, EVER, one_line=True)
    except UsageError:
        return
    assert read_one_json(document, fields).rows == [("x", 5, 0)]


HAND_WRITTEN = [
    b'{"m":"x","a":{"$numberLong":12},"t":{"$date":0}}',
    b'{"m":{"$oid":"0123456789abcdef01234567"},"a":{"$numberDouble":1.5},"t":{"$date":{"$numberLong":5}}}',
    b'{ "m" : -5 , "a" : { "$numberDecimal" : 5 } , "t" : { "$date" : { "$numberLong" : "5" } } }',
    b'{"m":"x","x":[1,"2",{"y":-3.5e1,"z":"a"}],"a":-Infinity,"t":{"$date":"1970-01-01T00:00:00Z"},"n":NaN}',
    b'{"":"","m":"","a":"","t":"","m":"x","a":5,"t":{"$date":0}}',
]


@tries(80, 6)
@given(st.data(), st.randoms(use_true_random=False))
def test_similar_texts_are_not_confused(data: st.DataObject, chance: random.Random) -> None:
    where = data.draw(st.sampled_from([(), (("m.$oid", "0123456789abcdef01234567"),), (("a.$numberLong", "12"),)]))
    require_similar_texts_distinct(HAND_WRITTEN, Fields("m", "a", "t", where), chance, array=False)


def test_a_value_and_a_path_into_its_extended_json_are_both_read() -> None:
    fields = Fields("m", "a", "t", (("m.$oid", "00000000000000000000000" + "1"),))
    lines = [f'{{"m":{{"$oid":"{i % 2:024x}"}},"a":{i},"t":{{"$date":0}}}}' for i in range(1, 9)]
    assert [amount for _, amount, _ in read_one_json("\n".join(lines), fields).rows] == [1, 3, 5, 7]
