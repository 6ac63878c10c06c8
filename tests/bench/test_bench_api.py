"""The bench of the API on little data: it runs, and detects what it measures."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

import pytest
from effort import THOROUGH

from bench.api.loads import built_paced, paced
from bench.api.questions import write_lines
from bench.api.rates import CONTESTS, measure_rates
from bench.api.store import served_store
from bench.running import ROOT
from bench.sections import Section, keep

MERCHANTS = 20


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Path:
    """The program that asks at a fixed rate."""
    if shutil.which("go") is None:
        missing("Go is not installed: it builds the program with which the API is measured")
    return built_paced(tmp_path_factory.mktemp("paced"))


@pytest.fixture
def wrk(missing: Callable[[str], NoReturn]) -> None:
    """`wrk` is there."""
    if shutil.which("wrk") is None:
        missing("wrk is not installed: the API is measured with it")


@pytest.mark.usefixtures("wrk", "client")
@pytest.mark.skipif(not THOROUGH, reason="make test THOROUGH=1 runs what measures")
def test_the_memory_of_a_worker_that_served_every_series_is_reported(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "api", "--quick", "--merchants", str(MERCHANTS), "--only", "memory"]
    files = ["--data", str(tmp_path / "data"), "--out", str(tmp_path)]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    memory = json.loads((tmp_path / "results.json").read_text("utf-8"))["api"]["memory"]
    every_series = (MERCHANTS + 1) * 3 * 2
    assert [stage["requests"] for stage in memory["stages"]] == [0, MERCHANTS, *[every_series] * 3]
    assert "| every series, br |" in (tmp_path / "RESULTS.md").read_text("utf-8")


@pytest.mark.usefixtures("wrk")
@pytest.mark.skipif(not THOROUGH, reason="make test THOROUGH=1 runs what measures")
def test_the_api_and_a_plain_falcon_resource_give_equal_timed_responses(tmp_path: Path) -> None:
    contests = [contest for contest in CONTESTS if contest.name in ("ours-304", "plain")]
    store = served_store(tmp_path, MERCHANTS)
    rates = measure_rates(store, tmp_path, rounds=1, seconds=1, contests=contests, worker_counts=[1])
    assert [rate.name for rate in rates.rates] == ["ours-304", "plain"]
    assert all(rate.per_s[0] > 0 and rate.cpu_ms[0] > 0 for rate in rates.rates)
    assert rates.server_times[0].requests > 0


def test_an_unexpected_body_is_counted(client: Path, tmp_path: Path) -> None:
    bodies = iter([b"old", b"new", b"mix", *[b"new"] * 1000])
    with answering(lambda: next(bodies)) as url:
        known = [f"/series\t{hashlib.sha256(body).hexdigest()}" for body in (b"old", b"new")]
        requested = write_lines(tmp_path / "asked", ["/series"])
        seen = paced(client, url, requested, 50, 0.2, write_lines(tmp_path / "known", known))
    assert (seen.requests, seen.foreign) == (10, 1)
    assert seen.wrong >= 1


def test_latency_is_corrected_for_coordinated_omission(client: Path, tmp_path: Path) -> None:
    stalls = iter([0.5, *[0.0] * 1000])

    def answer() -> bytes:
        with alone:
            time.sleep(next(stalls))
            return b"body"

    alone = threading.Lock()
    with answering(answer) as url:
        known = write_lines(tmp_path / "known", [f"/series\t{hashlib.sha256(b'body').hexdigest()}"])
        seen = paced(client, url, write_lines(tmp_path / "asked", ["/series"]), 100, 0.5, known)
    assert seen.requests == 50
    assert (
        seen.median_ms > 100
    )  # of 50 requests, one every 10 ms, half were due more than 250 ms before the stall ended


def test_a_report_section_is_replaced_and_the_others_kept(tmp_path: Path) -> None:
    for section in (Section("jobs", "Fast.", {"seconds": 1}), Section("api", "Old.", {"seconds": 2})):
        keep(tmp_path, section)
    keep(tmp_path, Section("api", "New.", {"seconds": 3}))
    page = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert page.endswith("## The main job\n\nFast.\n\n## The API\n\nNew.\n")
    samples = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert samples == {"jobs": {"seconds": 1}, "api": {"seconds": 3}}


@contextmanager
def answering(answer: Callable[[], bytes]) -> Iterator[str]:
    """The URL of a server whose bodies `answer` makes."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = answer()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
