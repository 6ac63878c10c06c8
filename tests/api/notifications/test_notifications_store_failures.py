"""Store failures: 503 with Retry-After, and retries that create no duplicates."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from api_client import Api, problem
from sending import NOTIFICATIONS, SUBSCRIPTION, SUBSCRIPTIONS, append_events, contacts_of, made, send

from api.auth.api_keys import new_token
from core.notifications.events import EventKind
from core.stores import Stores, open_stores

pytest_plugins = ["notifications_fixtures"]

_TIMEOUT_S = 0.2


class _ShortTimeoutApi(Api):
    """An API with a short store time-out."""

    def open_stores(self) -> Stores:
        stores = open_stores(self.store_url, timeout_s=_TIMEOUT_S, create=False)
        self.stores.append(stores)
        return stores


@pytest.fixture
def impatient(url: str) -> Iterator[_ShortTimeoutApi]:
    """The API over `url`."""
    api = _ShortTimeoutApi(url)
    yield api
    for stores in api.stores:
        stores.close()


@contextmanager
def _locked(url: str) -> Iterator[None]:
    """Lock the store against writes until the end of the block."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_a_request_that_failed_in_the_store_can_be_retried_safely(impatient: _ShortTimeoutApi, url: str) -> None:
    with _locked(url):
        failed = send(impatient, repeatable="order-1")
    impatient.moment.advance()
    answers = [send(impatient, repeatable="order-1") for _ in range(2)]

    assert problem(failed) == (503, "store-unavailable")
    assert int(failed.headers["retry-after"]) >= 1
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len(impatient.ask(NOTIFICATIONS).json["notifications"]) == 1


@pytest.mark.parametrize(
    ("path", "method"),
    [(SUBSCRIPTIONS, "POST"), (contacts_of("sara"), "PUT")],
)
def test_no_write_is_half_done_after_a_store_failure(
    impatient: _ShortTimeoutApi, url: str, path: str, method: str
) -> None:
    body = {
        SUBSCRIPTIONS: SUBSCRIPTION,
        contacts_of("sara"): {"contacts": {"sms": "09123456789"}},
    }[path]
    with _locked(url):
        failed = send(impatient, path, body, method=method)
    impatient.moment.advance()

    assert problem(failed) == (503, "store-unavailable")
    assert impatient.ask(path).json in (
        {"subscriptions": [], "next_cursor": None},
        {"tenant": "operator", "user_id": "sara", "contacts": {}},
    )
    assert send(impatient, path, body, method=method).status_code < 300


def test_a_failed_retry_or_cancellation_succeeds_when_repeated(impatient: _ShortTimeoutApi, url: str) -> None:
    path = f"{NOTIFICATIONS}/{made(impatient)}"
    append_events(url, path.rpartition("/")[2], "sms", EventKind.ATTEMPT, EventKind.DEAD, at_ms=0)

    for action, statuses in (("retry", ["pending", "pending"]), ("cancel", ["cancelled", "cancelled"])):
        with _locked(url):
            assert problem(send(impatient, f"{path}/{action}", {})) == (503, "store-unavailable")
        impatient.moment.advance()
        assert [log["status"] for log in send(impatient, f"{path}/{action}", {}).json["logs"]] == statuses


def test_an_unreadable_store_gives_service_unavailable(impatient: _ShortTimeoutApi, url: str) -> None:
    Path(url.removeprefix("sqlite:///")).write_bytes(b"no database" * 1000)

    for path, method in (
        (NOTIFICATIONS, "GET"),
        (NOTIFICATIONS, "POST"),
        (f"{NOTIFICATIONS}/{'a' * 26}", "GET"),
        (f"{NOTIFICATIONS}/{'a' * 26}/cancel", "POST"),
        (SUBSCRIPTIONS, "GET"),
        (contacts_of("sara"), "GET"),
    ):
        answer = send(impatient, path, b"" if method == "GET" else {}, method=method, key=new_token()[1])
        assert problem(answer) == (503, "store-unavailable")
        assert str(url.removeprefix("sqlite:///")) not in answer.text


def test_without_a_store_no_notification_is_accepted(tmp_path: Path) -> None:
    api = Api(f"sqlite:///{tmp_path / 'none.db'}")

    assert problem(send(api)) == (503, "not-built-yet")
    assert not (tmp_path / "none.db").exists()
