"""Ctrl-C and SIGTERM: the run ends soon, reports it, and has published everything or nothing."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import ROOT, CommandLine, Running, wait_until
from effort import THOROUGH
from transactions import bson_of, published_rows, spread, summaries_of, write_bson
from unmeasured import unmeasured

from core.errors import StoreError
from core.stores import Stores, open_stores
from core.stores.runs import RunStatus

OLD = spread(["old", "a"], days=50)
NEW = spread(["new", "a", "b"], days=100)
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture
def jobs(store_url: str, tmp_path: Path) -> CommandLine:
    """A command line whose store holds `OLD`."""
    jobs = CommandLine(tmp_path, STORE_URL=store_url)
    write_bson(tmp_path / "old.bson", OLD)
    write_bson(tmp_path / "new.bson", NEW)
    assert jobs("rebuild", "old.bson").code == 0
    return jobs


@pytest.fixture
def stores(jobs: CommandLine, store_url: str) -> Iterator[Stores]:
    with open_stores(store_url, timeout_s=10, create=False) as opened:
        yield opened


class Pipe:
    """Standard input of a rebuild, which goes on reading as long as it is open."""

    def __init__(self, jobs: CommandLine, *arguments: str) -> None:
        read_end, self.write_end = os.pipe()
        self.running = jobs.start("rebuild", "-", *arguments, stdin=read_end)
        os.close(read_end)
        os.write(self.write_end, bson_of(NEW[:50]))

    @property
    def is_read(self) -> bool:
        """Whether all that was written has been read."""
        return not any(fcntl.ioctl(self.write_end, termios.FIONREAD, bytes(4)))

    def close(self) -> None:
        os.close(self.write_end)


@pytest.fixture
def reading(jobs: CommandLine, stores: Stores) -> Iterator[Running]:
    """A rebuild that has begun to read."""
    pipe = Pipe(jobs, "--truncate")
    wait_until(lambda: stores.runs.get(2))
    wait_until(lambda: pipe.is_read)
    yield pipe.running
    pipe.close()


@pytest.mark.parametrize("number", CODES)
def test_a_signal_while_reading_stops_the_run(
    jobs: CommandLine, stores: Stores, reading: Running, number: signal.Signals
) -> None:
    before = stores.summaries.published()
    began = time.monotonic()
    reading.send(number)
    result = reading.wait()
    assert time.monotonic() - began < 30
    err = result.require_failure(CODES[number], f"stopped by {number.name}, nothing was published")
    assert "Run the same command again" in err
    run = stores.runs.get(2)
    assert run is not None
    assert (run.status, run.phase) == (RunStatus.INTERRUPTED, "reading")
    assert run.error == f"stopped by {number.name}, nothing was published"
    assert stores.summaries.published() == before
    assert published_rows(stores) == summaries_of(OLD)
    assert jobs("rebuild", "new.bson", "--truncate").code == 0
    assert published_rows(stores) == summaries_of(NEW)


def test_a_second_signal_does_not_interrupt_the_cleanup(stores: Stores, reading: Running) -> None:
    for _ in range(20):
        reading.send(signal.SIGINT)
        reading.send(signal.SIGTERM)
        time.sleep(0.001)
    result = reading.wait()
    assert result.code in CODES.values()
    result.require_failure(result.code, "stopped by SIG")
    assert [run.status for run in stores.runs.recent(1)] == [RunStatus.INTERRUPTED]


def test_a_signal_inside_a_statement_leaves_the_old_or_the_new_state(jobs: CommandLine, stores: Stores) -> None:
    old, new = summaries_of(OLD), summaries_of(NEW)
    for delay_s in (0.0, 0.01, 0.03, 0.06) if THOROUGH else (0.0, 0.03):
        latest = stores.runs.recent(1)[0].id
        running = jobs.start("rebuild", "new.bson", "--truncate")
        wait_until(lambda latest=latest: _is_publishing(stores, latest))  # type: ignore[misc]
        time.sleep(delay_s)
        running.send(signal.SIGTERM)
        result = running.wait()
        run = stores.runs.recent(1)[0]
        if result.code == 0:
            assert result.err == ""
            assert run.status is RunStatus.PUBLISHED
            assert published_rows(stores) == new
            assert jobs("rebuild", "old.bson", "--truncate", "--allow-shrink").code == 0
        else:
            result.require_failure(143, "stopped by SIGTERM, nothing was published")
            assert (run.status, run.generation) == (RunStatus.INTERRUPTED, None)
            assert published_rows(stores) == old
    assert jobs("rebuild", "new.bson", "--truncate").code == 0
    assert published_rows(stores) == new


def test_a_signal_after_any_store_statement_is_safe(jobs: CommandLine, stores: Stores, store_url: str) -> None:
    """Also after the one that publishes, from which on the run waits for what became of it.

    Each while publishing and each third before; an eighth of them, unless the run is a thorough one.
    """
    transactions = {"one": spread(["one"], days=3), "two": spread(["two"], days=3)}
    for name in transactions:
        write_bson(jobs.folder / f"{name}.bson", transactions[name])
    assert jobs("rebuild", "one.bson", "--truncate", "--allow-shrink").code == 0
    few = 1 if THOROUGH else 8
    current, late_signals, calls, step = "one", 0, 0, 3 * few
    while True:
        calls += step
        wanted = "two" if current == "one" else "one"
        last_id = stores.runs.recent(1)[0].id
        result = jobs("rebuild", f"{wanted}.bson", "--truncate", signal_after=calls, number=signal.SIGTERM)
        if result.code == 0:
            assert published_rows(stores) == summaries_of(transactions[wanted])
            current = wanted
            late_signals += 1
            if late_signals * few > 6:
                break
        else:
            result.require_failure(143, "stopped by SIGTERM, nothing was published")
            assert published_rows(stores) == summaries_of(transactions[current]), f"after {calls} calls"
            run = stores.runs.recent(1)[0]
            assert run.id == last_id or run.status is RunStatus.INTERRUPTED
            if run.id > last_id and run.phase == "publishing":
                step = few
    assert calls > 12
    statuses = [run.status for run in stores.runs.recent(1000)]
    assert set(statuses) == {RunStatus.PUBLISHED, RunStatus.INTERRUPTED}
    assert statuses.count(RunStatus.INTERRUPTED) * few > 5, statuses


def _is_publishing(stores: Stores, after_run: int) -> bool:
    run = stores.runs.recent(1)[0]
    return run.id > after_run and run.phase in ("publishing", "done")


def test_ctrl_c_during_start_up_shows_no_traceback(tmp_path: Path) -> None:
    """Also during imports; output of Python itself before the first line of the program is ignored."""
    write_bson(tmp_path / "new.bson", NEW)
    for delay_s in (0.15, 0.25, 0.4, 0.6, 0.8, 1.2) if THOROUGH else (0.15, 0.4, 0.8):
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs", "rebuild", "new.bson", "--truncate"],
            cwd=tmp_path,
            env=unmeasured() | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert f"{ROOT}/jobs" not in err
        if "Fatal Python error: init_" in err:  # on a slow machine, Python was not ready to run a program
            continue
        assert process.returncode in (0, 130, -signal.SIGINT), err
        assert (process.returncode == 0) == out.startswith("Read 300 documents")


def test_a_store_that_fails_during_a_write_is_an_error(
    mortal_server: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    url, server = mortal_server
    jobs = CommandLine(tmp_path, STORE_URL=f"{url}shop", STORE_TIMEOUT_S="1")
    write_bson(tmp_path / "old.bson", OLD)
    assert jobs("rebuild", "old.bson").code == 0
    with open_stores(f"{url}shop", timeout_s=1) as stores:
        pipe = Pipe(jobs, "--truncate")
        wait_until(lambda: stores.runs.get(2))
        server.kill()
        server.wait()
        pipe.close()
        pipe.running.wait().require_failure(1, "the store at mongodb://127.0.0.1")
        with pytest.raises(StoreError):
            stores.summaries.published()
