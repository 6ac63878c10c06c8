"""What the `Dockerfile` promises: what is in the image, how large it is, and who runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from image_parts import ROOT, lay_out, stages
from make_licences import runtime

BUDGET_BYTES = 10**9
BASE_BYTES = 130 * 10**6
"""Of python:3.11-slim-bookworm, unpacked."""


def test_it_is_made_in_stages_on_python_311_slim() -> None:
    assert {stage.base for stage in stages().values()} == {"python:3.11-slim-bookworm"}
    assert list(stages()) == ["packages", "program", ""]


def test_it_stays_below_its_budget() -> None:
    pruned = re.findall(r"-(?:name|path) '?([*/\w]+)", " ".join(stages()["packages"].all("RUN")))
    assert "tests" in pruned
    files = [
        (str(file), Path(str(file.locate())).stat().st_size)
        for package in runtime().values()
        for file in package.files or ()
        if Path(str(file.locate())).exists()
    ]
    gone = [f"/{name.removeprefix('*').strip('/')}/" for name in pruned]
    kept = sum(size for name, size in files if not any(folder in f"/{name}" for folder in gone))
    assert BASE_BYTES + kept < BUDGET_BYTES
    assert "Stays below 1 GB" in (ROOT / "Dockerfile").read_text()


def test_no_package_is_in_it_that_only_the_tests_need() -> None:
    assert {"pytest", "mypy", "ruff", "hypothesis", "playwright"}.isdisjoint(runtime())
    (install,) = stages()["packages"].all("RUN")
    assert install.count("-r ") == 1
    assert "-r /build/requirements.txt" in install


def test_what_is_copied_is_all_that_the_programs_need(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "app")
    for module in ("jobs", "api", "notifier"):
        ended = subprocess.run(
            [sys.executable, "-m", module, "--version"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert re.fullmatch(r"\d+\.\d+\.\d+\n", ended.stdout)
    assert not list(folder.rglob("test_*"))
    assert not list(folder.rglob(".env"))


def test_the_kernels_are_compiled_and_run_for_the_same_processor() -> None:
    made, run = stages()["program"], stages()[""]
    assert any("python -m jobs warm" in command for command in made.all("RUN"))
    for name in ("NUMBA_CPU_NAME", "NUMBA_CACHE_DIR"):
        assert made.environment()[name] == run.environment()[name]
    assert run.environment()["NUMBA_CPU_NAME"] == "generic"
    assert f"--from=program {run.environment()['NUMBA_CACHE_DIR']} {run.environment()['NUMBA_CACHE_DIR']}" in run.all(
        "COPY"
    )
    assert "--from=program /app /app" in run.all("COPY")
