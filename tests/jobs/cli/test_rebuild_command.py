"""The ``rebuild`` command: options, output and exit codes."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import bson
import pytest
from command_line import CommandLine
from transactions import Transaction, published_rows, spread, summaries_of, write_bson

from core.stores import open_stores

FIRST = spread(["a", "فروشگاه"], days=12)
SECOND = spread(["a", "b"], days=12, amount=70_000)


@pytest.fixture
def jobs(tmp_path: Path) -> CommandLine:
    write_bson(tmp_path / "first.bson", FIRST)
    write_bson(tmp_path / "second.bson", SECOND)
    return CommandLine(tmp_path)


def published(jobs: CommandLine) -> dict[tuple[str, str, str | None], tuple[int, int]]:
    """Everything in the default store."""
    with open_stores(f"sqlite:///{jobs.folder}/summaries.db", timeout_s=10, create=False) as stores:
        return dict(published_rows(stores))


def test_the_output_shows_what_was_read_and_published(jobs: CommandLine) -> None:
    result = jobs("rebuild", "first.bson", "second.bson")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(
        "Read 48 documents from 2 source(s): BSON.\nCounted 48, rejected 0, filtered out 0, out of range 0.\nPublished "
    )
    total = sum(one.amount for one in FIRST + SECOND)
    assert f"of 1402/12/26 to 1403/01/08 as generation 1 (run 1): 48 transactions, {total:,} IRR, in " in result.out
    assert published(jobs) == summaries_of(FIRST + SECOND)


def test_a_store_with_summaries_needs_truncate_or_a_range(jobs: CommandLine) -> None:
    assert jobs("rebuild", "first.bson").code == 0
    err = jobs("rebuild", "second.bson").require_failure(2, "the store already has")
    assert "--truncate" in err
    assert "--from DAY --to DAY" in err
    assert published(jobs) == summaries_of(FIRST)
    assert jobs("rebuild", "second.bson", "--truncate").code == 0
    assert published(jobs) == summaries_of(SECOND)


def test_removing_most_transactions_needs_allow_shrink(jobs: CommandLine) -> None:
    assert jobs("rebuild", "first.bson").code == 0
    write_bson(jobs.folder / "less.bson", FIRST[:11])
    err = jobs("rebuild", "less.bson", "--truncate").require_failure(5, "13 of the 24 published transactions")
    assert "--allow-shrink" in err
    failed = jobs("rebuild", "less.bson", "--to", "1403/01/08", "--json")
    assert (failed.code, failed.json["error"]["type"], failed.json["error"]["exit_code"]) == (5, "WouldShrink", 5)
    (jobs.folder / "empty.json").write_text("[]")
    for how in ("--truncate", "--from=1403/01/01"):
        err = jobs("rebuild", "empty.json", how).require_failure(1, "nothing was counted: there are no documents")
        assert "--allow-empty" in err
        jobs("rebuild", "empty.json", how, "--allow-empty").require_failure(5, "published transactions")
    assert published(jobs) == summaries_of(FIRST)
    assert jobs("rebuild", "less.bson", "--truncate", "--allow-shrink").code == 0
    assert published(jobs) == summaries_of(FIRST[:11])
    with open_stores(f"sqlite:///{jobs.folder}/summaries.db", timeout_s=10, create=False) as stores:
        assert stores.runs.recent(1)[0].command == "rebuild less.bson --truncate --allow-shrink"


def test_help_lists_the_exit_codes(jobs: CommandLine) -> None:
    output = " ".join(jobs("--help").out.split())
    assert "4 drift found by verify, 5 would remove too many published transactions (see --allow-shrink)" in output
    for verb in ("rebuild", "refresh", "verify"):
        assert "--allow-shrink" in jobs(verb, "--help").out


def test_a_range_may_have_persian_digits_or_gregorian_dates(jobs: CommandLine) -> None:
    assert jobs("rebuild", "first.bson").code == 0
    result = jobs("rebuild", "second.bson", "--from", "۱۴۰۳/۰۱/۰۱", "--to", "2024-03-21", "--json")
    assert result.code == 0
    run = result.json["run"]
    assert (run["first_day_key"], run["last_day_key"]) == ("1403/01/01", "1403/01/02")
    assert run["counts"] == {"read": 24, "counted": 4, "rejected": 0, "filtered": 0, "out_of_range": 20}
    shown = jobs("status", "2")
    assert "replaced     1403/01/01 to 1403/01/02" in shown.out


def test_standard_input_is_a_source(jobs: CommandLine) -> None:
    content = gzip.compress((jobs.folder / "first.bson").read_bytes())
    result = jobs("rebuild", "-", stdin=content)
    assert result.code == 0
    assert "1 source(s): BSON, gzip." in result.out
    assert published(jobs) == summaries_of(FIRST)


def test_standard_input_can_be_added_to_a_file(jobs: CommandLine) -> None:
    result = jobs("rebuild", "-", "second.bson", stdin=(jobs.folder / "first.bson").read_bytes())
    assert result.code == 0
    assert published(jobs) == summaries_of(FIRST + SECOND)


def test_empty_standard_input_is_an_error(jobs: CommandLine) -> None:
    jobs("rebuild", "-").require_failure(1, "standard input is empty (0 bytes)")


def test_filters_and_field_names_are_options(jobs: CommandLine) -> None:
    documents = [
        {"shop": {"id": one.merchant}, "paid": {"sum": one.amount, "at": one.at}, "state": state}
        for one in FIRST
        for state in ("done", "void")
    ]
    write_bson(jobs.folder / "other.bson", documents)
    fields = ["--merchant-field", "shop.id", "--amount-field", "paid.sum", "--time-field", "paid.at"]
    result = jobs("rebuild", "other.bson", *fields, "--where", "state=done")
    assert result.code == 0
    assert "Counted 24, rejected 0, filtered out 24" in result.out
    assert published(jobs) == summaries_of(FIRST)
    err = jobs("rebuild", "first.bson", "--from", "1403/01/01").require_failure(
        1, "the store was built with other settings"
    )
    where = "where is state=done in the store and nothing now"
    for named in ("merchant_field is 'shop.id' in the store", "amount_field", "time_field", where):
        assert named in err
    assert "filters: state=done" in jobs("status").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--where", "status"], "--where status is not a condition"),
        (["--where", "=paid"], "--where =paid is not a condition"),
        (["--where", "x=1", "--where", "x=2"], "--where names x twice"),
        (["--amount-field", "merchantId"], "must be three different fields"),
        (["--amount-field", "a..b"], "'a..b' is not a field path"),
        (["--amount-field", "amount.value", "--merchant-field", ""], "'' is not a field path"),
        (["--truncate", "--from", "1403/01/01"], "cannot be combined with"),
        (["--from", "1403/01/32"], "1403/01/32"),
        (["--from", "yesterday"], "yesterday"),
        (["--from", "2024-02-30"], "2024-02-30"),
        (["--from", "0001-01-01"], "or like the Gregorian date 2024-06-24"),
        (["first.bson"], "first.bson is given twice"),
    ],
)
def test_contradicting_options_are_refused(jobs: CommandLine, arguments: list[str], sentence: str) -> None:
    jobs("rebuild", "first.bson", *arguments).require_failure(2, sentence)
    with open_stores(f"sqlite:///{jobs.folder}/summaries.db", timeout_s=10) as stores:
        assert stores.summaries.published() is None
        assert stores.runs.recent(1) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["first.bson", "--max-reject-ratio", "1.5"],
        ["first.bson", "--max-reject-ratio", "nan"],
        ["first.bson", "--threads", "0"],
        ["first.bson", "--colour"],
    ],
)
def test_unknown_options_are_a_usage_error(jobs: CommandLine, arguments: list[str]) -> None:
    result = jobs("rebuild", *arguments)
    assert result.code == 2
    assert "Traceback" not in result.err
    usage, hint, _, problem = result.err.rstrip().split("\n")
    assert usage.startswith("Usage: ")
    assert hint.endswith("rebuild -h' for help.")
    assert problem.startswith("Error: ")


def test_too_many_rejects_have_their_own_exit_code(jobs: CommandLine) -> None:
    write_bson(jobs.folder / "bad.bson", [*FIRST, FIRST[0].document() | {"amount": "12"}])
    err = jobs("rebuild", "bad.bson").require_failure(3, "1 of 25 documents were rejected (1 amount: text)")
    (quarantine,) = (jobs.folder / "quarantine").iterdir()
    assert f"The rejects are in quarantine/{quarantine.name};" in err
    status = jobs("status").out
    assert status.startswith("Nothing is published yet.")
    assert "1 of 25 documents were rejected" in status


def test_a_run_with_allowed_rejects_is_published_as_degraded(jobs: CommandLine) -> None:
    bad = FIRST[0].document() | {"amount": "12"}
    write_bson(jobs.folder / "bad.bson", [*FIRST, bad])
    result = jobs("rebuild", "bad.bson", "--max-reject-ratio", "0.05")
    assert result.code == 0
    assert "Counted 24, rejected 1," in result.out
    assert "  1 rejected: amount: text\nThe rejects are in quarantine/run-000001-" in result.out
    assert "degraded   1 documents were rejected; see status 1" in jobs("status").out
    one = jobs("status", "1").out
    assert "status       degraded: published with rejects" in one
    assert "reject       1 amount: text" in one
    assert published(jobs) == summaries_of(FIRST)


def test_the_degraded_state_is_shown_even_after_many_failed_runs(jobs: CommandLine) -> None:
    write_bson(jobs.folder / "bad.bson", [*FIRST, FIRST[0].document() | {"amount": "12"}])
    assert jobs("rebuild", "bad.bson", "--max-reject-ratio", "0.05").code == 0
    assert jobs("rebuild", "bad.bson", "--truncate").code == 3
    assert "degraded   1 documents were rejected; see status 1" in jobs("status", "--limit", "1").out


def test_the_quarantine_folder_is_an_option(jobs: CommandLine, tmp_path: Path) -> None:
    write_bson(jobs.folder / "bad.bson", [FIRST[0].document() | {"amount": "12"}])
    folder = tmp_path / "deep" / "er"
    jobs("rebuild", "bad.bson", QUARANTINE_DIR=str(folder)).require_failure(3, "1 of 1 documents")
    assert len(list(folder.iterdir())) == 1
    assert not (tmp_path / "quarantine").exists()


def test_merchant_ids_of_mixed_types_give_a_warning(jobs: CommandLine) -> None:
    at = FIRST[0].at
    write_bson(jobs.folder / "mixed.bson", [Transaction(42, 1, at), Transaction("42", 2, at)])
    result = jobs("rebuild", "mixed.bson")
    assert result.code == 0
    assert result.err == (
        "Warning: 1 merchants occur in more than one type (number, text, ObjectId) and count as one: 42.\n"
    )
    assert "warning      1 merchants occur" in jobs("status", "1").out


def test_other_settings_come_from_the_environment(jobs: CommandLine) -> None:
    settings = {"CALENDAR": "gregorian", "TIME_ZONE": "Europe/Berlin", "CURRENCY": "EUR", "THREADS": "1"}
    result = jobs("rebuild", "first.bson", **settings)
    assert result.code == 0
    assert "of 2024-03-16 to 2024-03-27" in result.out
    assert "EUR" in result.out
    assert published(jobs) == summaries_of(FIRST, "Europe/Berlin", "gregorian")
    assert "gregorian calendar, Europe/Berlin, filters: none" in jobs("status").out
    err = jobs("rebuild", "first.bson", "--from", "1403/01/01").require_failure(1)
    assert "time_zone is 'Europe/Berlin' in the store and 'Asia/Tehran' now" in err
    assert "calendar is 'gregorian' in the store and 'jalali' now" in err


def test_a_total_beyond_64_bits_is_reported(jobs: CommandLine) -> None:
    huge = [Transaction("فروشگاه", bson.Int64(2**63 - 1), one.at) for one in FIRST[:1] * 2]
    write_bson(jobs.folder / "huge.bson", huge)
    jobs("rebuild", "huge.bson").require_failure(1, f"is {2**64 - 2}, which does not fit a signed 64-bit integer")


def test_json_output_has_all_exact_values(jobs: CommandLine) -> None:
    exact = 2**53 + 1
    write_bson(jobs.folder / "exact.bson", [Transaction("a", bson.Int64(exact), FIRST[0].at)] * 3)
    result = jobs("rebuild", "exact.bson", "--json")
    assert (result.code, result.err) == (0, "")
    assert result.json["published"]["total_amount"] == 3 * exact
    assert result.json["run"]["status"] == "published"
    assert result.json["run"]["forms"] == ["BSON"]
    assert result.json["run"]["command"] == "rebuild exact.bson"
    assert result.json["run"]["sources"] == ["exact.bson"]


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["missing.bson"], 1, "SourceError"),
        (["first.bson", "--where", "x"], 2, "UsageError"),
        (["bad.bson"], 3, "TooManyRejects"),
        (["cut.bson"], 1, "SourceDamaged"),
    ],
)
def test_a_failure_is_printed_as_json(jobs: CommandLine, arguments: list[str], code: int, kind: str) -> None:
    write_bson(jobs.folder / "bad.bson", [{"_id": 1}])
    (jobs.folder / "cut.bson").write_bytes((jobs.folder / "first.bson").read_bytes()[:-3])
    result = jobs("rebuild", *arguments, "--json")
    err = result.require_failure(code)
    problem = result.json["error"]
    assert (problem["type"], problem["exit_code"]) == (kind, code)
    assert err == f"Error: {problem['message']}.\n{problem['hint']}\n"


def test_the_ledger_does_not_contain_the_store_url(jobs: CommandLine) -> None:
    """The URL may contain a password."""
    url = f"sqlite:///{jobs.folder}/elsewhere.db"
    assert jobs("rebuild", "first.bson", "--truncate", "--store", url).code == 0
    (run,) = jobs("status", "--json", "--store", url).json["runs"]
    assert run["command"] == "rebuild first.bson --truncate"


def test_a_file_name_that_is_not_valid_utf_8_is_recorded(jobs: CommandLine) -> None:
    name = os.fsdecode(b"\xff\xfe.bson")
    write_bson(jobs.folder / name, FIRST)
    result = jobs("rebuild", name, "--json")
    assert result.code == 0
    assert os.fsencode(result.json["run"]["sources"][0]) == b"\xff\xfe.bson"
    assert published(jobs) == summaries_of(FIRST)
    assert jobs("status", "1").code == 0


def test_an_empty_archive_is_published_on_request(jobs: CommandLine) -> None:
    jobs_archive = jobs.folder / "empty.archive"
    jobs_archive.write_bytes(empty_archive())
    assert jobs("rebuild", "first.bson").code == 0
    result = jobs("rebuild", "empty.archive", "--truncate", "--allow-empty", "--allow-shrink")
    assert result.code == 0
    assert "Read 0 documents" in result.out
    assert "Published 0 summaries of no day as generation 2" in result.out
    assert published(jobs) == {}
    status = jobs("status")
    assert "days       - to -" in status.out
    assert jobs("summary", "--mode", "daily", "--type", "amount", "--json").out == ""


def empty_archive() -> bytes:
    """The output of ``mongodump --archive`` for a database whose only collection is empty."""
    name = {"db": "shop", "collection": "transaction"}
    magic, terminator = (0x8199E26D).to_bytes(4, "little"), b"\xff" * 4
    header = {"concurrent_collections": 4, "version": "0.1", "server_version": "7.0.0", "tool_version": "100.10.0"}
    prelude = name | {"metadata": json.dumps({"indexes": [], "type": "collection"}), "size": 0, "type": "collection"}
    end = name | {"EOF": True, "CRC": bson.Int64(0)}
    return magic + bson.encode(header) + bson.encode(prelude) + terminator + bson.encode(end) + terminator


def test_the_real_shop_gives_the_same_summaries_in_every_form(jobs: CommandLine) -> None:
    shop = Path(__file__).parents[2] / "data" / "shop"
    totals = {}
    for name in ("transaction.bson", "dump", "transaction.canonical.jsonl"):
        result = jobs("rebuild", shop / name, "--truncate", "--max-reject-ratio", "1", "--json")
        assert result.code == 0, result
        totals[name] = published(jobs)
    assert len({json.dumps(sorted(map(str, rows.items()))) for rows in totals.values()}) == 1
    assert totals["dump"]
