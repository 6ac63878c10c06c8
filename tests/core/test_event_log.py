"""Log lines of workers and commands, and what they say the work is about."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator

import pytest

from core.event_log import about, begin_about, end_about, is_log_json, log_event, take_over_logging, what_about


@pytest.fixture
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


def test_lines_written_meanwhile_say_what_the_work_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    with about(run_id=7, request_id=None):
        with about(channel="sms"):
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


def test_what_a_line_says_itself_goes_before(capsys: pytest.CaptureFixture[str]) -> None:
    with about(channel="sms"):
        log_event("x", channel="email")
    assert json.loads(capsys.readouterr().out)["channel"] == "email"


def test_work_in_another_thread_is_about_something_else() -> None:
    seen: list[object] = []
    token = begin_about(request_id="a")
    thread = threading.Thread(target=lambda: seen.append(dict(what_about())))
    thread.start()
    thread.join()
    end_about(token)
    assert seen == [{}]
    assert dict(what_about()) == {}


@pytest.mark.usefixtures("_own_logging")
def test_lines_of_libraries_say_it_too_and_go_where_the_others_go(capsys: pytest.CaptureFixture[str]) -> None:
    take_over_logging("WARNING", on_stderr=True)
    with about(run_id=7):
        logging.getLogger("some.library").warning("slow %s", "disk")
        log_event("own")
    said = capsys.readouterr()
    library, own = [json.loads(line) for line in said.err.splitlines()]
    assert said.out == ""
    assert (library["message"], library["run_id"], own["run_id"]) == ("slow disk", 7, 7)
    assert is_log_json()
