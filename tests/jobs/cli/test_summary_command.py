"""The ``summary`` command: formats, ranges and errors."""

from __future__ import annotations

import csv
import io
import os
from datetime import UTC, datetime
from pathlib import Path

import bson
import pytest
from command_line import CommandLine
from transactions import Transaction, write_bson

EXACT = 2**53 + 1
SHOP = "فروشگاه\u200cهای تهران"
DAYS = [datetime(2024, 6, day, 12, tzinfo=UTC) for day in (20, 21, 24)]  # 1403/03/31, 1403/04/01, 1403/04/04


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A command line whose store holds three days of two merchants; no test changes it."""
    folder = tmp_path_factory.mktemp("summaries")
    transactions = [Transaction(SHOP, bson.Int64(EXACT), day) for day in DAYS] + [Transaction(42, -7, DAYS[1])]
    write_bson(folder / "shop.bson", transactions)
    jobs = CommandLine(folder)
    assert jobs("rebuild", "shop.bson").code == 0
    return jobs


def test_the_default_output_is_a_table(jobs: CommandLine) -> None:
    result = jobs("summary", "--mode", "daily", "--type", "amount")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "period                 amount IRR\n"
        "1403/03/31  9,007,199,254,740,993\n"
        "1403/04/01  9,007,199,254,740,986\n"
        "1403/04/04  9,007,199,254,740,993\n"
    )


def test_json_equals_the_api_response_with_exact_integers(jobs: CommandLine) -> None:
    series = ("summary", "--mode", "monthly", "--type", "amount", "--merchant-id", SHOP)
    points = [{"key": "1403/03", "value": EXACT}, {"key": "1403/04", "value": 2 * EXACT}]
    assert jobs(*series, "--format", "json").json == points
    assert jobs(*series, "--json").json_lines == points
    assert jobs(*series, "--format", "jsonl").json_lines == points


def test_csv_has_key_and_value(jobs: CommandLine) -> None:
    result = jobs("summary", "--mode", "weekly", "--type", "amount", "--format", "csv")
    assert result.out == f"key,value\n1403/W14,{2 * EXACT - 7}\n1403/W15,{EXACT}\n"
    assert len(list(csv.reader(io.StringIO(result.out)))) == 3


def test_counts_can_be_printed(jobs: CommandLine) -> None:
    result = jobs("summary", "--mode", "weekly", "--type", "count")
    assert result.out == "period    count\n1403/W14      3\n1403/W15      1\n"


def test_a_merchant_id_may_be_a_number(jobs: CommandLine) -> None:
    result = jobs("summary", "--mode", "daily", "--type", "amount", "--merchant-id", "42", "--json")
    assert result.json_lines == [{"key": "1403/04/01", "value": -7}]


@pytest.mark.parametrize(
    ("first", "last"), [("1403/04/01", "1403/04/03"), ("۱۴۰۳/۰۴/۰۱", "۱۴۰۳/۰۴/۰۳"), ("2024-06-21", "2024-06-23")]
)
def test_a_range_may_have_keys_in_latin_or_persian_digits_or_dates(jobs: CommandLine, first: str, last: str) -> None:
    result = jobs("summary", "--mode", "daily", "--type", "count", "--from", first, "--to", last, "--json")
    assert result.json_lines == [{"key": "1403/04/01", "value": 2}]


def test_a_range_without_transactions_is_empty(jobs: CommandLine) -> None:
    for form, shown in (("json", "[]\n"), ("jsonl", ""), ("csv", "key,value\n"), ("table", "period  count\n")):
        result = jobs("summary", "--mode", "daily", "--type", "count", "--from", "1404/01/01", "--format", form)
        assert (result.code, result.out) == (0, shown)


@pytest.mark.parametrize("command", [("summary", "--type", "count"), ("export", "-", "--format", "csv")])
def test_a_reversed_range_is_refused(jobs: CommandLine, command: tuple[str, ...]) -> None:
    result = jobs(*command, "--mode", "daily", "--from", "1403/04/03", "--to", "2024-06-21")
    result.require_failure(2, "--from 1403/04/03 is after --to 1403/04/01")
    assert result.out == ""


def test_an_unknown_merchant_is_an_error(jobs: CommandLine) -> None:
    result = jobs("summary", "--mode", "daily", "--type", "count", "--merchant-id", "nobody", "--json")
    result.require_failure(1, "there is no merchant nobody")
    assert result.json["error"]["exit_code"] == 1


@pytest.mark.parametrize(("mode", "key"), [("daily", "1403/04"), ("weekly", "1403/W60"), ("monthly", "2024-06")])
def test_a_key_of_another_mode_or_calendar_is_an_error(jobs: CommandLine, mode: str, key: str) -> None:
    result = jobs("summary", "--mode", mode, "--type", "count", "--from", key)
    assert f"--from and --to must be {mode} keys, or Gregorian dates." in result.require_failure(2, key)
    assert result.out == ""


def test_keys_are_those_of_the_published_calendar(jobs: CommandLine) -> None:
    result = jobs(
        "summary", "--mode", "daily", "--type", "count", "--from", "1403/04/04", "--json", CALENDAR="gregorian"
    )
    assert result.json_lines == [{"key": "1403/04/04", "value": 1}]


def test_nothing_published_is_an_error(tmp_path: Path) -> None:
    empty = CommandLine(tmp_path)
    empty("rebuild", "missing.bson")
    empty("summary", "--mode", "daily", "--type", "count").require_failure(1, "nothing is published yet")


def test_a_closed_pipe_shows_no_traceback(jobs: CommandLine) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = jobs("summary", "--mode", "daily", "--type", "count", stdout=write_end)
    os.close(write_end)
    assert (result.code, result.err) == (1, "")
