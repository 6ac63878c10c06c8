"""The ``query`` command: named queries, their output formats, help and errors."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path

import bson
import pytest
from command_line import CommandLine
from rich.cells import cell_len
from transactions import Transaction, write_bson

EXACT = 2**53 + 1
SHOP = "فروشگاه\u200cهای تهران"
DAYS = [datetime(2024, 6, day, 12, tzinfo=UTC) for day in (20, 21, 24)]  # 1403/03/31, 1403/04/01, 1403/04/04


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A command line whose store holds three days of two merchants; no test changes it."""
    folder = tmp_path_factory.mktemp("queries")
    transactions = [Transaction(SHOP, bson.Int64(EXACT), day) for day in DAYS] + [Transaction(42, -7, DAYS[1])]
    write_bson(folder / "shop.bson", transactions)
    jobs = CommandLine(folder)
    assert jobs("rebuild", "shop.bson").code == 0
    return jobs


def test_a_table_names_the_currency_of_the_store_and_groups_digits(jobs: CommandLine) -> None:
    result = jobs("query", "top_merchants", "--limit", "1", CURRENCY="EUR")
    assert (result.code, result.err) == (0, "")
    headings, row = (re.split(r"\s{2,}", line.strip()) for line in result.out.splitlines())
    assert headings == [
        "place",
        "merchant_id",
        "amount IRR",
        "count",
        "mean_amount IRR",
        "share_percent",
        "merchant_name",
    ]
    assert row == ["1", SHOP, f"{2 * EXACT:,}", "2", f"{float(EXACT):,.2f}", "100.00", "-"]


def test_the_columns_of_a_table_are_aligned_with_persian_names(jobs: CommandLine) -> None:
    lines = jobs("query", "top_merchants").out.splitlines()
    before_the_last = [line.rsplit(maxsplit=1)[0].rstrip() for line in lines]
    assert {cell_len(line) for line in before_the_last} == {cell_len(before_the_last[0])}
    assert len(lines[1]) > len(lines[2])  # by the character that has no width


def test_terminal_escapes_in_names_are_neutralized(tmp_path: Path) -> None:
    write_bson(tmp_path / "shop.bson", [Transaction("a\x1b[2Jb\n", 5, DAYS[0])])
    jobs = CommandLine(tmp_path)
    jobs("rebuild", "shop.bson")
    assert "  a\\x1b[2Jb\\n  " in jobs("query", "top_merchants").out


def test_a_null_is_shown_as_a_dash(jobs: CommandLine) -> None:
    lines = jobs("query", "monthly_growth").out.splitlines()
    assert lines[1].split() == ["1403/03", "1", "31", f"{EXACT:,}", "-", "-", "1", "-", "-"]


def test_json_has_exact_integers_and_nulls(jobs: CommandLine) -> None:
    result = jobs("query", "month_to_date", "--merchant-id", SHOP, "--to=1403/04/02", "--format", "json")
    assert result.json == [
        {"day": "1403/04/01", "day_of_month": 1, "amount": EXACT, "amount_to_date": EXACT, "amount_before": None,
         "count": 1, "count_to_date": 1, "count_before": None},
        {"day": "1403/04/02", "day_of_month": 2, "amount": 0, "amount_to_date": EXACT, "amount_before": None,
         "count": 0, "count_to_date": 1, "count_before": None},
    ]  # fmt: skip


def test_csv_has_a_header_and_exact_values(jobs: CommandLine) -> None:
    result = jobs("query", "weekday-profile", "--format", "csv", "--from", "۱۴۰۳/۰۴/۰۱")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert [row["weekday_name"] for row in rows] == ["Saturday", "Sunday", "Monday", "Friday"]
    assert rows[3]["amount"] == str(EXACT - 7)


def test_an_empty_result_has_its_headings(jobs: CommandLine) -> None:
    for form, shown in (
        ("json", "[]\n"),
        ("jsonl", ""),
        ("csv", "merchant_id,last_day,"),
        ("table", "merchant_id  last_day  "),
    ):
        result = jobs("query", "silent_merchants", "--format", form)
        assert result.code == 0
        assert result.out.startswith(shown)


def test_the_list_names_each_query_with_its_purpose_and_parameters(jobs: CommandLine) -> None:
    result = jobs("query", "--list")
    assert (result.code, result.err) == (0, "")
    heading = "top_merchants\n  The merchants with the highest amounts or counts of a day, week or month.\n"
    assert f"{heading}  --period  period " in result.out
    assert "mean_amount" not in result.out


def test_the_list_of_one_query_describes_it_in_full(jobs: CommandLine) -> None:
    result = jobs("query", "top_merchants", "--list")
    assert "Merchants with equal values share a place" in result.out
    assert "mean_amount    Float64  amount per transaction, in CURRENCY\n" in result.out


@pytest.mark.parametrize("option", ["--help", "-h", "--list"])
def test_help_for_a_query_lists_parameters_and_defaults(option: str, jobs: CommandLine) -> None:
    result = jobs("query", "top-merchants", option)
    assert (result.code, result.err) == (0, "")
    assert "\n  parameters, and their [defaults]\n" in result.out
    assert "\n  --limit   integer>=1    [10]      number of places to show\n" in result.out


def test_help_without_a_query_is_that_of_the_command(jobs: CommandLine) -> None:
    result = jobs("query", "--help")
    assert result.code == 0
    assert result.out.startswith("Usage: ")
    assert "--queries DIR" in result.out


OWN = """/*
about: How many merchants there were.
parameters: []
reads:
- {table: daily}
columns:
- {name: merchants, kind: Int64, about: how many}
*/
SELECT COUNT(DISTINCT merchant_id) AS merchants FROM daily WHERE merchant_id IS NOT NULL
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "how_many.sql").write_text(OWN)
    (tmp_path / "weekday_profile.sql").write_text(OWN)
    (tmp_path / "broken.sql").write_text(OWN.replace("DISTINCT merchant_id", "nothing"))
    (tmp_path / "headless.sql").write_text("SELECT 1")
    return tmp_path


def test_a_user_defined_query_is_run_by_its_name(jobs: CommandLine, own: Path) -> None:
    assert jobs("query", "how-many", "--queries", own, "--json").json_lines == [{"merchants": 2}]
    assert jobs("query", "weekday_profile", "--queries", own, "--json").json_lines == [{"merchants": 2}]
    assert jobs("query", "top_merchants", "--queries", own, "--limit", "1").code == 0
    assert "How many merchants there were." in jobs("query", "how_many", "--queries", own, "--help").out
    assert "Its parameters are: none." in jobs("query", "how_many", "--queries", own, "--limit", "1").require_failure(2)


def test_errors_in_a_user_defined_query_name_its_file(jobs: CommandLine, own: Path) -> None:
    result = jobs("query", "broken", "--queries", own)
    assert f"Correct {own}/broken.sql." in result.require_failure(1, "the query broken cannot be run")
    result = jobs("query", "headless", "--queries", own)
    result.require_failure(1, f"the header of {own}/headless.sql cannot be read")
    result = jobs("query", "nothing", "--queries", own)
    assert "how_many, " in result.require_failure(2, "there is no query 'nothing'")
    jobs("query", "nothing", "--queries", own / "gone").require_failure(2, "there is no folder")


def test_csv_escapes_formulas_unless_raw_is_requested(tmp_path: Path) -> None:
    names = ['=HYPERLINK("https://x.example")', "@SUM(A1)", "+98-21", "\t=1+1", "＝1", "-5", "a=b"]
    write_bson(tmp_path / "shop.bson", [Transaction(name, 5, DAYS[0]) for name in names])
    jobs = CommandLine(tmp_path)
    assert jobs("rebuild", "shop.bson").code == 0
    for options, apostrophe in (((), "'"), (("--raw",), "")):
        result = jobs("query", "top_merchants", "--format", "csv", *options)
        shown = {row["merchant_id"] for row in csv.DictReader(io.StringIO(result.out))}
        assert shown == {*(f"{apostrophe}{name}" for name in names[:5]), "-5", "a=b"}
    assert {row["merchant_id"] for row in jobs("query", "top_merchants", "--json").json_lines} == set(names)
    jobs("query", "top_merchants", "--raw").require_failure(2, "--raw is for CSV only")


def test_the_list_is_available_as_json(jobs: CommandLine) -> None:
    [query] = jobs("query", "top_merchants", "--list", "--json").json_lines
    assert [query] == jobs("query", "top_merchants", "--list", "--format", "json").json
    assert query["parameters"][2] == {
        "name": "limit", "kind": "integer>=1", "default": "10", "about": "number of places to show",
    }  # fmt: skip


def test_an_unknown_query_is_an_error(jobs: CommandLine) -> None:
    result = jobs("query", "bottom_merchants", "--json")
    assert "The queries are month_to_date, " in result.require_failure(2, "there is no query 'bottom_merchants'")
    assert result.json["error"]["exit_code"] == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--limit", "0"), "'0' is not a value of limit"),
        (("--top", "3"), "has no parameter top"),
        (("--limit",), "--limit has no value"),
        (("5",), "'5' is not the name of a parameter"),
        (("--limit=5", "--limit", "6"), "--limit is given twice"),
    ],
)
def test_wrong_parameters_are_errors(jobs: CommandLine, arguments: tuple[str, ...], sentence: str) -> None:
    result = jobs("query", "top_merchants", *arguments)
    result.require_failure(2, sentence)
    assert result.out == ""


def test_a_missing_query_name_is_an_error_that_mentions_the_list(jobs: CommandLine) -> None:
    assert "query --list" in jobs("query").require_failure(2, "no query name is given")


def test_nothing_published_is_an_error(tmp_path: Path) -> None:
    empty = CommandLine(tmp_path)
    empty("rebuild", "missing.bson")
    empty("query", "top_merchants").require_failure(1, "nothing is published yet")
