"""Concurrent rebuilds, each in its own process: run lock and takeover."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import CommandLine, wait_until
from transactions import bson_of, published_rows, spread, summaries_of, write_bson

from core.stores import Stores, current_holder, open_stores, wall_clock_ms
from core.stores.runs import HEARTBEAT_LIMIT_S, Holder, RunStatus

SLOW = spread(["slow"], days=50)
FAST = spread(["fast"], days=50)


@pytest.fixture
def jobs(store_url: str, tmp_path: Path) -> CommandLine:
    write_bson(tmp_path / "fast.bson", FAST)
    return CommandLine(tmp_path, STORE_URL=store_url)


@pytest.fixture
def stores(jobs: CommandLine, store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10) as opened:
        yield opened


def test_a_second_rebuild_names_the_lock_owner_and_the_first_publishes(jobs: CommandLine, stores: Stores) -> None:
    read_end, write_end = os.pipe()
    first = jobs.start("rebuild", "-", stdin=read_end)
    os.close(read_end)
    wait_until(lambda: stores.runs.get(1))
    for option in ("--truncate", "--json"):
        result = jobs("rebuild", "fast.bson", option)
        err = result.require_failure(1, f"run 1 (rebuild -) is active in process {first.pid} on {socket.gethostname()}")
        assert "Wait until it ends." in err
    assert result.json["error"]["type"] == "RunHeld"
    assert "running" in jobs("status").out
    os.write(write_end, bson_of(SLOW))
    os.close(write_end)
    assert first.wait().code == 0
    assert published_rows(stores) == summaries_of(SLOW)
    assert [run.id for run in stores.runs.recent(9)] == [1]


def test_concurrent_rebuilds_publish_one_at_a_time(jobs: CommandLine, stores: Stores) -> None:
    running = [jobs.start("rebuild", "fast.bson", "--truncate") for _ in range(4)]
    result = [process.wait() for process in running]
    winners = [one for one in result if one.code == 0]
    assert winners
    for loser in result:
        if loser.code != 0:
            loser.require_failure(1)
            assert "is active in process" in loser.err or "at the same moment" in loser.err
    assert published_rows(stores) == summaries_of(FAST)
    runs = stores.runs.recent(9)
    assert {run.status for run in runs} == {RunStatus.PUBLISHED}
    assert len(runs) == len(winners)


def test_a_run_whose_process_is_dead_is_taken_over_at_once(jobs: CommandLine, stores: Stores) -> None:
    read_end, write_end = os.pipe()
    first = jobs.start("rebuild", "-", stdin=read_end)
    wait_until(lambda: stores.runs.get(1))
    first.send(signal.SIGKILL)
    first.wait()
    os.close(write_end)
    os.close(read_end)
    assert jobs("rebuild", "fast.bson").code == 0
    assert [run.status for run in stores.runs.recent(9)] == [RunStatus.PUBLISHED, RunStatus.DIED]


def test_a_paused_process_that_was_taken_over_publishes_nothing(
    jobs: CommandLine, stores: Stores, store_url: str
) -> None:
    read_end, write_end = os.pipe()
    paused = jobs.start("rebuild", "-", stdin=read_end)
    os.close(read_end)
    wait_until(lambda: stores.runs.get(1))
    paused.send(signal.SIGSTOP)
    late_ms = wall_clock_ms() + int(HEARTBEAT_LIMIT_S * 1000) + 60_000
    with open_stores(store_url, timeout_s=10, clock=lambda: late_ms) as others:
        draft = replace(others.runs.recent(1)[0], holder=current_holder(), heartbeat_at_ms=late_ms)
        others.runs.update(others.runs.begin(draft).ended(RunStatus.FAILED, late_ms, "it failed"))
    os.write(write_end, bson_of(SLOW))
    os.close(write_end)
    paused.send(signal.SIGCONT)
    paused.wait().require_failure(1, "run 1 was taken over by another run")
    assert stores.summaries.published() is None
    assert [run.status for run in stores.runs.recent(9)] == [RunStatus.FAILED, RunStatus.DIED]
    assert jobs("rebuild", "fast.bson").code == 0


def test_a_run_on_another_host_is_taken_over_when_its_heartbeat_is_too_old(jobs: CommandLine, stores: Stores) -> None:
    assert jobs("rebuild", "missing.bson").code == 1
    (failed,) = stores.runs.recent(1)
    elsewhere = Holder("another-host", 4242, failed.started_at_ms)
    late_ms = wall_clock_ms() - int(HEARTBEAT_LIMIT_S * 1000)
    draft = replace(failed, status=RunStatus.RUNNING, holder=elsewhere, ended_at_ms=None, error=None)
    alive = stores.runs.begin(replace(draft, heartbeat_at_ms=late_ms + 30_000))
    jobs("rebuild", "fast.bson").require_failure(1, "is active in process 4242 on another-host")
    stores.runs.update(replace(alive, heartbeat_at_ms=late_ms))
    assert jobs("rebuild", "fast.bson").code == 0
    assert [run.status for run in stores.runs.recent(9)] == [RunStatus.PUBLISHED, RunStatus.DIED, RunStatus.FAILED]
