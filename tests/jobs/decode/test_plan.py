"""Field paths, and the trees they make."""

from __future__ import annotations

import pytest
from bson.datetime_ms import DatetimeMS
from decoded import EVER, read_bson
from made_up import Nested, to_bson

from core.errors import UsageError
from jobs.decode.classify import rules_for
from jobs.decode.plan import MAX_DEPTH, Fields, plan_paths


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a\0b", ".".join("a" * (MAX_DEPTH + 1))])
def test_an_invalid_field_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="is not a field path"):
        plan_paths((path,), b"\0")


def test_more_filters_than_supported_are_refused() -> None:
    with pytest.raises(UsageError, match="63 different fields"):
        plan_paths(tuple(f"f{i}" for i in range(63)), b"\0")


def test_the_deepest_path_is_read() -> None:
    path = ".".join("abcdefghijklmnop")
    value: object = 5
    for name in reversed(path.split(".")):
        value = Nested([("x", 1), (name, value)])
    assert isinstance(value, Nested)
    raw = to_bson([("m", "x"), ("t", DatetimeMS(0)), *value.pairs])
    assert read_bson(raw, Fields("m", path, "t")).rows == [("x", 5, 0)]


def test_up_to_62_filters_are_supported() -> None:
    where = tuple((f"a long field name {i}", str(i)) for i in range(59))
    good = [("m", "x"), ("a", 5), ("t", DatetimeMS(0)), *((name, int(value)) for name, value in where)]
    fields = Fields("m", "a", "t", where)
    found = read_bson(to_bson(good) + to_bson([*good, (where[58][0], 0)]), fields)
    assert found.rows == [("x", 5, 0)]
    assert found.counts.filtered == 1


def test_two_filters_on_one_path_must_both_match() -> None:
    fields = Fields("m", "a", "t", (("s", "1"), ("s", "2")))
    raw = [to_bson([("m", "x"), ("a", 5), ("t", DatetimeMS(0)), ("s", value)]) for value in ("1", "2", 1)]
    assert read_bson(b"".join(raw), fields).counts.filtered == 3


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("42", [42, 42.0, "42"]),
        ("042", ["042"]),
        ("9223372036854775807", [2**63 - 1, "9223372036854775807"]),
        ("9223372036854775808", ["9223372036854775808"]),
        ("true", [True, "true"]),
        ("false", [False, "false"]),
        ("null", [None, "null"]),
        ("", [""]),
        ("پرداخت", ["پرداخت"]),
    ],
)
def test_a_filter_matches_every_type_of_its_text(text: str, holds: list[object]) -> None:
    fields = Fields("m", "a", "t", (("s", text),))
    tried = [42, 42.0, 42.5, "42", "042", 2**63 - 1, "9223372036854775807", "9223372036854775808", True, "true", False]
    tried += ["false", None, "null", "", "پرداخت", [], {}, 0, 1, DatetimeMS(42)]
    raw = [to_bson([("m", str(i)), ("a", 5), ("t", DatetimeMS(0)), ("s", value)]) for i, value in enumerate(tried)]
    passed = [tried[int(merchant)] for merchant, _, _ in read_bson(b"".join(raw), fields).rows]
    assert [(type(value), value) for value in passed] == sorted(
        ((type(value), value) for value in holds), key=lambda pair: [(type(v), v) for v in tried].index(pair)
    )


def test_roles_can_share_a_field_path() -> None:
    fields = Fields("x", "x", "t", (("x", "1"),))
    assert fields.paths() == ("t", "x")
    assert rules_for(fields, EVER).roles.tolist() == [0, 1, 1]
    raw = to_bson([("x", 1), ("t", DatetimeMS(7))])
    assert read_bson(raw, fields).rows == [("1", 1, 7)]
