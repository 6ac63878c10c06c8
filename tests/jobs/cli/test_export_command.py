"""The ``export`` command, and other programs that read its files."""

from __future__ import annotations

import csv
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import ROOT, CommandLine
from transactions import Transaction, spread, summaries_of, write_bson

from jobs.export import COLUMNS

FORMULA = '=HYPERLINK("https://x.example")'
LARGE = 2**62 + 1
LONG = "long" * 300
TRANSACTIONS = [
    *spread(["فروشگاه, تهران", FORMULA, -42, LONG], days=40, first=date(2024, 3, 1)),
    *(Transaction("large", LARGE, one.at) for one in spread(["large"], days=1)),
]  # of two Jalali years


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A command line whose store has `TRANSACTIONS`; tests do not change the store."""
    jobs = CommandLine(tmp_path_factory.mktemp("export"))
    write_bson(jobs.folder / "shop.bson", TRANSACTIONS)
    assert jobs("rebuild", "shop.bson").code == 0
    return jobs


@pytest.fixture
def out(full: CommandLine, request: pytest.FixtureRequest) -> Path:
    folder = full.folder / str(request.node.name).partition("[")[0]
    folder.mkdir(exist_ok=True)
    return folder


def wanted(mode: str, *, overall: bool = False) -> set[tuple[Any, ...]]:
    return {
        (*period, *sums)
        for period, sums in summaries_of(TRANSACTIONS).items()
        if period[0] == mode and (overall or period[2] is not None)
    }


def rows_of(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    return frame.select("mode", "key", "merchant_id", "amount", "count").rows()


@pytest.mark.parametrize(
    ("mode", "ending"), [("daily", "parquet"), ("weekly", "arrow"), ("monthly", "parquet"), ("daily", "arrow")]
)
def test_every_merchant_and_period_is_exported_once_and_exactly(
    mode: str, ending: str, full: CommandLine, out: Path
) -> None:
    path = out / f"{mode}.{ending}"
    result = full("export", path, "--mode", mode)
    assert (result.code, result.err) == (0, ""), result
    frame = pl.read_parquet(path) if ending == "parquet" else pl.read_ipc(path)
    assert len(frame) == len(wanted(mode))
    assert set(rows_of(frame)) == wanted(mode)
    assert frame.schema["amount"] == pl.Int64
    assert frame.schema["period_start"] == pl.Datetime("ms", "UTC")
    assert f"Wrote {len(frame)} {mode} summaries of generation 1 (run 1) to {path}.\n" in result.out


def test_overall_rows_are_exported_only_on_request(full: CommandLine, out: Path) -> None:
    assert full("export", out / "all.parquet", "--mode", "monthly", "--overall").code == 0
    assert set(rows_of(pl.read_parquet(out / "all.parquet"))) == wanted("monthly", overall=True)
    assert pq.read_schema(out / "all.parquet").field("merchant_id").nullable


def test_an_inclusive_range_of_period_keys_is_exported(full: CommandLine, out: Path) -> None:
    assert (
        full("export", out / "some.parquet", "--mode", "daily", "--from", "1402/12/12", "--to", "۱۴۰۲/۱۲/۱۴").code == 0
    )
    assert set(rows_of(pl.read_parquet(out / "some.parquet"))) == {
        row for row in wanted("daily") if "1402/12/12" <= row[1] <= "1402/12/14"
    }


def test_csv_escapes_formulas_unless_raw_is_requested(full: CommandLine, out: Path) -> None:
    for name, options, formula in (("safe", (), f"'{FORMULA}"), ("raw", ("--raw",), FORMULA)):
        assert full("export", out / f"{name}.csv", "--mode", "daily", *options).code == 0
        with (out / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        merchants = {row["merchant_id"] for row in rows}
        assert merchants == {"فروشگاه, تهران", formula, "-42", "large", LONG}
        assert sum(int(row["amount"]) for row in rows) == sum(one.amount for one in TRANSACTIONS)
        assert rows[0]["period_start"].endswith(":30:00.000Z")


def test_a_parquet_folder_is_partitioned_by_mode_and_year(full: CommandLine, out: Path) -> None:
    result = full("export", out / "table", "--mode", "daily", "--partitioned", "--json")
    assert (result.json["rows"], result.json["currency"]) == (len(wanted("daily")), "IRR")
    files = sorted(path.relative_to(out / "table").parent for path in (out / "table").rglob("*.parquet"))
    assert files == [Path("mode=daily/year=1402"), Path("mode=daily/year=1403")]
    frame = pl.read_parquet(out / "table/**/*.parquet", hive_partitioning=True)
    assert set(rows_of(frame)) == wanted("daily")
    assert set(frame["year"].cast(pl.String)) == {"1402", "1403"}
    assert json.loads((out / "table/_dictionary.json").read_text("utf-8"))["rows"] == len(frame)


def test_the_data_dictionary_is_exported_embedded_and_documented(full: CommandLine, out: Path) -> None:
    result = full("export", out / "x.parquet", "--mode", "weekly", CURRENCY="EUR")
    sidecar = json.loads((out / "x.parquet.dictionary.json").read_text("utf-8"))
    assert f"{out / 'x.parquet.dictionary.json'} describes its columns.\n" in result.out
    schema = pq.read_schema(out / "x.parquet")
    inside = json.loads(schema.metadata[b"dictionary"])
    assert sidecar == inside | {"rows": len(wanted("weekly"))}
    assert (sidecar["mode"], sidecar["calendar"], sidecar["time_zone"]) == ("weekly", "jalali", "Asia/Tehran")
    assert [column["name"] for column in sidecar["columns"]] == schema.names
    assert schema.field("amount").metadata[b"unit"] == b"IRR"
    documentation = (ROOT / "docs/analysis.md").read_text("utf-8")
    for column in COLUMNS:
        assert f"| `{column.name}` | {column.type} | {column.about} |" in documentation


def test_an_export_to_standard_output_can_be_piped(full: CommandLine) -> None:
    for form in ("csv", "parquet"):
        assert full("export", "-", "--mode", "monthly", "--format", form).code == 0
    result = full.cold("export", "-", "--mode", "monthly", "--format", "csv")
    assert len(result.out.splitlines()) == 1 + len(wanted("monthly"))
    assert "summaries of generation 1 (run 1) to standard output." in result.err
    assert full("export", "-", "--mode", "monthly", "--format", "csv", "--json").code == 2


@pytest.mark.parametrize("form", ["csv", "arrow", "parquet"])
def test_a_closed_pipe_is_no_internal_error(form: str, full: CommandLine) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    running = full.start("export", "-", "--mode", "daily", "--format", form, stdout=write_end)
    os.close(write_end)
    result = running.wait()
    assert (result.code, result.err) == (1, "")


def test_existing_files_are_replaced_only_with_force(full: CommandLine, out: Path) -> None:
    for options in (("--partitioned",), ("--format", "csv")):
        path = out / options[-1]
        assert full("export", path, "--mode", "daily", *options).code == 0
        result = full("export", path, "--mode", "monthly", *options)
        assert "replace it with --force" in result.require_failure(2, "already exists")
        assert full("export", path, "--mode", "monthly", *options, "--force").code == 0
    assert len((out / "csv").read_text("utf-8").splitlines()) == 1 + len(wanted("monthly"))
    assert [path.name for path in (out / "--partitioned").iterdir() if path.is_dir()] == ["mode=monthly"]
    assert sorted(path.name for path in out.iterdir()) == ["--partitioned", "csv", "csv.dictionary.json"]


def test_a_failed_export_keeps_the_existing_files(full: CommandLine, out: Path) -> None:
    (out / "x.csv").write_text("before")
    result = full(
        "export", out / "x.csv", "--mode", "daily", "--force", file_size_limit=40_000
    )  # more than SQLite needs for its index of the log
    assert result.code == 1
    assert "x.csv cannot be written" in result.err
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("x.csv", "before")]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("https://host/x.parquet",), 2, "https:// cannot be written to"),
        (("s3://key:secret@bucket/x.parquet",), 2, "contains a user or a key"),
        (("gone/x.parquet",), 1, "does not exist"),
        (("x",), 2, "does not determine the format"),
        (("x.csv", "--partitioned", "--format", "csv"), 2, "--partitioned writes a folder of Parquet files"),
        (("shop.bson", "--partitioned"), 2, "is not a folder"),
        ((".", "--format", "csv"), 2, "is a folder"),
        (("x.parquet", "--raw"), 2, "--raw is for CSV only"),
        (("x.csv", "--from", "1403/13/01"), 2, "1403/13/01"),
        (("x.csv", "--from", "1403/02/01", "--to", "1403/01/01"), 2, "is after --to"),
    ],
)
def test_an_unwritable_target_is_reported_in_one_sentence(
    arguments: tuple[str, ...], code: int, sentence: str, full: CommandLine
) -> None:
    full("export", *arguments, "--mode", "daily").require_failure(code, sentence)


def test_nothing_published_is_an_error(tmp_path: Path) -> None:
    empty = CommandLine(tmp_path)
    empty("rebuild", "missing.bson")
    empty("export", "x.csv", "--mode", "daily").require_failure(1, "nothing is published yet")
    assert not (tmp_path / "x.csv").exists()


def test_every_store_gives_the_same_export(store_url: str, full: CommandLine, tmp_path: Path) -> None:
    jobs = CommandLine(tmp_path, STORE_URL=store_url)
    write_bson(tmp_path / "shop.bson", TRANSACTIONS)
    assert jobs("rebuild", "shop.bson").code == 0
    assert jobs("export", "x.arrow", "--mode", "daily", "--overall").code == 0
    assert full("export", tmp_path / "y.arrow", "--mode", "daily", "--overall").code == 0
    with pa.OSFile(str(tmp_path / "x.arrow")) as one, pa.OSFile(str(tmp_path / "y.arrow")) as other:
        assert pa.ipc.open_file(one).read_all().equals(pa.ipc.open_file(other).read_all())
