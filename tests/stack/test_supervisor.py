"""The supervisor of programs: start order, exits, signals and shutdown."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from service_life import ROOT

from stack.supervisor import _TIED, Ended, Program, Supervisor

_FOR_LONG = "while True: time.sleep(0.05)"
_NOTES_ITS_END = f"""
import signal, time
def end(*_):
    open({{ended!r}}, "a").write({{name!r}} + " ")
    raise SystemExit
signal.signal(signal.SIGTERM, end)
open({{began!r}}, "w").close()
{_FOR_LONG}
"""


def _program(name: str, script: str, is_ready: Callable[[], bool] = lambda: True, stdin: bytes = b"") -> Program:
    return Program(name, (sys.executable, "-S", "-c", script), dict(os.environ), is_ready, stdin)


class _RecordedLines:
    """The shown lines; stops `supervisor` at a line that asks for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bytes]] = []

    def __call__(self, name: str, line: bytes) -> None:
        self.lines.append((name, line.rstrip()))


@pytest.fixture
def shown() -> _RecordedLines:
    return _RecordedLines()


def _run(
    shown: Callable[[str, bytes], object],
    *stages: list[Program],
    grace_s: float = 20,
    when_ready: Callable[[Supervisor], object] = lambda _: None,
) -> Ended | None:
    async def run() -> Ended | None:
        supervisor = Supervisor(shown, grace_s)
        return await asyncio.wait_for(supervisor.run(stages, lambda: when_ready(supervisor)), 60)

    return asyncio.run(run())


def test_when_one_program_exits_the_others_are_stopped(
    shown: _RecordedLines,
) -> None:
    pids = "import os, time; print(os.getpid(), flush=True);"
    long = _program("long", f"{pids} {_FOR_LONG}".replace("; while", "\nwhile"))
    short = _program("short", f"{pids} time.sleep(0.2); raise SystemExit(7)")
    assert _run(shown, [long], [short]) == Ended("short", 7)
    assert {name for name, _ in shown.lines} == {"long", "short"}
    assert not any(psutil.pid_exists(int(pid)) for _, pid in shown.lines)


def test_a_program_killed_by_a_signal_has_a_negative_exit_code(shown: _RecordedLines) -> None:
    killed = _program("killed", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert _run(shown, [killed]) == Ended("killed", -9)


def test_a_program_that_exits_before_it_is_ready_stops_all(shown: _RecordedLines) -> None:
    began: list[str] = []
    early = _program("early", "raise SystemExit(3)", lambda: False)
    assert _run(shown, [early], [], when_ready=lambda _: began.append("ready")) == Ended("early", 3)
    assert began == []


def test_stages_start_in_order_and_stop_in_reverse(shown: _RecordedLines, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    stages = []
    for name in ("queue", "worker"):
        began = tmp_path / f"{name} began"
        script = _NOTES_ITS_END.format(ended=str(ended), name=name, began=str(began))
        if name == "worker":
            script = f"import os\nassert os.path.exists({str(tmp_path / 'queue began')!r})\n{script}"
        stages.append([_program(name, script, began.exists)])
    assert _run(shown, *stages, when_ready=Supervisor.stop) is None
    assert ended.read_text() == "worker queue "
    assert shown.lines == []


def test_a_program_that_does_not_stop_is_killed_with_its_children(shown: _RecordedLines, tmp_path: Path) -> None:
    began = tmp_path / "began"
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        f"open({str(began)!r}, 'w').close()\n{_FOR_LONG}"
    )
    assert _run(shown, [_program("stubborn", script, began.exists)], grace_s=0.3, when_ready=Supervisor.stop) is None
    [(_, child)] = shown.lines
    assert not psutil.pid_exists(int(child)) or psutil.Process(int(child)).status() == psutil.STATUS_ZOMBIE


def test_a_second_signal_kills_immediately(shown: _RecordedLines, tmp_path: Path) -> None:
    began = tmp_path / "began"
    script = (
        f"import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen({str(began)!r}, 'w').close()\n"
        f"{_FOR_LONG}"
    )

    def twice(supervisor: Supervisor) -> None:
        supervisor.stop()
        asyncio.get_running_loop().call_later(0.2, supervisor.stop)

    assert _run(shown, [_program("stubborn", script, began.exists)], grace_s=600, when_ready=twice) is None


def test_a_program_receives_its_standard_input(shown: _RecordedLines) -> None:
    _run(shown, [_program("reader", "print(input(), flush=True)", stdin=b"port 1\n")])
    assert shown.lines == [("reader", b"port 1")]


_LEAVES_A_PROGRAM = """
import asyncio, fcntl, os, sys
from stack.supervisor import Program, Supervisor
folder, script = sys.argv[1:]
lock = open(f"{folder}/lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
program = Program("left", (sys.executable, "-S", "-c", script), dict(os.environ))
supervisor = Supervisor(lambda name, line: print(line.decode(), end="", flush=True), 20, lock.fileno())
asyncio.run(supervisor.run([[program]], bool))
"""


def _killed_supervisor(folder: Path, script: str) -> psutil.Process:
    """The process of a program, which runs `script` and says when it is ready, and whose supervisor has been killed."""
    command = [sys.executable, "-c", _LEAVES_A_PROGRAM, str(folder), script]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        left = psutil.Process(int(supervisor.stdout.readline()))
        supervisor.kill()
    return left


def _is_locked(folder: Path) -> bool:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends programs with their parent")
def test_programs_of_a_killed_supervisor_are_stopped(tmp_path: Path) -> None:
    began, ended = tmp_path / "began", tmp_path / "ended"
    script = _NOTES_ITS_END.format(ended=str(ended), name="left", began=str(began))
    ready = script.replace(_FOR_LONG, f"import os\nprint(os.getpid(), flush=True)\n{_FOR_LONG}")
    psutil.wait_procs([_killed_supervisor(tmp_path, ready)], timeout=60)
    assert ended.read_text() == "left "
    assert not _is_locked(tmp_path)


def test_the_lock_is_held_while_an_orphaned_program_runs(tmp_path: Path) -> None:
    script = (
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(os.getpid(), flush=True)\n"
        f"{_FOR_LONG}"
    )
    left = _killed_supervisor(tmp_path, script)
    try:
        assert _is_locked(tmp_path)
    finally:
        left.kill()
    psutil.wait_procs([left], timeout=60)
    assert not _is_locked(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends programs with their parent")
def test_a_program_does_not_start_after_its_supervisor_ended(tmp_path: Path) -> None:
    another = psutil.Process(os.getpid()).ppid()
    command = [sys.executable, "-IS", _TIED, str(another), "/bin/touch", str(tmp_path / "began")]
    assert subprocess.run(command, timeout=20, check=False).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_programs_are_stopped_when_their_output_pipe_closes() -> None:
    def gone(name: str, line: bytes) -> None:
        raise BrokenPipeError

    talker = _program("talker", "import time\nwhile True: print('x', flush=True); time.sleep(0.05)")
    assert _run(gone, [talker]) is None
