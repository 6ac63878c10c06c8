"""Decimals, text amounts, other times and other CSV from the command line, on both stores."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import CommandLine
from foreign_writer import ForeignWriter

from core.stores import open_stores

pytestmark = pytest.mark.parametrize("store_url", ["sqlite", "mongo"], indirect=True)

LINES = (
    {"merchantId": "a", "amount": 12.5, "createdAt": "24/06/2024 10:00:00"},
    {"merchantId": "b", "amount": "۷٫۲۵", "createdAt": "24/06/2024 11:00:00"},
    {"merchantId": "a", "amount": {"$numberDecimal": "1000.000"}, "createdAt": "25/06/2024 00:00:00"},
)
OPTIONS = (
    "--amount-scale", "2", "--amount-text", "--time-format", "%d/%m/%Y %H:%M:%S", "--time-zone-of-text", "Asia/Tehran",
)  # fmt: skip
SETTINGS = {
    "AMOUNT_SCALE": "2",
    "AMOUNT_TEXT": "true",
    "TIME_FORMAT": "%d/%m/%Y %H:%M:%S",
    "TIME_ZONE_OF_TEXT": "Asia/Tehran",
}


@pytest.fixture
def jobs(store_url: str, tmp_path: Path) -> CommandLine:
    (tmp_path / "sales.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in LINES))
    return CommandLine(tmp_path, STORE_URL=store_url)


def test_amounts_are_stored_in_minor_and_shown_in_major_units(jobs: CommandLine) -> None:
    result = jobs("rebuild", "sales.jsonl", *OPTIONS, CURRENCY="USD")
    assert result.code == 0, result
    assert "3 transactions, 1,019.75 USD" in result.out
    table = jobs("summary", "--mode", "daily", "--type", "amount").out.split("\n")
    assert [line.split() for line in table[:3]] == [
        ["period", "amount", "USD"], ["1403/04/04", "19.75"], ["1403/04/05", "1,000.00"],
    ]  # fmt: skip
    assert jobs("summary", "--mode", "daily", "--type", "amount", "--format", "json").json[0]["value"] == 1975
    status = jobs("status").out
    assert "amount 1,019.75 USD" in status
    assert "amounts with 2 decimal place(s), amounts as text, times as %d/%m/%Y %H:%M:%S in Asia/Tehran" in status
    assert "--amount-scale 2 --amount-text --time-format '%d/%m/%Y %H:%M:%S'" in status
    assert "1,012.50" in jobs("query", "top_merchants").out
    [headings, *_, day] = jobs("query", "month_to_date").out.splitlines()
    assert re.split(r"\s{2,}", headings)[2:5] == ["amount USD", "amount_to_date USD", "amount_before USD"]
    assert day.split()[2:4] == ["1,000.00", "1,019.75"]
    described = jobs("export", "x.csv", "--mode", "daily", "--json").json
    assert (described["currency"], described["scale"]) == ("USD", 2)


def test_drift_is_shown_in_major_units(jobs: CommandLine) -> None:
    assert jobs("rebuild", "sales.jsonl", *OPTIONS, CURRENCY="USD").code == 0
    (jobs.folder / "sales.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in LINES[:2]))
    result = jobs("verify", "sales.jsonl", *OPTIONS)
    assert result.code == 4
    lines = [re.split(r"\s{2,}", line.strip()) for line in result.out.splitlines()]
    headings = ["mode", "period", "merchant", "published USD", "recounted USD", "published count", "recounted"]
    assert headings in lines
    assert ["monthly", "1403/04", "all together", "1,019.75", "19.75", "3", "2"] in lines
    assert ["daily", "1403/04/05", "a", "1,000.00", "0.00", "1", "0"] in lines


def test_amount_options_are_part_of_the_fingerprint(jobs: CommandLine) -> None:
    assert jobs("rebuild", "sales.jsonl", CURRENCY="USD", **SETTINGS).code == 0
    days = ("--from", "1403/04/04", "--to", "1403/04/04")
    assert jobs("rebuild", "sales.jsonl", *days, *OPTIONS).code == 0, "the currency is that of the store"
    assert jobs("verify", "sales.jsonl", *OPTIONS).code == 0
    for changed, difference in (
        (("--amount-scale", "3"), "amount_scale is 2 in the store and 3 now"),
        (("--no-amount-text",), "amount_text is True in the store and False now"),
        (("--time-format", "iso"), "time_format is '%d/%m/%Y %H:%M:%S' in the store and 'iso' now"),
        (("--time-zone-of-text", "Etc/UTC"), "text_zone is 'Asia/Tehran' in the store and 'Etc/UTC' now"),
        (("--csv-decimal-comma",), "csv_decimal_comma is False in the store and True now"),
    ):
        jobs("rebuild", "sales.jsonl", *days, *OPTIONS, *changed).require_failure(1, difference)
        jobs("verify", "sales.jsonl", *OPTIONS, *changed).require_failure(1, difference)
    result = jobs("verify", "sales.jsonl", *OPTIONS, CURRENCY="IRR")
    result.require_failure(1, "currency is 'USD' in the store and 'IRR' now")


def test_the_csv_delimiter_may_differ_per_file(jobs: CommandLine) -> None:
    text = "merchantId,amount,createdAt\na,5,2024-06-24T10:00:00Z\n"
    for name, delimiter in (("one.csv", ";"), ("other.csv", "\t")):
        (jobs.folder / name).write_text(text.replace(",", delimiter))
    assert jobs("rebuild", "one.csv", "--csv-delimiter", ";").code == 0
    assert jobs("verify", "other.csv", "--csv-delimiter", "tab").code == 0
    jobs("verify", "other.csv", "--csv-delimiter", ";").require_failure(1, "must have each of these columns once")


def test_a_store_without_a_currency_takes_that_of_the_next_run(jobs: CommandLine, store_url: str) -> None:
    assert jobs("rebuild", "sales.jsonl", *OPTIONS).code == 0
    ForeignWriter(store_url).forget_currency()
    days = ("--from", "1403/04/04", "--to", "1403/04/04")
    assert jobs("rebuild", "sales.jsonl", *days, *OPTIONS).code == 0
    with open_stores(store_url, timeout_s=10, create=False) as stores:
        published = stores.summaries.published()
        assert published is not None
        assert published.fingerprint.currency is None, "no run has named it"
    assert "amount 1,019.75 IRR" in jobs("status").out
    assert jobs("rebuild", "sales.jsonl", *days, *OPTIONS, CURRENCY="EUR").code == 0
    with open_stores(store_url, timeout_s=10, create=False) as stores:
        published = stores.summaries.published()
        assert published is not None
        assert (published.fingerprint.currency, published.fingerprint.amount_scale) == ("EUR", 2)
