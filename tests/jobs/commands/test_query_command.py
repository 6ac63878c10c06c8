"""``query`` as a user calls it."""

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


def test_a_table_names_the_currency_and_groups_digits(jobs: CommandLine) -> None:
    said = jobs("query", "top_merchants", "--limit", "1", CURRENCY="IRT")
    assert (said.code, said.err) == (0, "")
    headings, row = (re.split(r"\s{2,}", line.strip()) for line in said.out.splitlines())
    assert headings == ["place", "merchant_id", "amount IRT", "count", "mean_amount IRT", "share_percent"]
    assert row == ["1", SHOP, f"{2 * EXACT:,}", "2", f"{float(EXACT):,.2f}", "100.00"]


def test_the_columns_of_a_table_are_aligned_beside_persian_names(jobs: CommandLine) -> None:
    lines = jobs("query", "top_merchants").out.splitlines()
    assert {cell_len(line) for line in lines} == {cell_len(lines[0])}
    assert len(lines[1]) > len(lines[2])  # by the character that has no width


def test_a_name_cannot_command_the_terminal(tmp_path: Path) -> None:
    write_bson(tmp_path / "shop.bson", [Transaction("a\x1b[2Jb\n", 5, DAYS[0])])
    jobs = CommandLine(tmp_path)
    jobs("rebuild", "shop.bson")
    assert "  a\\x1b[2Jb\\n  " in jobs("query", "top_merchants").out


def test_a_null_is_a_dash(jobs: CommandLine) -> None:
    lines = jobs("query", "monthly_growth").out.splitlines()
    assert lines[1].split() == ["1403/03", "1", "31", f"{EXACT:,}", "-", "-", "1", "-", "-"]


def test_json_has_exact_integers_and_nulls(jobs: CommandLine) -> None:
    said = jobs("query", "month_to_date", "--merchant-id", SHOP, "--to=1403/04/02", "--json")
    assert said.json == [
        {"day": "1403/04/01", "day_of_month": 1, "amount": EXACT, "amount_to_date": EXACT, "amount_before": None,
         "count": 1, "count_to_date": 1, "count_before": None},
        {"day": "1403/04/02", "day_of_month": 2, "amount": 0, "amount_to_date": EXACT, "amount_before": None,
         "count": 0, "count_to_date": 1, "count_before": None},
    ]  # fmt: skip


def test_csv(jobs: CommandLine) -> None:
    said = jobs("query", "weekday-profile", "--format", "csv", "--from", "۱۴۰۳/۰۴/۰۱")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["weekday_name"] for row in rows] == ["Saturday", "Sunday", "Monday", "Friday"]
    assert rows[3]["amount"] == str(EXACT - 7)


def test_an_answer_without_rows_still_has_its_headings(jobs: CommandLine) -> None:
    for form, shown in (("json", "[]\n"), ("csv", "merchant_id,last_day,"), ("table", "merchant_id  last_day  ")):
        said = jobs("query", "silent_merchants", "--format", form)
        assert said.code == 0
        assert said.out.startswith(shown)


def test_the_list_names_each_query_with_its_purpose_and_parameters(jobs: CommandLine) -> None:
    said = jobs("query", "--list")
    assert (said.code, said.err) == (0, "")
    assert "top_merchants\n  Who sold most in a day, week or month.\n  --period  period " in said.out
    assert "mean_amount" not in said.out


def test_the_list_of_one_query_tells_all_about_it(jobs: CommandLine) -> None:
    said = jobs("query", "top_merchants", "--list")
    assert "Merchants that come to the same share a place" in said.out
    assert "mean_amount    Float64  amount per transaction, in CURRENCY\n" in said.out


def test_the_list_for_machines(jobs: CommandLine) -> None:
    [query] = jobs("query", "top_merchants", "--list", "--json").json
    assert query["parameters"][2] == {
        "name": "limit", "kind": "integer>=1", "default": "10", "about": "how many places",
    }  # fmt: skip


def test_an_unknown_query_is_an_error(jobs: CommandLine) -> None:
    said = jobs("query", "bottom_merchants", "--json")
    assert "There are month_to_date, " in said.require_failure(2, "there is no query 'bottom_merchants'")
    assert said.json["error"]["exit_code"] == 2


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
    said = jobs("query", "top_merchants", *arguments)
    said.require_failure(2, sentence)
    assert said.out == ""


def test_no_query_is_an_error_that_leads_to_the_list(jobs: CommandLine) -> None:
    assert "query --list" in jobs("query").require_failure(2, "no query is named")


def test_nothing_published_is_an_error(tmp_path: Path) -> None:
    empty = CommandLine(tmp_path)
    empty("rebuild", "missing.bson")
    empty("query", "top_merchants").require_failure(1, "nothing is published yet")
