"""Sources that would be counted twice or in part, and the recorded command in the ledger."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import CommandLine
from transactions import spread, write_bson

from core.stores import open_stores

ROW = "1,m,5,2024-01-01T00:00:00Z"


@pytest.fixture
def jobs(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def test_one_file_under_two_names_is_refused(jobs: CommandLine) -> None:
    (jobs.folder / "dump" / "shop").mkdir(parents=True)
    write_bson(jobs.folder / "dump" / "shop" / "transaction.bson", spread(["a"], days=2))
    (jobs.folder / "link.bson").hardlink_to(jobs.folder / "dump" / "shop" / "transaction.bson")
    for other in ("dump/shop/transaction.bson", "link.bson", "dump/shop"):
        jobs("rebuild", "dump", other).require_failure(2, f"{other} is given twice")


def test_a_csv_file_that_ends_inside_quotes_is_damaged(jobs: CommandLine) -> None:
    (jobs.folder / "cut.csv").write_text(f'_id,merchantId,amount,createdAt,note\n{ROW},x\n{ROW},"line one\n')
    jobs("rebuild", "cut.csv").require_failure(1, "ends inside quotation marks")


def test_a_csv_header_longer_than_the_read_buffer_is_read(jobs: CommandLine) -> None:
    wide = ",".join(f"a_long_column_name_{i}" for i in range(2000))
    content = f"_id,{wide},merchantId,amount,createdAt\n1,{',' * 1999},007,5,2024-01-01T00:00:00Z\n"
    assert jobs("rebuild", "-", stdin=content.encode()).code == 0
    assert jobs("summary", "--mode", "daily", "--type", "amount", "--merchant-id", "007", "--json").json["value"] == 5


def test_parquet_on_standard_input_is_not_a_file_of_that_name(jobs: CommandLine) -> None:
    def parquet(merchant: str) -> bytes:
        rows = {"merchantId": [merchant], "amount": [1], "createdAt": pa.array([0], pa.timestamp("ms"))}
        out = io.BytesIO()
        pq.write_table(pa.table(rows), out)
        return out.getvalue()

    (jobs.folder / "standard input").write_bytes(parquet("file"))
    assert jobs("rebuild", "-", stdin=parquet("stdin")).code == 0
    jobs("summary", "--mode", "daily", "--type", "count", "--merchant-id", "file").require_failure(1, "no merchant")


def test_the_store_url_is_not_stored_in_the_ledger(jobs: CommandLine) -> None:
    write_bson(jobs.folder / "a.bson", spread(["a"], days=2))
    url = f"sqlite:///{jobs.folder}/secret.db"
    assert jobs("rebuild", "a.bson", "--where", "merchantId=a", "--store", url).code == 0
    with open_stores(url, timeout_s=5, create=False) as stores:
        assert stores.runs.recent(1)[0].command == "rebuild a.bson --where merchantId=a"


def test_a_range_cannot_end_between_repeated_days(jobs: CommandLine) -> None:
    def line(instant: str, amount: int) -> str:
        return f'{{"merchantId":"m","amount":{amount},"createdAt":{{"$date":"{instant}"}}}}\n'

    (jobs.folder / "a.jsonl").write_text(line("2010-11-07T03:00:00Z", 100) + line("2010-11-07T15:00:00Z", 7))
    there = CommandLine(jobs.folder, TIME_ZONE="America/St_Johns", CALENDAR="gregorian")
    assert there("rebuild", "a.jsonl").code == 0
    for day in ("2010-11-06", "2010-11-07"):
        there("rebuild", "a.jsonl", "--from", day, "--to", day).require_failure(2, "the clocks went back")
    assert there("rebuild", "a.jsonl", "--from", "2010-11-06", "--to", "2010-11-07").code == 0
    found = there("summary", "--mode", "daily", "--type", "amount", "--json").json_lines
    assert [point["value"] for point in found] == [100, 7]
