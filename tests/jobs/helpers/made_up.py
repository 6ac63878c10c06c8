"""Documents made up by Hypothesis, written as BSON and as Extended JSON by `bson` itself, name by name.

A document is a list of pairs, so that names may repeat; a value of it is what `bson` encodes, a `Nested` document, or
`Raw` bytes that no encoder would write.
"""

from __future__ import annotations

import json
import struct
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import bson
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from bson.json_util import CANONICAL_JSON_OPTIONS, RELAXED_JSON_OPTIONS, dumps
from hypothesis import strategies as st

from jobs.decode.classify import Window
from jobs.decode.plan import Fields


@dataclass(frozen=True)
class Nested:
    """An embedded document."""

    pairs: list[tuple[str, Any]]


@dataclass(frozen=True)
class Raw:
    """A BSON value by its type and bytes."""

    kind: int
    content: bytes


Document = list[tuple[str, Any]]


def to_bson(document: Document) -> bytes:
    """The document as BSON."""
    return frame(b"".join(_element(name, value) for name, value in document))


def frame(elements: bytes) -> bytes:
    """Elements as a document: its length before, a NUL after."""
    return struct.pack("<i", len(elements) + 5) + elements + b"\0"


def _element(name: str, value: Any) -> bytes:
    if isinstance(value, Nested):
        return b"\x03" + name.encode() + b"\0" + to_bson(value.pairs)
    if isinstance(value, Raw):
        return bytes([value.kind]) + name.encode() + b"\0" + value.content
    return bson.encode({name: value})[4:-1]


@dataclass(frozen=True)
class Writing:
    """How JSON is written: canonical or relaxed, how texts are escaped, what stands between the tokens."""

    canonical: bool = False
    escapes: str = "none"
    space: str = ""

    def text(self, text: str) -> str:
        """A text in quotation marks."""
        if self.escapes == "all":
            units = text.encode("utf-16-be")
            return '"' + "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2)) + '"'
        return json.dumps(text, ensure_ascii=self.escapes == "ascii")

    def document(self, document: Document) -> str:
        """The document as Extended JSON."""
        space = self.space
        pairs = [f"{self.text(name)}{space}:{space}{self._value(value)}" for name, value in document]
        return "{" + space + f"{space},{space}".join(pairs) + space + "}"

    def _value(self, value: Any) -> str:
        if isinstance(value, Nested):
            return self.document(value.pairs)
        if isinstance(value, str) and not isinstance(value, Code):  # which is a str to Python
            return self.text(value)
        return dumps(value, json_options=CANONICAL_JSON_OPTIONS if self.canonical else RELAXED_JSON_OPTIONS)


writings = st.builds(
    Writing, st.booleans(), st.sampled_from(["none", "ascii", "all"]), st.sampled_from(["", " ", "\t "])
)

# A BSON name holds no NUL, and $ begins the names of Extended JSON.
names = st.one_of(
    st.sampled_from(["_id", "a", "amoun", "amounts", "merchantIdentity", "createdA", "card", "status", "", "پذیرنده"]),
    st.text(st.characters(exclude_characters="\0$", exclude_categories=["Cs"]), max_size=20),
)
texts = st.one_of(
    st.sampled_from(["", "42", "paid", "فروشگاه تهران", "a\0b", '"\\/\b\f\n\r\t', "😀", "x" * 300, "true", "null"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
edges = [0, 1, -1, 2**31 - 1, -(2**31), 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
integers = st.one_of(st.sampled_from(edges), st.integers(-(2**63), 2**63 - 1), st.integers(-1000, 1000))
doubles = st.one_of(
    st.sampled_from([0.0, -0.0, 1.5, 42.0, 2.0**53, 2.0**53 + 2, -(2.0**53), 2.0**63, 1e300, 5e-324]),
    st.floats(),
    st.integers(-(2**54), 2**54).map(float),
)
decimals = st.one_of(
    st.sampled_from(["0", "-0", "0E+6000", "1E+18", "1E+19", "1.50", "150E-2", "42.000", "9223372036854775807", "NaN"]),
    st.sampled_from(["-9223372036854775808", "9223372036854775808", "Infinity", "-Infinity", "1E-6176", "9E+6111"]),
    st.builds(lambda n, e: f"{n}E{e}", st.integers(-(10**20), 10**20), st.integers(-25, 25)),
    st.builds(lambda n, e: f"{n}E{e}", st.integers(-(10**34) + 1, 10**34 - 1), st.integers(-6176, 6111)),
).map(Decimal128)
dates = st.one_of(
    st.sampled_from([0, -1, 2**63 - 1, -(2**63), 253402300799999, 253402300800000, 1_719_230_400_000]),
    st.integers(1_577_836_800_000, 1_735_689_600_000),
    st.integers(-(10**15), 10**15),
).map(DatetimeMS)
object_ids = st.one_of(st.just(ObjectId("0123456789abcdef01234567")), st.binary(min_size=12, max_size=12).map(ObjectId))
others = st.sampled_from(
    [
        *([1, "x", None], [], Binary(b"\0\xff", 128), Regex("a.*", "ix"), Code("x"), Code("x", {"y": 1})),
        *(Timestamp(1, 2), MinKey(), MaxKey(), Nested([])),
        Nested([("amount", 3), ("deep", Nested([("a", [{"b": {}}])]))]),
    ]
).map(deepcopy)
values = st.one_of(integers, integers.map(Int64), doubles, decimals, dates, object_ids, texts, st.booleans(), others)
values = st.one_of(values, st.none())
amounts = st.one_of(integers, doubles, decimals)
merchants = st.one_of(object_ids, texts, integers)

_text = struct.pack("<i", 3) + b"ab\0"
raws = st.one_of(
    st.sampled_from(
        [
            Raw(0x06, b""),  # undefined
            Raw(0x0C, _text + bytes(12)),  # DBPointer
            Raw(0x0E, _text),  # symbol
            Raw(0x0F, struct.pack("<i", 16) + _text + b"\x05\0\0\0\0"),  # code with scope
            Raw(0x02, struct.pack("<i", 3) + b"\xff\xfe\0"),  # text that is not UTF-8
            Raw(0x02, struct.pack("<i", 4) + b"\xed\xa0\x80\0"),  # a lone surrogate
            Raw(0x08, b"\x02"),
            Raw(0x14, b"\0"),  # no such type
            Raw(0x02, struct.pack("<i", 99) + b"\0"),
            Raw(0x03, struct.pack("<i", 5) + b"\x01"),
            Raw(0x05, struct.pack("<i", -1) + b"\0"),
        ]
    ),
    st.binary(min_size=16, max_size=16).map(lambda content: Raw(0x13, content)),
    st.builds(Raw, st.integers(0, 255), st.binary(max_size=20)),
)

FIELDS = [
    Fields(),
    Fields(where=(("status", "paid"),)),
    Fields("shop.id", "card.amount", "card.at", (("card.kind", "42"), ("status", "null"))),
    Fields("card", "card.amount.of.all", "card.amount.at", (("card.flag", "true"),)),
    Fields("merchantIdentity", "پذیرنده", "createdAt", (("x", "0123456789ABCDEF01234567"), ("amount", "-1"))),
]
windows = st.builds(
    lambda a, b, c, d: Window(min(a, b), max(a, b), min(c, d), max(c, d)),
    *[st.sampled_from([-(2**62), 0, 1_600_000_000_000, 1_700_000_000_000, 253402300800000, 2**62])] * 4,
)


@st.composite
def documents(draw: st.DrawFn, fields: Fields, *, raw: bool) -> Document:
    """A document that often can be counted by `fields`; with `raw`, also of values that no encoder writes."""
    fitting: dict[str, st.SearchStrategy[Any]] = {
        fields.time: dates,
        fields.merchant: merchants,
        fields.amount: amounts,
    }
    any_value = st.one_of(values, raws) if raw else values
    document: Document = []
    for path in fields.paths():
        if path not in fitting:
            fitting[path] = st.sampled_from(
                [form for name, text in fields.where if name == path for form in _forms(text)]
            )
        if fate := draw(st.integers(0, 11)):
            _put(document, path.split("."), draw(any_value if fate == 1 else fitting[path]), merge=fate != 2)
    document += draw(st.lists(st.tuples(names, any_value), max_size=2))
    if document and draw(st.integers(0, 5)) == 0:
        document.append((draw(st.sampled_from(document))[0], draw(any_value)))
    return draw(st.permutations(document))


def _forms(text: str) -> list[Any]:
    """What a filter for `text` lets pass, and what it nearly does."""
    forms: dict[str, list[Any]] = {
        "true": [True, False, 1],
        "null": [None, 0],
        "42": [42, 42.0, Int64(42), Decimal128("42.0"), 43, "042"],
        "-1": [-1],
    }
    ids = [ObjectId(text), ObjectId(text[::-1])] if len(text) == 24 else []
    return [text, text, *forms.get(text, []), *ids]


def _put(document: Document, names_: list[str], value: Any, *, merge: bool) -> None:
    """Add `value` at a path; with `merge` into the embedded document that is there."""
    if len(names_) == 1:
        document.append((names_[0], value))
        return
    there = [v for n, v in document if n == names_[0] and isinstance(v, Nested)] if merge else []
    inner = there[0] if there else Nested([])
    if not there:
        document.append((names_[0], inner))
    _put(inner.pairs, names_[1:], value, merge=merge)
