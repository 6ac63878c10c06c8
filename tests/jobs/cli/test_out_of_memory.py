"""``ulimit -v``: too little memory is a sentence, also where native code ends its process."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT

TOO_LITTLE = "Error: the command failed: there is too little memory.\n"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def limited(
    megabytes: int, *command: str, folder: Path, kind: int = resource.RLIMIT_AS
) -> subprocess.CompletedProcess[str]:
    """Run a command of Python whose address space is limited, or its memory of another `kind`."""

    def limit() -> None:
        resource.setrlimit(kind, (megabytes << 20, megabytes << 20))

    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=limit,
        check=False,
    )


def test_a_library_that_fails_to_load_is_reported_as_out_of_memory(tmp_path: Path) -> None:
    result = limited(300, "-m", "jobs", "rebuild", "new.bson", "--json", folder=tmp_path)
    assert result.returncode == 1
    assert TOO_LITTLE in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads(result.stdout)["error"]["exit_code"] == 1


def test_names_that_a_library_lacks_without_its_binary_are_too_little_memory(tmp_path: Path) -> None:
    """Polars warns, and goes on, if its binary cannot be loaded."""
    program = "from core.system_limits import limit_of; print(limit_of(NameError('plr')).reason)"
    assert limited(4_000, "-c", program, folder=tmp_path).stdout == "there is too little memory\n"


def test_the_parent_process_reports_out_of_memory(tmp_path: Path) -> None:
    program = (
        "from core.command_line import fail_of_memory\n"
        "from core.system_limits import within_memory\n"
        "def main():\n"
        "    raise MemoryError\n"
        "within_memory(main, fail_of_memory)"
    )
    result = limited(4_000, "-c", program, folder=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(TOO_LITTLE)


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGABRT, resource.RLIMIT_DATA), (signal.SIGSEGV, resource.RLIMIT_AS)]
)
def test_an_abort_in_native_code_is_reported_as_out_of_memory(
    tmp_path: Path, number: signal.Signals, kind: int
) -> None:
    """As Polars, OpenBLAS and LLVM do when they get none."""
    program = (
        "import os\n"
        "from core.command_line import fail_of_memory\n"
        "from core.system_limits import within_memory\n"
        f"within_memory(lambda: os.kill(os.getpid(), {number.value}), fail_of_memory)"
    )
    result = limited(4_000, "-c", program, folder=tmp_path, kind=kind)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(TOO_LITTLE)


def test_with_a_memory_limit_a_kill_leaves_no_child_process(tmp_path: Path) -> None:
    """As the time limit of a refresh does; what is left could go on and publish."""
    program = (
        "import os, time\n"
        "from core.system_limits import within_memory\n"
        "def main():\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(600)\n"
        "within_memory(main, print)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4_000 << 20, 4_000 << 20)),
    ) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        assert worker != process.pid
        process.kill()
        try:
            process.communicate(timeout=60)  # until nobody has the pipe open
        except subprocess.TimeoutExpired:
            os.kill(worker, signal.SIGKILL)
            raise


def test_with_a_memory_limit_exit_codes_and_signals_pass_through(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, time\n"
        "from core.system_limits import within_memory\n"
        "parent = os.getpid()\n"
        "def main():\n"
        "    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "    os.kill(parent, signal.SIGTERM)\n"
        "    time.sleep(30)\n"
        "within_memory(main, print)"
    )
    result = limited(4_000, "-c", program, folder=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (7, "", "")
