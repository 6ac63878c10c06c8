"""Rate limits per key and per address, in memory or in Redis, and the limit of body sizes."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_client import Api, add_key, on_the_loop, problem
from falcon.testing import Result
from lacking import missing
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sales import published_in

from api.app import create_app
from api.auth.api_keys import new_token
from api.middleware.rate_limit import ProcessStorage, RateLimit
from api.problems import Problem
from core.errors import ServiceError, SettingsError
from core.settings import read_settings
from core.stores import open_stores
from core.stores.api_keys import Scope
from stack.redis_server import find_redis_server

ME = "/api/me"
WINDOW_S = 60.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return published_in(tmp_path)


def limited(url: str, rate: str = "3/minute", storage: str = "memory://") -> Api:
    return Api(url, {"api_rate_limit": rate, "api_rate_limit_storage": storage})


def statuses(answers: list[Result]) -> list[int]:
    return [answer.status_code for answer in answers]


class TestRates:
    def test_a_client_over_the_limit_gets_retry_after(self, url: str) -> None:
        api = limited(url)
        answers = [api.ask(ME) for _ in range(4)]
        assert statuses(answers) == [200, 200, 200, 429]
        assert problem(answers[-1]) == (429, "too-many-requests")
        assert answers[-1].json["detail"] == "The limit of 3 per 1 minute is reached."
        assert 55 <= int(answers[-1].headers["retry-after"]) <= 60
        api.moment.advance(20)
        assert 35 <= int(api.ask(ME).headers["retry-after"]) <= 40

    def test_after_the_window_requests_are_served_again(self, url: str) -> None:
        api = limited(url)
        for _ in range(2):
            assert statuses([api.ask(ME) for _ in range(5)]) == [200, 200, 200, 429, 429]
            api.moment.advance(WINDOW_S)

    def test_each_key_has_its_own_rate_limit_from_any_address(self, url: str) -> None:
        one, other = add_key(url), add_key(url)
        api = limited(url)
        peers = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]
        assert statuses([api.ask(ME, key=one, peer=peer) for peer in peers]) == [200, 200, 200, 429]
        assert api.ask(ME, key=other, peer="10.0.0.1").status_code == 200

    def test_without_a_key_each_address_has_its_own_rate_limit(self, url: str) -> None:
        add_key(url)
        api = limited(url)
        assert statuses([api.ask("/", peer="10.0.0.1") for _ in range(4)]) == [200, 200, 200, 429]
        assert api.ask("/", peer="10.0.0.2").status_code == 200

    def test_guessed_keys_are_rate_limited_and_valid_keys_are_unaffected(self, url: str) -> None:
        key = add_key(url)
        api = limited(url)
        guesses = [api.ask(ME, key=new_token()[1], peer="10.0.0.1") for _ in range(5)]
        assert statuses(guesses) == [401, 401, 401, 429, 429]
        assert api.ask(ME, key=key, peer="10.0.0.1").status_code == 200

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
    def test_a_forged_forwarded_address_does_not_evade_the_rate_limit(self, url: str, header: str) -> None:
        add_key(url)
        api = limited(url)
        answers = [api.ask(ME, headers={header: f"10.0.0.{n}"}, peer="10.9.9.9") for n in range(4)]
        assert statuses(answers) == [401, 401, 401, 429]

    def test_addresses_of_one_ipv6_network_share_a_rate_limit(self, url: str) -> None:
        add_key(url)
        api = limited(url)
        answers = [api.ask(ME, peer=f"2001:db8:1:2::{n}") for n in range(4)]
        assert statuses(answers) == [401, 401, 401, 429]
        assert api.ask(ME, peer="2001:db8:1:3::1").status_code == 401

    def test_remote_requests_are_rate_limited_before_the_first_key_exists(self, url: str) -> None:
        api = limited(url)
        assert statuses([api.ask(ME, peer="10.0.0.1") for _ in range(4)]) == [401, 401, 401, 429]
        assert api.ask(ME).status_code == 200

    def test_the_health_check_is_outside_the_rate_limit(self, url: str) -> None:
        api = limited(url)
        assert set(statuses([api.ask("/healthz") for _ in range(10)])) == {200}
        assert api.ask(ME).status_code == 200

    def test_clients_without_an_address_share_one_rate_limit(self, url: str) -> None:
        add_key(url)
        api = limited(url)
        assert statuses([api.ask(ME, peer=peer) for peer in ("", "", "", "")])[-1] == 429


class TestWindowsInThisProcess:
    def test_windows_begin_with_the_first_request_and_end_after_their_length(self) -> None:
        now = 0.0
        storage = ProcessStorage(lambda: now)

        async def count() -> None:
            nonlocal now
            assert [await storage.incr("a", 10), await storage.incr("a", 10, 5)] == [1, 6]
            assert [await storage.get("a"), await storage.get("b")] == [6, 0]
            now = 9.9
            assert await storage.incr("a", 10) == 7
            assert await storage.get_expiry("a") == pytest.approx(time.time() + 0.1, abs=1)
            now = 10.0
            assert (await storage.get("a"), await storage.incr("a", 10)) == (0, 1)
            await storage.clear("a")
            assert (await storage.get("a"), await storage.check(), await storage.reset()) == (0, True, 0)

        on_the_loop(count())

    def test_expired_windows_and_the_oldest_of_too_many_are_evicted(self) -> None:
        now = 0.0
        storage = ProcessStorage(lambda: now, most_callers=3)

        async def count() -> None:
            nonlocal now
            for caller in "abcd":
                await storage.incr(caller, 10)
            assert [await storage.get(caller) for caller in "abcd"] == [0, 1, 1, 1]
            now = 10.0
            await storage.incr("e", 10)
            assert await storage.reset() == 1

        on_the_loop(count())


class TestCountingInRedis:
    @pytest.fixture
    def redis_url(self, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
        try:
            program = find_redis_server()
        except ServiceError as error:
            missing(f"{error.sentence}: rates that all workers share are counted in it")
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            port = reserved.getsockname()[1]
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0", server
        finally:
            server.kill()
            server.wait(timeout=60)

    def test_processes_share_one_rate_limit_in_redis(self, url: str, redis_url: tuple[str, object]) -> None:
        one, other = (limited(url, storage=redis_url[0]) for _ in range(2))
        assert statuses([api.ask(ME) for api in (one, other, one, other)]) == [200, 200, 200, 429]
        assert 1 <= int(one.ask(ME).headers["retry-after"]) <= 60

    def test_a_window_in_redis_ends(self, url: str, redis_url: tuple[str, object]) -> None:
        api = limited(url, "1/second", redis_url[0])
        deadline = time.monotonic() + 60
        for status in (200, 429, 200):
            while api.ask(ME).status_code != status:
                assert time.monotonic() < deadline
                time.sleep(0.01)

    def test_while_redis_is_down_requests_are_served_without_a_rate_limit(
        self, url: str, redis_url: tuple[str, subprocess.Popen[bytes]], caplog: pytest.LogCaptureFixture
    ) -> None:
        storage, server = redis_url
        api = limited(url, storage=storage)
        assert api.ask(ME).status_code == 200
        server.kill()
        server.wait(timeout=60)
        began = time.perf_counter()
        assert set(statuses([api.ask(ME) for _ in range(20)])) == {200}
        assert time.perf_counter() - began < 8
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        again = subprocess.Popen(server.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(int(storage.rpartition(":")[2].partition("/")[0]))
            api.moment.advance(10)
            assert statuses([api.ask(ME) for _ in range(4)]) == [200, 200, 200, 429]
        finally:
            again.kill()
            again.wait(timeout=60)

    def test_a_redis_that_hangs_delays_one_request_only(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            limit = RateLimit("1/minute", f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
            began = time.perf_counter()
            for _ in range(20):
                on_the_loop(limit.count("k", ""))
            assert time.perf_counter() - began < 8


@pytest.mark.parametrize("storage", ["redis:/", "nothing://user:secret@host", "memcached://", ""])
def test_an_unknown_rate_limit_storage_is_refused_at_the_start_without_its_password(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_RATE_LIMIT_STORAGE", storage)
    with pytest.raises(SettingsError, match="API_RATE_LIMIT_STORAGE") as refused:
        create_app(read_settings(), lambda: open_stores("sqlite:///no.db", timeout_s=1))
    assert "secret" not in refused.value.sentence


def test_in_memory_limits_count_keys_and_addresses_separately() -> None:
    limit = RateLimit("1/minute", "memory://", lambda: 0.0)
    on_the_loop(limit.count("k", ""))
    on_the_loop(limit.count_address("k"))  # a key and an address of one name are two callers
    with pytest.raises(Problem):
        on_the_loop(limit.count("k", ""))


class TestBodies:
    @pytest.mark.parametrize(("size", "expected"), [(0, 405), (1024, 405), (1025, 413), (10**12, 413)])
    def test_a_body_over_the_limit_is_refused_by_content_length(self, url: str, size: int, expected: int) -> None:
        api = Api(url, {"api_max_body_kb": 1})
        headers = {"Content-Type": "application/json", "Content-Length": str(size)}
        answer = api.ask(ME, method="POST", headers=headers)
        assert problem(answer)[0] == expected
        if expected == 413:
            assert problem(answer) == (413, "body-too-large")
            assert answer.json["detail"] == "A body may have 1,024 bytes."

    def test_a_chunked_body_is_refused_once_it_exceeds_the_limit(self, url: str) -> None:
        api = Api(url, {"api_max_body_kb": 1})
        headers = {"host": "localhost", "content-type": "application/json", "transfer-encoding": "chunked"}
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        document = b'{"contacts": {"sms": "+989121234567"}}'
        fitting, too_large = (
            api.unchecked("/api/users/sara/contacts", "PUT", sent, document.ljust(size)) for size in (1024, 1025)
        )
        assert fitting.status_code == 200
        assert problem(too_large) == (413, "body-too-large")

    @pytest.mark.parametrize("length", ["-1", "x", "1.5"])
    def test_an_invalid_content_length_is_a_bad_request(self, url: str, length: str) -> None:
        answer = Api(url).unchecked(ME, "POST", [(b"host", b"localhost"), (b"content-length", length.encode())])
        assert problem(answer) == (400, "bad-request")

    def test_the_body_size_is_checked_before_the_key(self, url: str) -> None:
        add_key(url, [Scope.OPERATE])
        assert Api(url).ask(ME, method="POST", headers={"Content-Length": "99999999"}).status_code == 413


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    with Redis(port=port, socket_timeout=1) as client:
        while True:
            try:
                client.ping()
                return
            except RedisConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
