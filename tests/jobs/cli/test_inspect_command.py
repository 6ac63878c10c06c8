"""The ``inspect`` command, and suggestions for misspelt field names."""

from __future__ import annotations

import json
import math
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import bson
import pytest
from command_line import CommandLine
from live_collections import fill
from rich.cells import cell_len
from transactions import write_bson

AT = datetime(2024, 6, 24, 8, tzinfo=UTC)
DOCUMENTS = [
    {"shop": {"id": f"s{n % 7}"}, "total": bson.Int64(n), "paidAt": AT, "state": "failed" if n % 3 else "paid",
     "callback": "https://u:s3cret@shop.example/p?token=s3cret"}
    for n in range(60)
]  # fmt: skip
OPTIONS = ("--merchant-field", "shop.id", "--amount-field", "total", "--time-field", "paidAt")
CSV = "merchant,total,created_at\n" + "".join(f"m{n % 3},{n},2024-06-24T08:00:00Z\n" for n in range(9))


@pytest.fixture
def jobs(tmp_path: Path) -> CommandLine:
    write_bson(tmp_path / "the shop.bson", DOCUMENTS)
    (tmp_path / "shop.csv").write_text(CSV)
    return CommandLine(tmp_path)


def test_the_suggested_command_runs(jobs: CommandLine) -> None:
    result = jobs("inspect", "the shop.bson")
    assert (result.code, result.err) == (0, "")
    assert "all of its 60 documents" in result.out
    assert "To count only some of them: --where state=paid (failed 40, paid 20).\n" in result.out
    assert "s3cret" not in result.out
    command = shlex.split(result.out.splitlines()[-1])
    assert command[:3] == ["python", "-m", "jobs"]
    assert jobs(*command[3:]).code == 0


def test_the_report_fits_80_columns(jobs: CommandLine) -> None:
    document = {"a_very_long_name_of_a_field_that_nobody_wants_to_type": "فروشگاه تهران " * 20, "createdAt": AT}
    write_bson(jobs.folder / "wide.bson", [document, document | {"createdAt": "text"}])
    lines = jobs("inspect", "wide.bson").out.partition("\n\n")[2].partition("\n\n")[0].splitlines()
    assert len(lines) == 3
    assert max(map(cell_len, lines)) in (79, 80)
    assert "فروشگاه" in lines[1]


def test_json_output_is_one_object(jobs: CommandLine) -> None:
    found = jobs("inspect", "shop.csv", "--documents", "5", "--json").json
    assert (found["form"], found["documents"], found["has_more"], found["rejected"]) == ("CSV", 5, True, 0)
    assert found["fields"][1] == {
        "path": "total", "reachable": True, "documents": 5, "types": {"integer": 5}, "examples": ["0", "1", "2"],
    }  # fmt: skip
    assert found["roles"]["amount"] == {
        "option": "--amount-field", "path": "total", "options": [], "counted": 5, "rejected": {}, "others": [],
    }  # fmt: skip
    assert jobs(*found["command"][3:]).code == 0


def test_json_output_is_one_line_even_for_errors(jobs: CommandLine) -> None:
    for arguments in (("rebuild", "shop.csv"), ("inspect", "shop.csv"), ("status",), ("rebuild", "gone.csv")):
        result = jobs(*arguments, "--json")
        assert result.out.count("\n") == 1, result
        assert isinstance(result.json, dict)


def test_expected_rejects_are_reported_with_the_option_to_allow_them(jobs: CommandLine) -> None:
    usual = {"merchantId": "m", "createdAt": AT}
    write_bson(jobs.folder / "some.bson", [usual | {"amount": 5}] * 3 + [usual | {"amount": math.nan}])
    result = jobs("inspect", "some.bson").out
    assert "3 of 4  1 NaN\n" in result
    assert "This command would reject 1 of these 4 documents" in result
    assert "add --max-reject-ratio 0.25 or slightly more" in result


def test_a_source_without_dates_gets_no_suggested_command(jobs: CommandLine) -> None:
    write_bson(jobs.folder / "text.bson", [{"merchantId": "m", "amount": 5, "createdAt": "yesterday"}])
    result = jobs("inspect", "text.bson")
    assert result.code == 0
    assert "No field is suitable as the time, which must be a date: createdAt is text.\n" in result.out
    assert "No command can be suggested" in result.out


def test_a_live_collection_is_inspected_without_showing_its_password(
    jobs: CommandLine, mongo_database_url: str
) -> None:
    fill(mongo_database_url, DOCUMENTS, "payments")
    result = jobs("inspect", mongo_database_url, "--collection", "payments", "--documents", "10")
    assert result.code == 0, result
    assert "live collection, its first 10 documents" in result.out
    assert "callback" in result.out
    shown = shlex.split(result.out.rstrip().splitlines()[-1 if "@" not in mongo_database_url else -2])
    assert shown[-8:] == ["--collection", "payments", *OPTIONS]
    assert jobs("rebuild", mongo_database_url, *shown[-8:]).code == 0


def test_a_live_run_with_a_wrong_field_suggests_the_right_one(jobs: CommandLine, mongo_database_url: str) -> None:
    fill(mongo_database_url, DOCUMENTS)
    result = jobs("rebuild", mongo_database_url, *OPTIONS[:2], *OPTIONS[4:])
    assert "Did you mean `--amount-field total`? " in result.require_failure(3, "60 amount: missing")
    refresh = jobs("refresh", mongo_database_url, *OPTIONS[:4], "--time-field", "at")
    assert "Did you mean `--time-field paidAt`? " in refresh.require_failure(3)


@pytest.mark.parametrize(
    ("options", "code", "meant"),
    [
        (("--time-field", "paidOn", *OPTIONS[:4]), 3, "--time-field paidAt"),
        (("--amount-field", "state", *OPTIONS[:2], *OPTIONS[4:]), 3, "--amount-field total"),
        (("--merchant-field", "shop", *OPTIONS[2:]), 3, "--merchant-field shop.id"),
        ((*OPTIONS, "--where", "status=paid"), 1, "--where state=paid"),
    ],
)
def test_a_wrong_field_gets_a_suggestion(options: tuple[str, ...], code: int, meant: str, jobs: CommandLine) -> None:
    result = jobs("rebuild", "the shop.bson", *options).require_failure(code)
    assert f"Did you mean `{meant}`" in result
    assert "See all fields with: python -m jobs inspect 'the shop.bson'. " in result


def test_a_missing_column_gets_a_suggestion_for_standard_input_too(jobs: CommandLine) -> None:
    for source, content in (("shop.csv", b""), ("-", CSV.encode())):
        result = jobs("rebuild", source, "--merchant-field", "merchant", "--time-field", "created_at", stdin=content)
        assert "Did you mean `--amount-field total`?" in result.require_failure(
            1, "must have each of these columns once: amount"
        )


def test_suggestions_for_standard_input_come_from_its_rejects(jobs: CommandLine) -> None:
    result = jobs("rebuild", "-", *OPTIONS[:4], "--json", stdin=(jobs.folder / "the shop.bson").read_bytes())
    assert "Did you mean `--time-field paidAt`? Nothing was published." in result.require_failure(3)
    assert json.loads(result.out)["error"]["exit_code"] == 3


def test_verify_suggests_the_right_field(jobs: CommandLine) -> None:
    assert jobs("rebuild", "the shop.bson", *OPTIONS).code == 0
    wrong = jobs("verify", "the shop.bson", *OPTIONS[:2], *OPTIONS[4:])
    wrong.require_failure(1, "amount_field is 'total' in the store and 'amount' now")
    renamed = [{"sum" if name == "total" else name: value for name, value in one.items()} for one in DOCUMENTS]
    write_bson(jobs.folder / "renamed.bson", renamed)
    result = jobs("verify", "renamed.bson", *OPTIONS).require_failure(3, "60 of 60 documents were rejected")
    assert "Did you mean `--amount-field sum`? See all fields with: python -m jobs inspect renamed.bson. " in result


def test_correct_fields_get_no_suggestion(jobs: CommandLine) -> None:
    usual = {"merchantId": "m", "createdAt": AT, "total": 5}
    write_bson(jobs.folder / "some.bson", [usual | {"amount": 5}, usual | {"amount": math.nan}])
    assert "Did you mean" not in jobs("rebuild", "some.bson").require_failure(3, "1 of 2 documents were rejected")


def test_an_unreadable_source_is_reported_in_one_sentence(jobs: CommandLine) -> None:
    (jobs.folder / "empty.bson").touch()
    for source, sentence in (
        ("gone.bson", "cannot be read"),
        ("empty.bson", "is empty"),
        (sys.executable, "unsupported format"),
    ):
        jobs("inspect", source).require_failure(1, sentence)
    jobs("inspect").require_failure(2, "no SOURCE is given")
    jobs("inspect", "").require_failure(2, "a SOURCE is empty")
