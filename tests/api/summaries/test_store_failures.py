"""Store failures: a missing, empty, damaged or unreachable store is reported, and reopened automatically."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from api_client import FRESHNESS_S, MERCHANTS, SUMMARY, Api, document, on_the_loop, problem
from examples import NOW_MS
from mongo_proxy import MongoProxy
from sales import SALES, publish
from sending import contacts_of, send

from api.store_access import StoreAccess
from api.summaries.current_publication import CurrentPublication
from api.threads import ThreadPool
from core.errors import StoreUnavailable
from core.stores import Stores, open_stores

QUERY = {"mode": "daily", "type": "amount"}


def current_publication_of(access: StoreAccess, monotonic: Callable[[], float]) -> CurrentPublication:
    pools = (ThreadPool("test", 2, 10), ThreadPool("test", 2, 10))
    return CurrentPublication(access, *pools, freshness_s=1, cache_bytes=0, monotonic=monotonic)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "summaries.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


class TestNothingBuilt:
    @pytest.mark.parametrize("address", [SUMMARY, MERCHANTS, "/api/me", "/api/status", "/readyz"])
    def test_a_missing_store_is_reported_and_not_created(self, url: str, path: Path, address: str) -> None:
        answer = Api(url).ask(address, QUERY if address == SUMMARY else "")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert document(answer)["type"] in ("/problems/not-built-yet", "/problems/store-unavailable")
        assert str(path.parent) not in answer.text or address == "/readyz"
        assert not path.exists()

    def test_a_store_without_a_publication_is_reported(self, store_url: str) -> None:
        open_stores(store_url, timeout_s=10).close()
        api = Api(store_url)
        for address, query in ((SUMMARY, QUERY), (MERCHANTS, {})):
            answer = api.ask(address, query)
            assert problem(answer) == (503, "not-built-yet")
            assert answer.headers["retry-after"] == "30"

    def test_invalid_requests_are_refused_even_without_a_publication(self, url: str) -> None:
        open_stores(url, timeout_s=10).close()
        assert problem(Api(url).series("yearly")) == (400, "bad-parameter")

    def test_the_first_publication_is_served_without_a_restart(self, url: str) -> None:
        api = Api(url)
        assert api.series().status_code == 503
        publish(url)
        assert api.series().status_code == 503  # it does not look again at once
        api.moment.advance()
        assert api.series().status_code == 200


class TestDown:
    def test_a_removed_store_file_is_detected_and_reopened_when_back(self, url: str, path: Path) -> None:
        publish(url)
        api = Api(url)
        before = api.series()
        away = path.with_name("away.db")
        path.rename(away)
        api.moment.advance()
        answer = api.series("weekly")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        away.rename(path)
        api.moment.advance()
        assert api.series().content == before.content

    def test_cached_responses_are_served_for_a_minute_of_an_outage(self, url: str, path: Path) -> None:
        publish(url)
        api = Api(url)
        before = api.series()
        away = path.rename(path.with_name("away.db"))
        for seconds in (FRESHNESS_S, 59.5):
            api.moment.advance(seconds)
            assert api.series().content == before.content
            assert [api.ask(path).status_code for path in ("/healthz", "/readyz")] == [200, 503]
        api.moment.advance(0.5)
        assert api.series().status_code == 503
        away.rename(path)
        api.moment.advance()
        assert api.series().content == before.content

    def test_a_replaced_store_file_is_reopened(self, url: str, path: Path, tmp_path: Path) -> None:
        publish(url)
        other = tmp_path / "other.db"
        publish(f"sqlite:///{other}", {"shop-9": {"1403/01/01": (9, 9)}})
        api = Api(url)
        api.series()
        other.rename(path)
        for _ in range(2):
            api.moment.advance()
            api.series()
        assert api.series().json == [{"key": "1403/01/01", "value": 9}]

    def test_a_file_that_is_no_database_is_unavailable_and_its_path_is_not_shown(self, url: str, path: Path) -> None:
        path.write_bytes(b"this is no database" * 100)
        api = Api(url)
        answer = api.series()
        assert problem(answer) == (503, "store-unavailable")
        assert str(path) not in answer.text
        assert any("not an SQLite database" in line.get("traceback", "") for line in api.log())

    def test_during_an_outage_the_store_is_retried_once_per_freshness(self, url: str, path: Path) -> None:
        path.mkdir()  # a folder cannot be opened
        tried = 0

        def opening() -> Stores:
            nonlocal tried
            tried += 1
            return open_stores(url, timeout_s=3, create=False)

        now = 0.0
        access = StoreAccess(opening, pause_s=1, monotonic=lambda: now)
        current = current_publication_of(access, lambda: now)
        for second in range(3):
            now = float(second)
            for _ in range(5):
                with pytest.raises(StoreUnavailable, match="folder"):
                    on_the_loop(current.snapshot())
            assert tried == second + 1

    def test_a_failure_during_a_read_gives_service_unavailable(self, url: str, path: Path) -> None:
        publish(url)
        api = Api(url)
        assert api.series().status_code == 200
        (stores,) = api.stores
        stores.close()
        assert problem(api.series("weekly")) == (503, "store-unavailable")
        assert problem(api.series("monthly")) == (503, "store-unavailable")
        api.moment.advance()
        assert api.series("weekly").status_code == 200

    def test_a_killed_mongodb_is_detected_quickly_and_used_again_when_back(
        self, mortal_server: tuple[str, subprocess.Popen[bytes]]
    ) -> None:
        url, server = mortal_server
        publish(f"{url}summaries")
        api = Api(f"{url}summaries")
        assert api.series().status_code == 200
        server.kill()
        server.wait(timeout=60)
        api.moment.advance()
        assert problem(api.series("weekly")) == (503, "store-unavailable")
        began = time.perf_counter()
        for _ in range(20):
            assert api.series("weekly").status_code == 503
        assert time.perf_counter() - began < 30
        port = url.rpartition(":")[2].strip("/")
        again = subprocess.Popen(server.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while (answer := api.series("weekly")).status_code != 200:
                assert time.monotonic() < deadline, f"not found again on port {port}: {answer.text}"
                api.moment.advance()
                time.sleep(0.05)
        finally:
            again.kill()
            again.wait(timeout=60)


def test_a_failed_write_does_not_block_reads(small_disk: Path) -> None:
    url = f"sqlite:///{small_disk / 'summaries.db'}"
    publish(url)
    api = Api(url)
    assert api.series().status_code == 200
    with suppress(OSError), (small_disk / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    refused = 0
    for user in range(50):
        answer = send(api, contacts_of(f"u{user}"), {"contacts": {"sms": "+989123456789"}}, method="PUT")
        refused += answer.status_code == 503
        for mode in ("daily", "weekly", "monthly"):
            assert api.series(mode, merchant_id="shop-1").status_code == 200
    assert refused > 5
    assert len(api.stores) == 1


def test_an_unconfirmed_write_does_not_block_reads(mongo_database_url: str) -> None:
    publish(mongo_database_url)
    with MongoProxy(mongo_database_url) as proxy:
        api = Api(proxy.url, timeout_s=2)
        assert api.series().status_code == 200
        proxy.lose_answer("findAndModify", breaks=False)
        contacts = {"contacts": {"sms": "+989123456789"}}
        assert problem(send(api, contacts_of("u1"), contacts, method="PUT")) == (503, "store-unavailable")
        assert proxy.applied() == 1
        assert api.series("weekly").status_code == 200
        assert len(api.stores) == 1
        assert send(api, contacts_of("u1"), contacts, method="PUT").status_code == 200
        # Where it waits for a majority in vain, it says so before the time-out.
        assert proxy.commands("findAndModify")[0]["writeConcern"]["wtimeout"] < 2000


class TestManyAtOnce:
    def test_a_request_that_needs_the_store_waits_until_it_is_open_again(self, url: str) -> None:
        publish(url)
        api = Api(url, settles=False)
        api.series()
        api.stores[0].close()
        assert api.series("weekly").status_code == 503
        api.moment.advance()
        opening, go_on, open_again = threading.Event(), threading.Event(), api.open_stores

        def open_slowly() -> Stores:
            opening.set()
            assert go_on.wait(40)
            return open_again()

        api.open_stores = open_slowly  # type: ignore[method-assign]
        with ThreadPoolExecutor(1) as other:
            cold = other.submit(api.series, "weekly")
            assert opening.wait(40)
            assert api.series().status_code == 200
            go_on.set()
            assert cold.result().status_code == 200

    def test_while_a_failed_store_is_reopened_other_requests_fail_fast(self, url: str, path: Path) -> None:
        hanging, go_on = threading.Event(), threading.Event()
        now = 0.0

        def opening() -> Stores:
            if now > 0:
                hanging.set()
                assert go_on.wait(60)
            return open_stores(url, timeout_s=3, create=False)

        access = StoreAccess(opening, pause_s=1, monotonic=lambda: now)
        current = current_publication_of(access, lambda: now)
        with pytest.raises(StoreUnavailable):
            on_the_loop(current.snapshot())
        publish(url)
        now = 5.0
        with ThreadPoolExecutor(1) as other:
            first = other.submit(lambda: on_the_loop(current.snapshot()))
            assert hanging.wait(60)
            with pytest.raises(StoreUnavailable):
                access.call(lambda stores: stores.keys.all())
            go_on.set()
            published = first.result(timeout=60)
        assert published is not None
        access.close()
        access.close()

    def test_concurrent_first_requests_open_the_store_once(self, url: str) -> None:
        publish(url)
        opened = []
        together = threading.Barrier(4)

        def opening() -> Stores:
            opened.append(open_stores(url, timeout_s=3, create=False))
            return opened[-1]

        access = StoreAccess(opening, pause_s=1, monotonic=lambda: 0.0)
        current = current_publication_of(access, lambda: 0.0)

        def first(_: int) -> object:
            together.wait(60)
            return on_the_loop(current.snapshot())

        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(first, range(4), timeout=60))
        access.close()
        assert len(opened) == 1
        assert len({id(published) for published in found}) == 1

    def test_a_late_failure_does_not_close_the_reopened_store(self, url: str) -> None:
        publish(url)
        access = StoreAccess(lambda: open_stores(url, timeout_s=3, create=False), pause_s=1, monotonic=lambda: 0.0)
        current = current_publication_of(access, lambda: 0.0)

        def read_from_stores_that_are_closed_meanwhile(stores: Stores) -> None:
            access.close()
            access.call(lambda successors: successors.keys.all())
            stores.keys.all()

        with pytest.raises(StoreUnavailable):
            access.call(read_from_stores_that_are_closed_meanwhile)
        assert on_the_loop(current.snapshot()) is not None
        access.close()


def test_a_publication_is_identified_by_its_time_too(url: str, path: Path) -> None:
    publish(url)
    api = Api(url)
    tag = api.series().headers["etag"]
    path.unlink()
    publish(url, SALES, at_ms=NOW_MS + 1)
    for _ in range(3):  # the file is found to be another, then it is opened, then read
        api.moment.advance()
        answer = api.series()
    assert answer.status_code == 200
    assert answer.headers["etag"] != tag
