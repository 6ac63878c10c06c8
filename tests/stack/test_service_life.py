"""`make run` from its start to Ctrl-C: its programs together, with logs and metrics."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_queries import metrics_named
from service_life import ROOT, Service, metric_names

REQUEST_ID = "from-the-client-1"


@dataclass
class RecordedRun:
    """The recorded output and results."""

    service: Service
    total: int
    notification: dict[str, Any]
    output: set[str]
    status: dict[str, Any]
    mode: int
    exit_code: int
    left: list[psutil.Process]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedRun]:
    """The service during a rebuild of a sample, a message about it, and Ctrl-C."""
    service = Service(tmp_path_factory.mktemp("service"))
    try:
        service.wait_until_ready()
        sample = str(service.folder / "sample.bson")
        service.jobs("sample", sample, "--transactions", "1000")
        service.jobs("rebuild", sample, "--truncate")
        service.jobs("rebuild", sample, "--from", "1403/01/01", "--max-reject-ratio", "1")
        [first, *_] = service.ask("/api/transactions/summary?mode=monthly&type=count")
        body = f"{first['key']}: {first['value']}"
        message = {"user_id": "sara", "title": "Sales", "body": body, "channels": ["sms", "email"]}
        made = service.ask("/api/notifications", message, {"X-Request-Id": REQUEST_ID})
        path = f"/api/notifications/{made['id']}"
        service.wait_until(lambda: service.ask(path)["status"] == "printed")
        notification = service.ask(path)
        swept = "transaction_summary_notifier_last_look_timestamp_seconds"
        service.wait_until(lambda: swept in metric_names(service.worker_metrics))
        output = metric_names(f"{service.api}/metrics") | metric_names(service.worker_metrics)
        [variables] = re.findall(r"(?m)^In another terminal, first run: \. (.*)$", service.said)
        status = json.loads(service.shell(f". {variables} && {shlex.quote(sys.executable)} -m notifier status --json"))
        mode = stat.S_IMODE((ROOT / shlex.split(variables)[0]).stat().st_mode)
        processes = service.processes()
        code = service.stop()
        _, left = psutil.wait_procs(processes, timeout=60)
        yield RecordedRun(service, first["value"], notification, output, status, mode, code, left)
    finally:
        service.end()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends programs with their parent")
def test_a_killed_supervisor_stops_all_programs_before_a_new_start(
    tmp_path: Path,
) -> None:
    service = Service(tmp_path)
    processes: list[psutil.Process] = []
    try:
        service.wait_until_ready()
        # This one, Redis, the API and its worker, the worker and its two children, beat.
        service.wait_until(lambda: len(service.processes()) >= 8)
        processes = service.processes()
        [redis] = [one for one in processes if "redis-server" in one.name()]
        redis.suspend()  # so that it lives until the second one has checked
        service.process.kill()
        assert "or programs of a service that was killed" in service.error_of_second_service()
        redis.resume()
        _, left = psutil.wait_procs(processes, timeout=60)
        assert left == []
    finally:
        service.end()
        for one in processes:
            with suppress(psutil.NoSuchProcess):
                one.kill()


def test_a_summary_message_is_delivered_over_each_channel(recorded: RecordedRun) -> None:
    assert recorded.total > 0
    assert [log["status"] for log in recorded.notification["logs"]] == ["printed", "printed"]
    assert {log["history"][0]["sender"] for log in recorded.notification["logs"]} == {"print"}
    printed = [line for line in recorded.service.lines_of("worker") if line["event"] == "notification"]
    assert {line["channel"] for line in printed} == {"sms", "email"}
    assert {line["body"].rpartition(": ")[2] for line in printed} == {str(recorded.total)}


def test_worker_log_lines_have_the_request_id(recorded: RecordedRun) -> None:
    [request] = [line for line in recorded.service.lines_of("web") if line.get("request_id") == REQUEST_ID]
    assert request["status"] == 201
    about = [
        line
        for line in recorded.service.lines_of("worker")
        if line.get("notification_id") == recorded.notification["id"]
    ]
    assert {line["event"] for line in about} == {"attempt", "notification", "printed"}
    assert {line.get("request_id") for line in about} == {REQUEST_ID}


def test_every_metric_of_alerts_and_dashboard_is_exposed(recorded: RecordedRun) -> None:
    assert metrics_named() - recorded.output == set()


def test_the_printed_commands_can_be_run(recorded: RecordedRun) -> None:
    [shown] = re.findall(r"(?m)^Build summaries: (.*)$", recorded.service.said)
    program, *arguments = shlex.split(shown)
    assert os.access(ROOT / program, os.X_OK)
    assert arguments[:4] == ["-m", "jobs", "rebuild", "SOURCE"]


def test_the_exported_variables_select_the_same_store_and_queue(recorded: RecordedRun) -> None:
    assert recorded.status["queue"]["error"] is None
    printed = {channel["channel"]: channel["printed"] for channel in recorded.status["channels"]}
    assert (printed["sms"], printed["email"]) == (1, 1)
    assert [worker["differing_settings"] for worker in recorded.status["workers"]] == [[]]


def test_without_configured_senders_no_worker_warns(recorded: RecordedRun) -> None:
    assert "print-senders" not in {line["event"] for line in recorded.service.lines_of("worker")}


def test_the_variables_file_is_private_and_removed_at_the_end(recorded: RecordedRun) -> None:
    assert recorded.mode == 0o600
    assert stat.S_IMODE((recorded.service.folder / "data").stat().st_mode) == 0o700
    assert not (recorded.service.folder / "data" / "environment").exists()


def test_ctrl_c_stops_all_programs_with_exit_code_0(recorded: RecordedRun) -> None:
    assert recorded.exit_code == 0
    assert recorded.left == []
    assert recorded.service.said.endswith("Stopped.\n")
    assert "Traceback" not in recorded.service.said
    assert [
        line for name in ("web", "worker") for line in recorded.service.lines_of(name) if line["level"] == "error"
    ] == []
