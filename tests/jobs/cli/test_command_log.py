"""The JSON log of a command for schedulers: ``COMMAND_LOG=json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from command_line import CommandLine

_ROOT = Path(__file__).parents[3]
_SHOP = _ROOT / "tests" / "data" / "shop" / "transaction.bson"


def _rebuild(folder: Path, *arguments: str) -> tuple[int, str, list[dict[str, Any]]]:
    """The exit code, standard output, and the lines of standard error."""
    variables = {"STORE_URL": f"sqlite:///{folder / 's.db'}", "QUARANTINE_DIR": str(folder / "quarantine")}
    ended = CommandLine(_ROOT, COMMAND_LOG="json", **variables)("rebuild", *arguments)
    return ended.code, ended.out, [json.loads(line) for line in ended.err.splitlines()]


def test_a_run_logs_its_start_phases_and_end_with_its_number(tmp_path: Path) -> None:
    code, out, lines = _rebuild(tmp_path, str(_SHOP), "--truncate", "--max-reject-ratio", "1")
    assert code == 0
    assert out.startswith("Read ")
    of_run = [line for line in lines if line["event"].startswith("run-")]
    assert {line["run_id"] for line in of_run} == {1}
    assert [line.get("phase", line["event"]) for line in of_run] == ["run-began", "checking", "publishing", "run-ended"]
    assert of_run[0]["command"].startswith("rebuild ")
    ended = of_run[-1]
    assert (ended["status"], ended["generation"], ended["error"]) == ("published", 1, None)
    assert ended["read"] == ended["counted"] + ended["rejected"] + ended["filtered"] + ended["out_of_range"] > 0
    assert ended["level"] == ("warning" if ended["rejected"] or ended["warnings"] else "info")


def test_a_failed_run_writes_only_its_reason_to_standard_error(tmp_path: Path) -> None:
    code, out, lines = _rebuild(tmp_path, str(tmp_path / "nothing.bson"), "--truncate")
    assert (code, out) == (1, "")
    *_, ended, failed = lines
    assert (ended["event"], ended["level"], ended["status"], ended["run_id"]) == ("run-ended", "error", "failed", 1)
    assert (failed["event"], failed["type"], failed["exit_code"]) == ("failed", "SourceError", 1)
    assert failed["error"] == ended["error"]
    assert failed["hint"]
