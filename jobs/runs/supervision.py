"""Runs a refresh in a subprocess with a time limit.

A Celery task must not count in its own process: Redis redelivers a task that outlives the visibility timeout to a
second worker, and Polars must not run in a process that was forked from one with threads.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import psutil

from core.errors import UsageError

_REFRESH: Final = (sys.executable, "-m", "jobs", "refresh")
_TIDY_S: Final = 30.0
"""Grace period after ``SIGTERM``."""
_LONGEST_ERROR: Final = 2000
_CHECK: Final = "Check REFRESH_OPTIONS: they must be options of python -m jobs refresh."


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of a refresh process.

    :param code: its exit code, or the negative number of the signal that ended it.
    :param report: its JSON output, or an empty object.
    :param error: the end of its standard error.
    :param timed_out: whether it was stopped for exceeding the time limit.
    """

    code: int
    report: Mapping[str, Any]
    error: str
    timed_out: bool

    def as_event(self) -> dict[str, object]:
        """The fields of a log line: event, run, and error."""
        problem = self.report.get("error", {})
        run = self.report.get("run", {})
        if self.code == 0 and not run:
            reason = "it ended without a refresh, as after --help"
            return {"event": "refresh-failed", "level": "error", "exit_code": 0, "error": reason, "hint": _CHECK}
        if self.code == 0:  # also if it was stopped just after publishing
            seconds = (run["ended_at_ms"] - run["started_at_ms"]) / 1000
            facts = {name: run[name] for name in ("status", "generation", "days_changed", "warnings")}
            return {"event": "refreshed", "level": "info", "run_id": run["id"], **facts, "seconds": seconds}
        if self.timed_out:
            return {"event": "refresh-timed-out", "level": "error", "exit_code": self.code}
        if self.code == 128 + signal.SIGTERM:
            return {"event": "refresh-stopped", "level": "warning", "reason": problem.get("message", "")}
        if problem.get("type") == "RunHeld":
            return {"event": "refresh-skipped", "level": "info", "reason": problem["message"]}
        reason, hint = problem.get("message", self.error), problem.get("hint", "")
        if self.code == UsageError.exit_code:
            hint = f"{hint} {_CHECK}"
        return {"event": "refresh-failed", "level": "error", "exit_code": self.code, "error": reason, "hint": hint}


def refresh_once(options: Sequence[str], time_limit_s: float) -> Ended:
    """Run ``python -m jobs refresh`` with `options` in this environment, for at most `time_limit_s`.

    After that it receives ``SIGTERM``, upon which it publishes nothing, and is killed if it does not end.
    """
    # --json first: after an option that lacks its value, it would be taken for the value.
    command = [*_REFRESH, "--json", *options]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        timed_out = False
        try:
            out, err = process.communicate(timeout=time_limit_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            out, err = _end(process)
        except BaseException:
            _end(process)
            raise
    return Ended(process.returncode, _parsed(out), err.strip()[-_LONGEST_ERROR:], timed_out)


def end_refreshes() -> None:
    """Stop the refreshes that this process or its child processes wait for; they publish nothing."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if child.cmdline()[1:4] == list(_REFRESH[1:]):
                child.terminate()


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.send_signal(signal.SIGTERM)
    try:
        return process.communicate(timeout=_TIDY_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()


def _parsed(printed: str) -> Mapping[str, Any]:
    try:
        found = json.loads(printed)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
