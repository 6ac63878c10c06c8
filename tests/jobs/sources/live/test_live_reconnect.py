"""Reconnects and retries while a live collection is read: no duplicates, no loss, or a clear error."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from bson import Binary, DatetimeMS, ObjectId
from decoded import EVER
from live_collections import (
    EAGER,
    START_MS,
    BreakingNetwork,
    Document,
    amounts,
    collection_at,
    fill,
    read,
    read_at,
    transaction,
)
from pymongo import MongoClient, common, monitoring
from pymongo.collection import Collection

from core.errors import SourceError
from jobs.decode.batch import Chunk
from jobs.decode.plan import Fields
from jobs.sources.chunks import Buffer
from jobs.sources.collections import Namespace
from jobs.sources.live import resume_point
from jobs.sources.live.collection import LiveCollection, open_collection
from jobs.sources.live.partition import Server
from jobs.sources.live.times import TimeRange
from jobs.sources.partition import ReadOptions, Source

SMALL_BATCHES = replace(EAGER, cursors=2, batch_documents=20)
BREAK_AFTER_BYTES = 4_000


@pytest.fixture(autouse=True)
def _soon_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the driver look for a lost server at once instead of after half a second."""
    monkeypatch.setattr(common, "MIN_HEARTBEAT_INTERVAL", 0.01)


@pytest.mark.parametrize(
    "make_id",
    [
        lambda i: i * 0.5,
        lambda i: ObjectId(),
        lambda i: f"{i}",
        lambda i: Binary(i.to_bytes(16, "little"), 4),
        lambda i: {"a": i},
        lambda i: [i, f"{i}", ObjectId(), DatetimeMS(i)][i % 4],
    ],
    ids=["number", "ObjectId", "string", "UUID", "document", "mixed"],
)
@pytest.mark.parametrize("cursors", [pytest.param(1, marks=pytest.mark.thorough), 2])
def test_a_broken_connection_resumes_after_the_last_document(
    mongo_database_url: str, make_id: object, cursors: int
) -> None:
    fill(mongo_database_url, [{"_id": make_id(i)} | transaction(i) for i in range(300)])  # type: ignore[operator]
    with BreakingNetwork(mongo_database_url, BREAK_AFTER_BYTES, 4) as network:
        assert amounts(read_at(network.url, options=replace(SMALL_BATCHES, cursors=cursors))) == list(range(300))
        assert network.left <= 2, "it did not break often enough"


def test_documents_with_rare_id_types_are_distinguished_after_a_reconnect(
    mongo_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There are few values of the types that are not worth a range, so here all types are such.
    monkeypatch.setattr("jobs.sources.live.partitions._classes_that_occur", lambda collection: [])
    fill(mongo_database_url, [{"_id": [i, f"{i}", {"a": i}][i % 3]} | transaction(i) for i in range(300)])
    with BreakingNetwork(mongo_database_url, BREAK_AFTER_BYTES, 3) as network:
        assert amounts(read_at(network.url, options=SMALL_BATCHES)) == list(range(300))
        assert network.left <= 1


@pytest.mark.parametrize("at_once", [1, 40, 300])
def test_a_read_by_time_resumes_among_documents_of_equal_time(mongo_database_url: str, at_once: int) -> None:
    times = [DatetimeMS(START_MS + i // at_once) for i in range(300)]
    fill(mongo_database_url, [{"_id": i * 7919 % 1009} | transaction(i, createdAt=t) for i, t in enumerate(times)])
    with collection_at(mongo_database_url) as collection:
        collection.create_index([("createdAt", 1)])
    with BreakingNetwork(mongo_database_url, BREAK_AFTER_BYTES, 4) as network:
        decoded = read_at(network.url, times=[TimeRange(START_MS)], options=SMALL_BATCHES)
        assert amounts(decoded) == list(range(300))
        assert network.left <= 1


def test_too_many_documents_of_equal_time_fail_a_resumed_read(
    mongo_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume_point, "_MAX_UNDECIDED_BYTES", 2_000)
    fill(mongo_database_url, [transaction(i, createdAt=DatetimeMS(START_MS)) for i in range(300)])
    with collection_at(mongo_database_url) as collection:
        collection.create_index([("createdAt", 1)])
    assert amounts(read_at(mongo_database_url, times=[TimeRange(START_MS)], options=SMALL_BATCHES)) == list(range(300))
    with (
        BreakingNetwork(mongo_database_url, BREAK_AFTER_BYTES, 4) as network,
        pytest.raises(SourceError, match="documents of the same time"),
    ):
        read_at(network.url, times=[TimeRange(START_MS)], options=SMALL_BATCHES)


class _KillsCursors(monitoring.CommandListener):
    """Kills the first cursors that its client opens, over another connection."""

    def __init__(self, collection: Collection[Document], kills: int) -> None:
        self._collection = collection
        self.left = kills

    def started(self, event: monitoring.CommandStartedEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        cursor_id = event.reply.get("cursor", {}).get("id") if event.command_name == "find" else None
        if cursor_id and self.left > 0:
            self.left -= 1
            self._collection.database.command("killCursors", self._collection.name, cursors=[cursor_id])


def test_a_killed_cursor_is_reopened_after_the_last_document(mongo_database_url: str) -> None:
    fill(mongo_database_url, [{"_id": i} | transaction(i) for i in range(300)])
    with collection_at(mongo_database_url) as collection:
        killer = _KillsCursors(collection, 4)
        client: MongoClient[Document] = MongoClient(mongo_database_url, event_listeners=[killer])
        namespace = Namespace(collection.database.name, collection.name)
        server = Server(mongo_database_url, SMALL_BATCHES)
        with LiveCollection(server, client, mongo_database_url, namespace) as live:
            decoded, warnings = read(live)
    assert killer.left == 0
    assert amounts(decoded) == list(range(300))
    assert warnings == ()


def test_the_search_for_changed_documents_restarts_after_a_disconnect(mongo_database_url: str) -> None:
    fill(mongo_database_url, [transaction(i, updatedAt=DatetimeMS(5)) for i in range(300)])
    with (
        BreakingNetwork(mongo_database_url, BREAK_AFTER_BYTES, 3) as network,
        open_collection(network.url, None, SMALL_BATCHES) as live,
    ):
        found = {one for batch in live.changed_since("updatedAt", "createdAt", 5) for one in batch}
        assert network.left <= 1
    assert found == {START_MS + 1000 * i for i in range(300)}


def test_a_read_fails_after_repeated_disconnects(mongo_database_url: str) -> None:
    fill(mongo_database_url, [{"_id": i} | transaction(i, merchantId="m" * 9_000) for i in range(20)])
    options = replace(SMALL_BATCHES, backoff=replace(SMALL_BATCHES.backoff, retries=2), batch_documents=5)
    with (
        BreakingNetwork(mongo_database_url, 20_000, 10**6) as network,
        pytest.raises(SourceError, match=r"transaction stopped answering after \d+ documents of a part: ") as caught,
    ):
        read_at(network.url, options=options)
    assert "server runs" in caught.value.hint


def test_a_read_resumes_after_the_server_restarts(
    mortal_server: tuple[str, subprocess.Popen[bytes]],
) -> None:
    server, process = mortal_server
    url = f"{server}shop"
    fill(url, [{"_id": i} | transaction(i) for i in range(400)])
    with open_collection(
        url, None, replace(SMALL_BATCHES, timeout_s=1, backoff=replace(SMALL_BATCHES.backoff, retries=30))
    ) as live:
        source = live.source(Fields())
        chunks = _chunks_of(source)
        taken = next(chunks, None)
        assert taken is not None
        process.kill()
        process.wait(60)
        restarted: list[subprocess.Popen[bytes]] = []
        timer = threading.Timer(
            0.5, lambda: restarted.append(subprocess.Popen(process.args, stderr=subprocess.DEVNULL))
        )
        timer.start()
        try:
            documents = 0
            while taken is not None:
                documents += bytes(taken.data[: taken.end]).count(b"\x10amount\0")
                taken = next(chunks, None)
            assert documents == 400
            assert source.finish(documents) == ()
        finally:
            source.close()
            timer.join()
            for one in restarted:
                one.kill()
                one.wait(60)


def _chunks_of(source: Source) -> Iterator[Chunk]:
    reading = ReadOptions(Fields(), EVER)
    for partition in source.partitions:
        opened = partition.open(reading, threading.Event())
        while (chunk := opened.chunks.next(Buffer(0))) is not None:
            yield chunk


def test_a_permanent_server_outage_is_reported(mortal_server: tuple[str, subprocess.Popen[bytes]]) -> None:
    server, process = mortal_server
    url = f"{server}shop"
    fill(url, [{"_id": i} | transaction(i) for i in range(200)])
    with open_collection(
        url, None, replace(SMALL_BATCHES, timeout_s=0.3, backoff=replace(SMALL_BATCHES.backoff, retries=1))
    ) as live:
        process.kill()
        process.wait(60)
        with pytest.raises(SourceError, match=r"/shop\.transaction does not answer: ") as caught:
            read(live)
    assert "server runs" in caught.value.hint
