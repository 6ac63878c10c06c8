"""Rejected documents for the quarantine file: whole, and readable by `bson.json_util`."""

from __future__ import annotations

import json
import re
from typing import Any

import bson
import pytest
from bson import Binary
from bson.codec_options import DatetimeConversion
from bson.json_util import CANONICAL_JSON_OPTIONS, JSONOptions, dumps, loads
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from made_up import Writing, documents, frame, to_bson, writings

from jobs.decode.documents import bson_document, json_document
from jobs.decode.plan import Fields


def written_and_read(document: Any) -> Any:
    """The document after a trip through the quarantine file. Dates before year 1 or after 9999 need the option."""
    line = dumps({"d": document}, json_options=CANONICAL_JSON_OPTIONS, ensure_ascii=False)
    return loads(line, json_options=JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO))["d"]


@tries(300, 100)
@given(st.data(), st.booleans())
def test_a_bson_document_is_stored_as_json_or_as_its_bytes(data: st.DataObject, raw: bool) -> None:
    content = to_bson(data.draw(documents(Fields(), raw=raw)))
    document = bson_document(content)
    written_and_read(document)
    if isinstance(document, dict):
        assert bson.encode(document) == content
    else:
        assert document == Binary(content)
        assert written_and_read(document) == content


@tries(300, 100)
@given(st.data(), writings)
def test_a_json_document_is_stored_as_json_or_as_its_text(data: st.DataObject, writing: Writing) -> None:
    made_up = data.draw(documents(Fields(), raw=False))
    text = writing.document(made_up)
    document = json_document(text.encode())
    again = written_and_read(document)
    if isinstance(document, str):
        assert again == text
        assert len({name for name, _ in made_up}) < len(made_up) or "$" in text
    else:
        assert list(again) == [name for name, _ in made_up]


NAMES = """$oid $date $numberLong $numberInt $numberDouble $numberDecimal $binary $timestamp $uuid $regularExpression
$code $scope $symbol $undefined $minKey $maxKey $ref $id $db $regex $options $type $dbPointer pattern options t i"""
wrappers = st.sampled_from([*re.findall(r"\S+", NAMES), "base64", "subType"])
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["1", "00", "x"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(wrappers, inner, max_size=3)),
    max_leaves=8,
)


@tries(500, 200)
@given(st.dictionaries(wrappers, anything, max_size=3))
def test_json_that_resembles_extended_json_is_stored_unchanged(content: dict[str, Any]) -> None:
    text = json.dumps({"d": content})
    document = json_document(text.encode())
    again = written_and_read(document)
    assert isinstance(document, dict) or again == text


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":2}', '{"a":99999999999999999999}', '{"a":"\\ud800"}', '{"a":' + "[" * 1000 + "]" * 1000 + "}"]
)
def test_json_that_bson_cannot_represent_is_stored_as_text(text: str) -> None:
    assert json_document(text.encode()) == text


def test_json_that_is_not_valid_utf_8_is_stored_as_bytes() -> None:
    assert json_document(b'{"a":"\xff"}') == Binary(b'{"a":"\xff"}')


@pytest.mark.parametrize("inside", [b"\x02a\0\x7f\0\0\0", b"\x06a\0", b"\x10a\0\1\0\0\0\x10a\0\2\0\0\0", b"\x14a\0"])
def test_bson_that_does_not_round_trip_is_stored_as_bytes(inside: bytes) -> None:
    content = frame(inside)
    assert bson_document(content) == Binary(content)
