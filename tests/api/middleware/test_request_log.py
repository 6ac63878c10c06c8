"""The request log: every request has an id and one log line, and is counted in metrics."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from api_client import Api, add_key
from sales import publish

from api.observability.metrics import Metrics, StoreFacts
from core.event_log import current_context
from core.stores.api_keys import Scope

FIELDS = [
    "time", "level", "event", "request_id", "method", "path", "route", "query", "status", "duration_ms", "bytes",
    "key_id", "remote", "cache", "user_agent",
]  # fmt: skip


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'summaries.db'}"


@pytest.fixture
def api(url: str) -> Api:
    publish(url)
    return Api(url)


def test_a_request_is_logged_as_one_line_with_all_fields(api: Api) -> None:
    answer = api.series(limit="2")
    (line,) = api.log()
    assert list(line) == FIELDS
    assert line["event"] == "request"
    assert line["level"] == "info"
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/transactions/summary", 200)
    assert line["route"] == "/api/transactions/summary"
    assert line["query"] == "mode=daily&type=amount&limit=2"
    assert line["bytes"] == len(answer.content)
    assert line["duration_ms"] > 0
    assert (line["key_id"], line["remote"], line["cache"]) == (None, "127.0.0.1", "miss")


def test_the_log_line_has_the_cache_result(api: Api) -> None:
    etag = api.series().headers["etag"]
    api.series()
    api.ask(query={"mode": "daily", "type": "amount"}, headers={"If-None-Match": etag})
    assert [(line["cache"], line["bytes"] > 0) for line in api.log()] == [
        ("miss", True), ("hit", True), ("not-modified", False),
    ]  # fmt: skip


def test_the_log_line_has_the_key_id(url: str) -> None:
    token = add_key(url, [Scope.SUMMARIES])
    publish(url)
    api = Api(url)
    assert api.ask("/api/me", key=token).status_code == 200
    assert api.log()[0]["key_id"] == token.split("_")[1]


def test_no_log_line_contains_a_key(url: str) -> None:
    token = add_key(url, [Scope.SUMMARIES])
    api = Api(url)
    for path, query in ((f"/{token}", ""), ("/api/me", f"key={token}"), (f"/api/{token}", f"a=%74{token[1:]}")):
        api.ask(path, query, key=token, headers={"User-Agent": token, "X-Request-Id": token, "Referer": token})
    written = b"".join(api.lines)
    assert len(api.lines) == 3
    assert token[20:].encode() not in written
    assert b"tss_[redacted]" in written


def test_the_request_id_of_the_client_is_kept(api: Api) -> None:
    answer = api.ask("/healthz", headers={"X-Request-Id": "batch-7.42"})
    assert answer.headers["x-request-id"] == api.log()[0]["request_id"] == "batch-7.42"


@pytest.mark.parametrize("name", ["", "a b", "a" * 65, "a\tb", "فروش".encode().decode("latin-1"), "tss_abcdefghij_x"])
def test_an_unsafe_request_id_is_replaced(api: Api, name: str) -> None:
    answer = api.ask("/healthz", headers={"X-Request-Id": name})
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


def test_long_client_input_is_truncated_in_the_log(api: Api) -> None:
    api.ask("/" + "a" * 5000, "b" * 5000, headers={"User-Agent": "c" * 5000})
    assert len(api.lines[0]) < 3000


def test_an_internal_error_logs_a_traceback_and_returns_only_the_request_id(api: Api) -> None:
    class Broken:
        public = True

        async def on_get(self, req: object, resp: object) -> None:
            raise RuntimeError("the secret reason")

    api.app.add_route("/broken", Broken())
    answer = api.ask("/broken")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    exception, line = api.log()
    assert exception["request_id"] == line["request_id"] == answer.json["request_id"]
    assert exception["error"] == "RuntimeError"
    assert "the secret reason" in exception["traceback"]
    assert (line["status"], line["level"]) == (500, "error")


def test_metrics_count_requests_by_route_method_and_status(api: Api) -> None:
    for path in ("/healthz", "/healthz", "/x1", "/x2"):
        api.ask(path)
    text = api.ask("/metrics").text
    name = "transaction_summary_http_requests_total"
    assert f'{name}{{method="GET",route="/healthz",status="200"}} 2.0' in text
    assert f'{name}{{method="GET",route="unmatched",status="404"}} 2.0' in text
    assert "/x1" not in text


def test_unknown_methods_add_no_metric_series() -> None:
    metrics = Metrics(lambda flush: None)
    for number in range(3):
        metrics.request_began()
        metrics.request_ended("/", f"BREW{number}", 400, 0.001, None)
    metrics.flush()
    text = metrics.exposition("", StoreFacts(None))[0].decode()
    assert 'transaction_summary_http_requests_total{method="other",route="/",status="400"} 3.0' in text
    assert "BREW" not in text


def test_metrics_count_latency_and_cache_results(api: Api) -> None:
    api.series()
    api.series()
    text = api.ask("/metrics").text
    assert 'transaction_summary_cache_requests_total{result="miss"} 1.0' in text
    assert 'transaction_summary_cache_requests_total{result="hit"} 1.0' in text
    seconds = "transaction_summary_http_request_duration_seconds"
    assert f'{seconds}_count{{route="/api/transactions/summary"}} 2.0' in text


def test_metrics_show_the_current_publication_and_its_age(api: Api) -> None:
    published_ms = api.clock()
    api.clock = lambda: published_ms + 2_500
    text = api.ask("/metrics").text
    assert "transaction_summary_store_up 1.0" in text
    assert "transaction_summary_published_generation 1.0" in text
    assert "transaction_summary_published_age_seconds 2.5" in text


def test_metrics_report_that_the_store_is_down(api: Api, tmp_path: Path) -> None:
    assert "transaction_summary_store_up 1.0" in api.ask("/metrics").text
    (tmp_path / "summaries.db").unlink()
    text = api.ask("/metrics").text
    assert "transaction_summary_store_up 0.0" in text
    assert "published" not in text


def test_metrics_are_in_openmetrics_format_when_accepted(api: Api) -> None:
    answer = api.ask("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_only_log_lines_made_during_a_request_carry_its_id(api: Api) -> None:
    seen: list[object] = []

    class Notes:
        public = True

        async def on_get(self, req: object, resp: object) -> None:
            seen.append(current_context()["request_id"])

    api.app.add_route("/notes", Notes())
    api.ask("/notes", headers={"X-Request-Id": "one"})
    assert seen == ["one"]
    assert "request_id" not in current_context()
