"""Liveness, readiness, and ``/api/me``."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_client import KEYS_ONLY, Api, add_key, document, problem
from examples import NOW_MS
from sales import publish, published_in

from core.stores import open_stores
from core.stores.api_keys import Scope


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "summaries.db"


@pytest.fixture
def url(path: Path) -> str:
    return published_in(path.parent)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_liveness_does_not_depend_on_the_store(path: Path, method: str) -> None:
    path.write_bytes(b"no database")
    answer = Api(f"sqlite:///{path}").ask("/healthz", method=method, peer="10.0.0.1", host="api.example")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text == ('{"status":"ok"}' if method == "GET" else "")


class TestReady:
    def test_only_operators_see_the_version(self, url: str) -> None:
        operator, client = add_key(url, [Scope.OPERATE]), add_key(url, [Scope.SUMMARIES])
        api = Api(url)
        version = f"1-{NOW_MS:x}"
        assert api.ask("/readyz", key=operator).json == {"status": "ready", "version": version}
        for key in (client, None):
            answer = api.ask("/readyz", key=key, peer="10.0.0.1")
            assert (answer.status_code, answer.json) == (200, {"status": "ready"})
        assert api.ask("/readyz", method="HEAD").status_code == 200

    def test_readiness_fails_before_the_first_publication(self, path: Path) -> None:
        url = f"sqlite:///{path}"
        open_stores(url, timeout_s=10).close()
        answer = Api(url).ask("/readyz")
        assert problem(answer) == (503, "not-built-yet")
        assert document(answer)["detail"] == "Nothing is published yet."
        assert answer.headers["retry-after"] == "1"
        assert document(Api(url, KEYS_ONLY).ask("/readyz"))["detail"] == "Not ready."

    def test_readiness_fails_without_the_store_and_hides_its_url(self, url: str, path: Path) -> None:
        api = Api(url, KEYS_ONLY)
        assert api.ask("/readyz").status_code == 200
        path.unlink()
        api.moment.advance()
        answer = api.ask("/readyz")
        assert problem(answer) == (503, "store-unavailable")
        assert document(answer)["detail"] == "Not ready."

    def test_an_operator_on_this_host_sees_why_readiness_fails(self, path: Path) -> None:
        answer = Api(f"sqlite:///{path}").ask("/readyz")
        assert answer.status_code == 503
        assert "there is no store" in document(answer)["detail"]

    def test_readiness_succeeds_after_the_first_publication(self, path: Path) -> None:
        url = f"sqlite:///{path}"
        api = Api(url)
        assert api.ask("/readyz").status_code == 503
        publish(url)
        api.moment.advance()
        assert api.ask("/readyz").status_code == 200


class TestMe:
    def test_me_describes_the_published_data(self, url: str) -> None:
        answer = Api(url).ask("/api/me")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json == {
            "open": True,
            "signed_in": False,
            "key": None,
            "tenant": "operator",
            "scopes": ["notifications", "operate", "summaries"],
            "merchants": [],
            "channels": ["email", "sms", "telegram", "webhook"],
            "calendar": "jalali",
            "time_zone": "Asia/Tehran",
            "currency": "IRR",
            "scale": 0,
            "published": {
                "version": f"1-{NOW_MS:x}",
                "published_at": "2024-06-24T12:00:00.000Z",
                "first_day_key": "1402/12/27",
                "last_day_key": "1403/12/30",
                "first_day_date": "2024-03-17",
                "last_day_date": "2025-03-20",
            },
        }

    def test_the_publication_decides_the_calendar_before_the_settings(self, url: str, tmp_path: Path) -> None:
        settings = {"calendar": "gregorian", "time_zone": "Europe/Berlin", "currency": "EUR"}
        me = Api(url, settings).ask("/api/me").json
        assert (me["calendar"], me["time_zone"], me["currency"]) == ("jalali", "Asia/Tehran", "EUR")
        empty = f"sqlite:///{tmp_path / 'empty.db'}"
        open_stores(empty, timeout_s=10).close()
        me = Api(empty, settings).ask("/api/me").json
        assert (me["calendar"], me["time_zone"], me["published"]) == ("gregorian", "Europe/Berlin", None)

    def test_an_empty_publication_has_no_days(self, path: Path) -> None:
        url = f"sqlite:///{path}"
        publish(url, {})
        published = Api(url).ask("/api/me").json["published"]
        assert {name: value for name, value in published.items() if "day" in name} == {
            "first_day_key": None,
            "last_day_key": None,
            "first_day_date": None,
            "last_day_date": None,
        }
