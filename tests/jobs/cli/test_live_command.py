"""``rebuild`` of a live collection, from the command line."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from bson import DatetimeMS, ObjectId
from command_line import CommandLine, wait_until
from live_collections import fill
from mongo_ways import with_option
from transactions import published_rows, spread, summaries_of

from core.stores import open_stores
from jobs.sources.url import redacted_url

TRANSACTIONS = spread([ObjectId(), "shop", 42], days=30, first=date(2024, 3, 10))


@pytest.fixture
def jobs(tmp_path: Path) -> CommandLine:
    return CommandLine(
        tmp_path, STORE_URL=f"sqlite:///{tmp_path}/summaries.db", QUARANTINE_DIR=str(tmp_path / "rejects")
    )


@pytest.fixture
def shop(mongo_database_url: str) -> str:
    """The URL of a database whose collection holds `TRANSACTIONS`."""
    fill(mongo_database_url, [one.document() for one in TRANSACTIONS])
    return mongo_database_url


@pytest.fixture
def silent_server() -> Iterator[tuple[str, socket.socket]]:
    """A server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"mongodb://u:s3cret@127.0.0.1:{listener.getsockname()[1]}/shop", listener


def test_a_live_collection_is_summarised(jobs: CommandLine, shop: str, tmp_path: Path) -> None:
    result = jobs("rebuild", shop, "--cursors", "2", "--batch-size", "7")
    assert result.code == 0, result
    assert f"Read {len(TRANSACTIONS)} documents from 1 source(s): live collection." in result.out
    with open_stores(f"sqlite:///{tmp_path}/summaries.db", timeout_s=10) as stores:
        assert published_rows(stores) == summaries_of(TRANSACTIONS)
        (run,) = stores.runs.recent(1)
    assert run.sources == (redacted_url(shop),)
    assert run.counts.counted == len(TRANSACTIONS)


def test_without_a_source_argument_the_configured_one_is_read(jobs: CommandLine, shop: str) -> None:
    result = jobs(
        "rebuild",
        "--json",
        SOURCE_URL=with_option(with_option(shop, "appName=test"), "readPreference=primaryPreferred"),
    )
    assert result.code == 0, result
    run = json.loads(result.out)["run"]
    assert run["counts"]["counted"] == len(TRANSACTIONS)
    assert run["command"] == f"rebuild {redacted_url(shop)}"
    jobs("rebuild", "--truncate").require_failure(2, "no SOURCE is given, and SOURCE_URL is not set")
    jobs("status", SOURCE_URL="dump.bson").require_failure(2, "SOURCE_URL is")


def test_a_live_collection_and_an_export_add_up(jobs: CommandLine, shop: str, tmp_path: Path) -> None:
    line = {"merchantId": "shop", "amount": 7, "createdAt": {"$date": "2024-03-10T12:00:00Z"}}
    (tmp_path / "more.jsonl").write_text(json.dumps(line) + "\n")
    result = jobs("rebuild", shop, "more.jsonl", "--json")
    assert json.loads(result.out)["published"]["total_count"] == len(TRANSACTIONS) + 1


def test_the_quarantine_file_has_the_ids_of_rejected_documents(jobs: CommandLine, shop: str) -> None:
    fill(shop, [{"_id": "odd", "merchantId": "a", "amount": 1.5, "createdAt": DatetimeMS(0), "more": "x"}])
    result = jobs("rebuild", shop, "--max-reject-ratio", "0.5", "--json")
    assert result.code == 0, result
    (line,) = Path(json.loads(result.out)["run"]["quarantine"]).read_text("utf-8").splitlines()
    reject = json.loads(line)
    assert reject["_id"] == "odd"
    assert reject["source"] == f"{redacted_url(shop)}.transaction"
    assert reject["document"]["amount"] == {"$numberDouble": "1.5"}


def test_the_same_collection_twice_is_refused(jobs: CommandLine, shop: str) -> None:
    jobs("rebuild", shop, with_option(shop, "appName=x"), "--truncate").require_failure(
        2, f"{redacted_url(shop)} is given twice"
    )


def test_no_password_is_shown_or_stored(jobs: CommandLine, tmp_path: Path) -> None:
    url = "mongodb://u:s3cret@127.0.0.1:1/shop"
    result = [jobs("rebuild", url, "--json", SOURCE_TIMEOUT_S="0.2"), jobs("rebuild", "mongodb://u:s3cret@/x/shop")]
    result += [
        jobs("rebuild", "--truncate", SOURCE_URL=url, SOURCE_TIMEOUT_S="0.2"),
        jobs("status"),
        jobs("status", "1"),
    ]
    result[0].require_failure(1, "mongodb://127.0.0.1:1/shop does not answer: ")
    result[1].require_failure(2, "mongodb://… is not a valid MongoDB URL")
    for one in result:
        assert "s3cret" not in one.out + one.err
    for path in tmp_path.iterdir():
        assert not path.is_file() or b"s3cret" not in path.read_bytes()


def test_ctrl_c_stops_a_rebuild_while_its_server_is_silent(
    jobs: CommandLine, silent_server: tuple[str, socket.socket]
) -> None:
    url, listener = silent_server
    running = jobs.start("rebuild", url)
    listener.settimeout(60)
    connection, _ = listener.accept()
    wait_until(lambda: '"phase": "reading"' in jobs("status", "1", "--json").out)
    running.send(signal.SIGINT)
    result = running.wait()
    connection.close()
    result.require_failure(130, "stopped by SIGINT, nothing was published")
