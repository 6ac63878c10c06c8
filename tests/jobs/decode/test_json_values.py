"""Values of Extended JSON: exact values, and rejects with their reasons."""

from __future__ import annotations

import pytest
from decoded import read_json_lines, read_one_json

from core.errors import SourceDamaged
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
def test_an_invalid_amount_is_rejected_with_its_reason(amount: str, reason: str) -> None:
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
def test_every_spelling_of_an_integer_is_exact(amount: str, number: int) -> None:
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
def test_every_spelling_of_a_date_is_the_same_instant(time: str, instant: int) -> None:
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
def test_an_invalid_date_is_rejected_with_its_reason(time: str, reason: str) -> None:
    assert read_one_json(f'{{"m":"x","a":1,"t":{time}}}').reasons == [("time", reason)]


def test_an_object_id_may_be_written_with_escapes() -> None:
    for written in ('{"$oid":"0123456789abcdef0123456\\u0037"}', '{"\\u0024oid":"0123456789abcdef01234567"}'):
        assert read_one_json(f'{{"m":{written},"a":1,"t":{{"$date":0}}}}').rows == [("0123456789abcdef01234567", 1, 0)]


def test_values_with_escapes_are_read_in_any_order() -> None:
    escaped = '{"m":"x\\u0079","a":{"$numberLong":"1\\u0032"},"t":{"$date":"1970-01-01T00:00\\u005a"}}\n'
    plain = '{"m":"xy","a":{"$numberLong":"12"},"t":{"$date":"1970-01-01T00:00:00Z"}}\n'
    assert read_json_lines(((escaped + plain) * 90).encode(), Fields("m", "a", "t")).rows == [("xy", 12, 0)] * 180


def test_times_of_one_minute_are_read_with_any_fraction_and_without() -> None:
    fractions = {"": 0, ".0": 0, ".5": 500, ".07": 70, ".12": 120, ".987": 987, ".9876": 987, ".9999999": 999}
    wrong = (".", ".x", ".1x", ".-1", ".12:", ",123", ".1 3", "1")
    texts = [f"2024-03-19T20:39:{second:02}{rest}Z" for second in (0, 59) for rest in (*fractions, *wrong)]
    lines = "".join(f'{{"m":"x","a":1,"t":{{"$date":"{text}"}}}}\n' for text in [*texts, *reversed(texts)])
    instants = [1_710_880_740_000 + second * 1000 + ms for second in (0, 59) for ms in fractions.values()]
    decoded = read_json_lines(lines.encode(), Fields("m", "a", "t"))
    assert [instant for _, _, instant in decoded.rows] == [*instants, *reversed(instants)]
    assert decoded.reasons == [("time", "unreadable")] * 4 * len(wrong)


def test_integers_are_exact_with_any_number_of_digits() -> None:
    numbers = [sign * int("1234567890123456789"[:digits]) for digits in range(1, 20) for sign in (1, -1)]
    lines = "".join(f'{{"m":"x","a":{number},"t":{{"$date":0}}}}\n' for number in numbers)
    assert [amount for _, amount, _ in read_json_lines(lines.encode(), Fields("m", "a", "t")).rows] == numbers


def test_strings_of_any_length_are_read_and_control_characters_are_damage() -> None:
    fields = Fields("m", "a", "t")
    lines = [f'{{"m":"{"é" * (size % 2)}{"x" * size}","a":1,"t":{{"$date":0}}}}\n' for size in range(1, 75)]
    assert [len(name) for name, _, _ in read_json_lines("".join(lines).encode(), fields).rows] == [
        size + size % 2 for size in range(1, 75)
    ]
    for place in (0, 1, 30, 31, 32, 33, 63, 64, 74):
        text = f'{{"m":"{"x" * place}\x1f{"x" * (75 - place)}","a":1,"t":{{"$date":0}}}}\n'
        with pytest.raises(SourceDamaged) as caught:
            read_json_lines((lines[0] + text).encode(), fields)
        assert caught.value.offset == len(lines[0].encode()) + 6 + place
