"""``/metrics`` during a store outage, scraped every 15 s with a key as by Prometheus."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from api_client import FRESHNESS_S, KEYS_ONLY, Api, add_key, problem
from sales import publish, published_in

from api.observability.metrics import Metrics, StoreFacts
from api.store_access import PATIENCE_S
from core.stores.api_keys import Scope

SCRAPED_EVERY_S = 15.0
DAY_S = 86_400.0
STORE_TIMEOUT_S = 10.0
"""Time-out of the driver, and so the duration of a scrape that waits for it."""
WAIT_S = 40.0


def store_up(api: Api, key: str) -> float:
    """The value of the store metric in the next scrape."""
    api.moment.advance(SCRAPED_EVERY_S)
    answer = api.ask("/metrics", key=key)
    assert answer.status_code == 200, answer.text
    (found,) = re.findall(r"^transaction_summary_store_up (\S+)$", answer.text, re.MULTILINE)
    return float(found)


def wait_until_up(api: Api, key: str) -> None:
    """Scrape until the store is up; on a busy machine the first scrapes may still report it down."""
    deadline = time.monotonic() + WAIT_S
    while store_up(api, key) == 0:
        assert time.monotonic() < deadline


def test_a_store_outage_and_its_recovery_appear_in_metrics(tmp_path: Path) -> None:
    key = add_key(published_in(tmp_path), [Scope.OPERATE])
    path = tmp_path / "summaries.db"
    api = Api(f"sqlite:///{path}", KEYS_ONLY)
    assert store_up(api, key) == 1
    away = path.rename(tmp_path / "away.db")
    assert [store_up(api, key) for _ in range(8)] == [0] * 8  # two minutes
    api.moment.advance(DAY_S - 10 * SCRAPED_EVERY_S)
    assert store_up(api, key) == 0
    away.rename(path)
    wait_until_up(api, key)
    path.unlink()
    api.stores[-1].close()
    api.moment.advance(DAY_S + FRESHNESS_S)
    assert api.ask("/metrics", key=key).status_code == 503


def test_concurrent_scrapes_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = add_key(published_in(tmp_path), [Scope.OPERATE])
    api = Api(f"sqlite:///{tmp_path / 'summaries.db'}", KEYS_ONLY | {"api_queue": 1})
    go_on, exposition = threading.Event(), Metrics.exposition

    def slowly(metrics: Metrics, accept: str, store: StoreFacts) -> tuple[bytes, str]:
        assert go_on.wait(WAIT_S)
        return exposition(metrics, accept, store)

    assert api.ask("/metrics", key=key).status_code == 200
    monkeypatch.setattr(Metrics, "exposition", slowly)
    with ThreadPoolExecutor(4) as prometheus:
        scrapes = [prometheus.submit(api.ask, "/metrics", key=key) for _ in range(4)]
        done = wait(scrapes, timeout=WAIT_S, return_when=FIRST_COMPLETED).done
        assert [problem(scrape.result()) for scrape in done] == [(503, "overloaded")]  # two are made, one waits
        go_on.set()
    assert sorted(scrape.result().status_code for scrape in scrapes) == [200, 200, 200, 503]


def test_a_hanging_then_dead_store_is_reported_down_in_metrics(
    mortal_server: tuple[str, subprocess.Popen[bytes]],
) -> None:
    url, server = f"{mortal_server[0]}summaries", mortal_server[1]
    publish(url)
    key = add_key(url, [Scope.OPERATE])
    api = Api(url, KEYS_ONLY, settles=False, patience_s=PATIENCE_S, timeout_s=STORE_TIMEOUT_S)
    wait_until_up(api, key)
    server.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert [store_up(api, key) for _ in range(5)][1:] == [0] * 4
        assert time.monotonic() - began < STORE_TIMEOUT_S
    finally:
        server.kill()
    server.wait(timeout=60)
    assert [store_up(api, key) for _ in range(5)] == [0] * 5
