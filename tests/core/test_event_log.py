"""Log lines of workers and commands, and their context fields."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator

import pytest

from core.event_log import (
    bind_context,
    bound_context,
    current_context,
    is_log_json,
    log_event,
    reset_context,
    take_over_logging,
)


@pytest.fixture
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


def test_lines_have_the_fields_of_the_bound_context(capsys: pytest.CaptureFixture[str]) -> None:
    with bound_context(run_id=7, request_id=None):
        with bound_context(channel="sms"):
            log_event("inner")
        log_event("outer", "warning", reason="x")
    log_event("after")
    inner, outer, after = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (inner["run_id"], inner["channel"]) == (7, "sms")
    assert {name: value for name, value in outer.items() if name != "time"} == {
        "level": "warning",
        "event": "outer",
        "run_id": 7,
        "reason": "x",
    }
    assert after.keys() == {"time", "level", "event"}


def test_fields_of_a_line_override_the_bound_context(capsys: pytest.CaptureFixture[str]) -> None:
    with bound_context(channel="sms"):
        log_event("x", channel="email")
    assert json.loads(capsys.readouterr().out)["channel"] == "email"


def test_the_logging_context_is_per_thread() -> None:
    seen: list[object] = []
    token = bind_context(request_id="a")
    thread = threading.Thread(target=lambda: seen.append(dict(current_context())))
    thread.start()
    thread.join()
    reset_context(token)
    assert seen == [{}]
    assert dict(current_context()) == {}


@pytest.mark.usefixtures("_own_logging")
def test_log_lines_of_libraries_have_the_context_and_same_destination(capsys: pytest.CaptureFixture[str]) -> None:
    take_over_logging("WARNING", on_stderr=True)
    with bound_context(run_id=7):
        logging.getLogger("some.library").warning("slow %s", "disk")
        log_event("own")
    result = capsys.readouterr()
    library, own = [json.loads(line) for line in result.err.splitlines()]
    assert result.out == ""
    assert (library["message"], library["run_id"], own["run_id"]) == ("slow disk", 7, 7)
    assert is_log_json()
