"""The values of Extended JSON: what is read exactly, and what is rejected with which reason."""

from __future__ import annotations

import pytest
from decoded import read_json_lines, read_one_json

from jobs.decode.plan import Fields


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        ("NaN", "NaN"),
        ("Infinity", "infinity"),
        ("-Infinity", "infinity"),
        ('{"$numberDouble":"-Infinity"}', "infinity"),
        ("9007199254740993.0", "too large"),
        ("9223372036854775808", "too large"),
        ("1e400", "too large"),
        ("12.50", "fraction"),
        ("1e-400", "fraction"),
        ("true", "boolean"),
        ("null", "null"),
        ('"12"', "text"),
        ("[12]", "wrong type"),
        ('{"$numberLong":"12.0"}', "unreadable"),
        ('{"$numberLong":""}', "unreadable"),
        ('{"$numberLong":"-"}', "unreadable"),
        ('{"$numberLong":"1\\u0032x"}', "unreadable"),
        ('{"$numberInt":"2147483648"}', "unreadable"),
        ('{"$numberInt":"-2147483649"}', "unreadable"),
        ('{"$numberInt":2147483648}', "unreadable"),
        ('{"$numberInt":"99999999999999999999"}', "unreadable"),
        ('{"$numberLong":"9223372036854775808"}', "too large"),
        ('{"$numberDouble":"1e400"}', "too large"),
        ('{"$numberDecimal":"1E+6144"}', "too large"),
        ('{"\\u0024numberLong\\u0022":"12"}', "wrong type"),
        ('{"$numberLong":null}', "unreadable"),
        ('{"$numberLong":"12","x":1}', "unreadable"),
        ('{"$numberDecimal":"twelve"}', "unreadable"),
        ('{"$numberDouble":"0x10"}', "unreadable"),
        ('{"$numberPeople":"12"}', "wrong type"),
        ('{"$oid":"0123456789abcdef0123456"}', "unreadable"),
        ('{"$oid":"0123456789abcdef01234567"}', "wrong type"),
        ('{"$oid":12}', "unreadable"),
        ('{"$date":0}', "wrong type"),
    ],
)
def test_what_is_no_amount_is_rejected_with_its_reason(amount: str, reason: str) -> None:
    assert read_one_json(f'{{"m":"x","a":{amount},"t":{{"$date":0}}}}').reasons == [("amount", reason)]


@pytest.mark.parametrize(
    ("amount", "number"),
    [
        ("-0", 0),
        ("-0.0", 0),
        ("1e3", 1000),
        ("12.500e1", 125),
        ("9007199254740992.0", 2**53),
        ("-9223372036854775808", -(2**63)),
        ('{ "$numberInt" : 12 }', 12),
        ('{"$numberLong":"-9223372036854775808"}', -(2**63)),
        ('{"$numberDouble":"1.0E3"}', 1000),
        ('{"$numberDecimal":"9223372036854775807"}', 2**63 - 1),
        ('{"$numberDecimal":"12.00"}', 12),
        ('{"$numberInt":"2147483647"}', 2**31 - 1),
        ('{"$numberInt":"-2147483648"}', -(2**31)),
        ('{"$numberDouble":"-0.0"}', 0),
        ('{"$numberLong":"1\\u0032"}', 12),
        ('{"$numberInt":"\\u002d12"}', -12),
        ('{"$numberDouble":"1\\u002e5e1"}', 15),
        ('{"\\u0024number\\u0044ecimal":"1\\u0032"}', 12),
    ],
)
def test_every_way_to_write_an_integer_is_exact(amount: str, number: int) -> None:
    assert read_one_json(f'{{"m":"x","a":{amount},"t":{{"$date":0}}}}').rows == [("x", number, 0)]


@pytest.mark.parametrize(
    ("time", "instant"),
    [
        ('{"$date":"1970-01-01T00:00:00.007Z"}', 7),
        ('{"$date":"1970-01-01T03:30:00+0330"}', 0),
        ('{"$date":{"$numberLong":"-5"}}', -5),
        ('{ "$date" : { "$numberLong" : "-5" } }', -5),
        ('{"$date":1234567890123}', 1234567890123),
        ('{"$date":"1970-01-01T00:01Z"}', 60_000),
        ('{"$date":"1970-01-01T03:31+03:30"}', 60_000),
        ('{"$date":"1970-01-01T03:31+0330"}', 60_000),
        ('{"$date":"1969-12-31T21:01-03"}', 60_000),
        ('{"$date":"1970-01-01T03:30:00\\u002b03:30"}', 0),
        ('{"$date":"1970-01-01T00:00:00\\u005a"}', 0),
        ('{"$date":"\\u0031970-01-01T00:00:00.007Z"}', 7),
        ('{"\\u0024date":{"$number\\u004cong":"\\u002d5"}}', -5),
    ],
)
def test_every_way_to_write_a_date_is_the_same_instant(time: str, instant: int) -> None:
    assert read_one_json(f'{{"m":"x","a":1,"t":{time}}}').rows == [("x", 1, instant)]


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        ('{"$date":"1970-13-01T00:00:00Z"}', "unreadable"),
        ('{"$date":"1970-01-01T00:00"}', "unreadable"),
        ('{"$date":"1970-01-01T00:00.5Z"}', "unreadable"),
        ('{"$date":"1970-01-01T00:60Z"}', "unreadable"),
        ('{"$date":"1970-01-01T00Z"}', "unreadable"),
        ('{"$date":"1970-01-01T00:00:00\\u005b"}', "unreadable"),
        ('{"$date":{"$numberInt":"5"}}', "unreadable"),
        ('{"$date":{"$numberLong":"9223372036854775808"}}', "unreadable"),
        ('{"$date":{"$numberLong":"x"}}', "unreadable"),
        ('{"$date":{"$numberDouble":"5"}}', "unreadable"),
        ('{"$date":{"$numberLong":"5","x":1}}', "unreadable"),
        ('{"$date":{}}', "unreadable"),
        ('{"$date":[]}', "unreadable"),
        ('{"$date":1.5}', "unreadable"),
        ("0", "wrong type"),
        ('"1970-01-01T00:00:00Z"', "text"),
        ("{}", "wrong type"),
    ],
)
def test_what_is_no_date_is_rejected_with_its_reason(time: str, reason: str) -> None:
    assert read_one_json(f'{{"m":"x","a":1,"t":{time}}}').reasons == [("time", reason)]


def test_an_object_id_may_be_written_with_escapes() -> None:
    for written in ('{"$oid":"0123456789abcdef0123456\\u0037"}', '{"\\u0024oid":"0123456789abcdef01234567"}'):
        assert read_one_json(f'{{"m":{written},"a":1,"t":{{"$date":0}}}}').rows == [("0123456789abcdef01234567", 1, 0)]


def test_values_with_escapes_are_read_one_after_another_and_between_others() -> None:
    escaped = '{"m":"x\\u0079","a":{"$numberLong":"1\\u0032"},"t":{"$date":"1970-01-01T00:00\\u005a"}}\n'
    plain = '{"m":"xy","a":{"$numberLong":"12"},"t":{"$date":"1970-01-01T00:00:00Z"}}\n'
    assert read_json_lines(((escaped + plain) * 90).encode(), Fields("m", "a", "t")).rows == [("xy", 12, 0)] * 180
