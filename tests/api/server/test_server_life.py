"""The server from start to shutdown: startup report, failures of workers, graceful shutdown, reload."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from api_client import add_key
from effort import THOROUGH
from sales import publish
from serving_server import GUNICORN, ROOT, Client, Server, environment, eventually, request, serving, sqlite_url
from warm_programs import run_warm

from core.stores import open_stores
from core.stores.api_keys import Scope

JSON = "Content-Type: application/json"
LARGE_FROM = "1340/01/01"
LARGE = f"/api/transactions/summary?mode=daily&type=amount&fill=zero&from={LARGE_FROM}&to=1440/01/01&locale=fa"
STORE_TIMEOUT_S = 1.5
"""How long a request takes that meets a store which does not answer."""
STOP_S = 25
"""Within which a server stops that waits for no client, on a noisy machine; it gives kept connections 2 s."""


@contextmanager
def silent_store() -> Iterator[str]:
    """The URL of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"mongodb://user:secret@127.0.0.1:{listener.getsockname()[1]}/summaries"


def messages(server: Server) -> list[str]:
    """The messages of the server log, whose lines are JSON objects with common fields."""
    lines = [json.loads(line) for line in server.err.splitlines()]
    assert all({"time", "level", "event"} <= line.keys() for line in lines)
    return [line["message"] for line in lines]


def total_of(server: Server, name: str) -> float:
    """The sum of a metric over its labels, in all workers together."""
    found = re.findall(rf"(?m)^{name}(?:{{.*}})? ([0-9.e+]+)$", server.ask("/metrics").body.decode())
    return sum(map(float, found))


def test_the_startup_report_shows_the_publication_and_access(tmp_path: Path) -> None:
    publish(sqlite_url(tmp_path))
    with serving(tmp_path) as server:
        pass
    said = messages(server)
    assert f"Summaries are served at http://127.0.0.1:{server.port}/" in said
    assert any(f"The store is {sqlite_url(tmp_path)}: " in line and "1402/12/27 to 1403/12/30" in line for line in said)
    assert any(line.startswith("Programs on this host need no key") for line in said)
    assert any(
        line.endswith("There is no valid key: python -m api keys add NAME --summaries creates one.") for line in said
    )


def test_the_startup_report_shows_key_access_and_a_missing_publication(tmp_path: Path) -> None:
    add_key(sqlite_url(tmp_path), [Scope.OPERATE])
    with serving(tmp_path, API_ACCESS="keys") as server:
        assert server.ask("/api/me").status == 401
    said = messages(server)
    assert any(line.startswith("Programs need a key, and people a link") for line in said)
    assert any("nothing is published there yet" in line for line in said)


def test_a_server_started_without_a_store_serves_once_it_exists(tmp_path: Path) -> None:
    path = "/api/transactions/summary?mode=monthly&type=count"
    with serving(tmp_path, API_FRESHNESS_S="0.1") as server:
        eventually(lambda: any("nothing was built there yet" in line for line in messages(server)))
        assert server.ask(path).status == 503
        publish(sqlite_url(tmp_path))
        eventually(lambda: server.ask(path).status == 200)


def test_a_store_timeout_hides_the_password_and_shutdown_waits_for_it(
    tmp_path: Path,
) -> None:
    with (
        silent_store() as url,
        serving(tmp_path, STORE_URL=url, API_STORE_TIMEOUT_S=str(STORE_TIMEOUT_S)) as server,
    ):
        assert server.ask("/healthz").status == 200
        with server.client() as client:
            client.send(request("/readyz"))
            time.sleep(STORE_TIMEOUT_S / 3)
            server.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            answer = client.answer()
            assert (answer.status, answer.header("Connection")) == (503, "close")
        assert server.wait() == 0
        assert time.monotonic() - began < STORE_TIMEOUT_S + STOP_S
        assert "secret" not in server.out + server.err


@pytest.mark.parametrize("number", [signal.SIGTERM, *([signal.SIGINT] if THOROUGH else [])])
def test_shutdown_answers_new_requests_and_skips_idle_and_slow_clients(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path, API_REQUEST_TIMEOUT_S="30") as server:
        assert server.ask().status == 200
        with server.client() as kept, server.client() as slow, server.client(), server.client() as new:
            assert kept.send(request()).answer().status == 200
            slow.send(request()[:-1])
            time.sleep(0.1)
            began = time.monotonic()
            os.killpg(server.process.pid, number)  # a terminal signals all processes of its command
            eventually(lambda: '"Shutting down"' in server.err)
            for client in (kept, new):
                answer = client.send(request()).answer()
                assert (answer.status, answer.header("Connection")) == (200, "close")
                assert client.is_closed()
            assert server.wait() == 0
        assert time.monotonic() - began < STOP_S
        assert list((tmp_path / "tmp").iterdir()) == []
        messages(server)


def test_shutdown_lets_a_slow_reader_read_its_whole_response(tmp_path: Path) -> None:
    publish(sqlite_url(tmp_path))
    with (
        serving(tmp_path, API_REQUEST_TIMEOUT_S="30") as server,
        server.client() as idle,
        server.client(receive_buffer=4096) as client,
    ):
        assert idle.send(request()).answer().status == 200
        client.send(request(LARGE))
        eventually(lambda: server.out.count(LARGE_FROM) == 1)
        client.send(request(LARGE))  # both together are more than the system buffers
        eventually(lambda: server.out.count(LARGE_FROM) == 2)
        server.process.send_signal(signal.SIGTERM)
        assert idle.is_closed()
        for _ in range(2):
            assert len(client.answer().json) > 30_000
        assert client.is_closed()
        assert server.wait() == 0


@contextmanager
def crowd(server: Server, *, ask: bool) -> Iterator[list[Client]]:
    """More clients than the server has connections; they wait after a request, or without one."""
    clients: list[Client] = []
    for _ in range(40):
        clients.append(server.client())
        if ask:
            assert clients[-1].send(request()).answer().status == 200
    yield clients
    for client in clients:
        client.close()


@contextmanager
def ten_connections(folder: Path) -> Iterator[tuple[Server, Client]]:
    """A server that keeps ten connections, and a client that has sent a request."""
    options = ("--worker-connections", "10")
    with serving(folder, *options, API_REQUEST_TIMEOUT_S="30") as server, server.client() as client:
        assert client.send(request()).answer().status == 200
        yield server, client


@pytest.mark.parametrize("ask", [False, True])
def test_more_clients_than_connections_do_not_lock_out_others(tmp_path: Path, *, ask: bool) -> None:
    with ten_connections(tmp_path) as (server, _), crowd(server, ask=ask):
        began = time.monotonic()
        assert server.ask().status == 200
        assert time.monotonic() - began < STOP_S


def test_silent_clients_displace_each_other_and_not_clients_with_requests(tmp_path: Path) -> None:
    with ten_connections(tmp_path) as (server, client), crowd(server, ask=False) as silent:
        assert silent[0].is_closed()
        assert client.send(request()).answer().status == 200


BROKEN_CHECK = """
import api
from api.server.protocol import Protocol

check = Protocol.check

def check_or_break(self, now):
    if self.cycle and self.cycle.scope["query_string"] == b"break":
        raise RuntimeError("the reason")
    check(self, now)

def get_app():
    Protocol.check = check_or_break
    return api.get_app()
"""


def test_a_failing_connection_check_closes_only_that_connection(
    tmp_path: Path,
) -> None:
    (tmp_path / "broken_check.py").write_text(BROKEN_CHECK)
    command = (*GUNICORN, "broken_check:get_app()")
    with (
        serving(tmp_path, "--pythonpath", str(tmp_path), command=command, API_REQUEST_TIMEOUT_S="0.5") as server,
        server.client() as broken,
    ):
        assert broken.send(request("/healthz?break")).answer().status == 200
        assert broken.is_closed()
        with server.client() as silent:
            assert silent.is_closed()
    assert messages(server).count("A connection could not be checked") == 1


def test_an_unread_log_pipe_delays_neither_requests_nor_shutdown(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out")
    reader = os.open(tmp_path / "out", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with serving(tmp_path) as server:
            with server.client() as client:
                for _ in range(100):  # a pipe takes 64 kB
                    assert client.send(request("/healthz?" + "a" * 1000)).answer().status == 200
            assert server.stop() == 0
    finally:
        os.close(reader)


def test_an_immediate_stop_logs_the_number_of_cancelled_requests(tmp_path: Path) -> None:
    with serving(tmp_path, API_REQUEST_TIMEOUT_S="30") as server:
        head = request("/api/notifications", "Content-Length: 5", "Expect: 100-continue", JSON, method="POST")
        with server.client() as kept, server.client() as slow, server.client() as slower:
            assert kept.send(request()).answer().status == 200
            for client in (slow, slower):
                assert client.send(head).answer().status == 100
            (worker,) = server.workers()
            os.kill(worker, signal.SIGINT)
            assert kept.is_closed()
            os.kill(worker, signal.SIGINT)
            eventually(lambda: "2 requests were cancelled" in messages(server))
            eventually(lambda: worker not in server.workers())
    assert "Traceback" not in server.err


def test_metrics_add_up_over_workers_even_after_one_is_killed(tmp_path: Path) -> None:
    publish(sqlite_url(tmp_path))
    name, asked = 'transaction_summary_http_requests_total{.*route="/api/transactions/summary".*}', 40
    with serving(tmp_path, API_WORKERS="2") as server:
        eventually(lambda: len(server.workers()) == 2)
        for _ in range(asked):
            assert server.ask("/api/transactions/summary?mode=daily&type=amount").status == 200
        eventually(lambda: total_of(server, name) == asked)
        killed = server.workers()[0]
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(server.workers()) == 2 and killed not in server.workers())
        assert total_of(server, name) == asked
        eventually(lambda: total_of(server, "transaction_summary_http_requests_in_progress") == 1)
        assert any("SIGKILL" in line for line in messages(server))


def test_a_worker_killed_under_load_is_replaced(tmp_path: Path) -> None:
    publish(sqlite_url(tmp_path))
    done = threading.Event()
    answered, broken, wrong = [0], [0], []

    def ask_on(server: Server) -> None:
        while not done.is_set():
            try:
                with Client(server.port) as client:
                    while not done.is_set():
                        answer = client.send(request("/api/transactions/summary?mode=monthly&type=amount")).answer()
                        answered[0] += 1
                        if answer.status != 200 or not answer.json:
                            wrong.append(answer)
                        time.sleep(0.002)
            except (OSError, AssertionError):
                broken[0] += 1

    with serving(tmp_path, API_WORKERS="2") as server:
        eventually(lambda: len(server.workers()) == 2)
        threads = [threading.Thread(target=ask_on, args=[server]) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: answered[0] > 50)
            killed = server.workers()[0]
            os.kill(killed, signal.SIGKILL)
            eventually(lambda: killed not in server.workers() and len(server.workers()) == 2)
            at_the_kill = answered[0]
            eventually(lambda: answered[0] > at_the_kill + 50)
        finally:
            done.set()
            for thread in threads:
                thread.join(60)
    assert wrong == []
    assert broken[0] <= len(threads)  # whom the killed worker served, once each


SLOW_START = """
import pathlib, time, api

def get_app():
    if pathlib.Path(__file__).with_name("is-slow").exists():
        time.sleep(3)
    return api.get_app()
"""


def test_a_reload_has_no_downtime(tmp_path: Path) -> None:
    publish(sqlite_url(tmp_path))
    (tmp_path / "slow_start.py").write_text(SLOW_START)
    command = (*GUNICORN, "slow_start:get_app()")
    answered = 0
    longest_s = 0.0
    with serving(tmp_path, "--pythonpath", str(tmp_path), command=command, API_WORKERS="2") as server:
        eventually(lambda: len(server.workers()) == 2 and server.ask().status == 200, 40)
        before = set(server.workers())
        (tmp_path / "is-slow").touch()
        server.process.send_signal(signal.SIGHUP)
        reloaded = time.monotonic()
        while before & set(server.workers()):  # each client comes over a connection of its own
            began = time.monotonic()
            assert server.ask("/api/transactions/summary?mode=monthly&type=amount").status == 200
            longest_s = max(longest_s, time.monotonic() - began)
            answered += 1
            time.sleep(0.01)
        took_s = time.monotonic() - reloaded
        assert len(server.workers()) == 2
        assert server.ask().status == 200
    assert took_s > 3
    assert answered > 10
    assert longest_s < 2.5


def test_workers_end_when_their_master_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        eventually(lambda: server.workers() and server.ask().status == 200)
        (worker,) = server.workers()
        server.process.kill()
        eventually(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == "zombie", 40)


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("API_WORKERS", "many", 2),
        ("API_BIND", "127.0.0.1:99999", 2),
        ("API_BIND", "8000", 2),
        ("STORE_URL", "summaries.db", 2),
        ("API_RATE_LIMIT_STORAGE", "carrier-pigeon://coop", None),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(
    tmp_path: Path, variable: str, value: str, code: int | None
) -> None:
    ended = run_warm([*GUNICORN, "api:get_app()"], ROOT, environment(tmp_path, **{variable: value}))
    assert ended.returncode == code or (code is None and ended.returncode != 0)
    assert variable in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_server_writes_no_key_to_its_log(tmp_path: Path) -> None:
    token = add_key(sqlite_url(tmp_path), [Scope.OPERATE])
    secret = token[-20:]
    with serving(tmp_path) as server:
        for path in (f"/{token}", f"/?key={token}", f"/api/%74ss_{token[4:]}"):
            server.ask(path, f"User-Agent: {token}", f"X-Request-Id: {token}", f"Authorization: Bearer {token}")
        with server.client() as client:
            client.send(f"GET /{token} HTTP/1.1\r\n{token}\r\n\r\n".encode()).answer()
        with open_stores(sqlite_url(tmp_path), timeout_s=10) as stores:
            assert stores.keys.all()
        eventually(lambda: len(server.log()) >= 3)
    assert secret not in server.out + server.err
    assert all(line["key_id"] == token.split("_")[1] for line in server.log())
