"""Compiling kernels in advance, and running with a read-only cache."""

from __future__ import annotations

import json
import os
import pickle
import pkgutil
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from effort import CHECKED, COMPILED, THOROUGH

import jobs.decode
from jobs.decode import jit
from jobs.warm import warm

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "tests" / "data" / "shop"
FORMS = (
    "shop.archive.gz",
    "transaction.bson",
    "transaction.relaxed.jsonl",
    "transaction.array.json",
    "transaction.csv",
)
OBEYING_PERMISSIONS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
_TIMEOUT_S = 400  # a thorough run compiles everything again

pytestmark = [
    pytest.mark.skipif(not COMPILED or CHECKED, reason="is about kernels that are compiled as in production"),
    pytest.mark.timeout(_TIMEOUT_S),
]


def _kernels() -> dict[str, Any]:
    """Every compiled function that is cached, by its full name."""
    modules = [f"jobs.decode.{module.name}" for module in pkgutil.iter_modules(jobs.decode.__path__)]
    found = [
        value
        for module in [*modules, "jobs.aggregate.groups"]
        for value in vars(import_module(module)).values()
        if hasattr(value, "py_func") and value._cache.cache_path is not None
    ]
    return {f"{kernel.py_func.__module__}.{kernel.py_func.__qualname__}": kernel for kernel in found}


def test_reading_every_source_format_compiles_every_kernel() -> None:
    forms = warm()
    assert forms == ["mongodump archive", "BSON", "JSON lines", "JSON array", "CSV", "Parquet"]
    kernels = _kernels()
    assert len(kernels) >= 12
    assert [name for name, kernel in kernels.items() if not kernel.signatures] == []


def _run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "NUMBA_DEBUG_CACHE": "1", **variables}
    return subprocess.run(
        [*OBEYING_PERMISSIONS, sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def test_with_a_read_only_cache_a_rebuild_compiles_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "kernels"
    variables = {"NUMBA_CACHE_DIR": str(cache), "QUARANTINE_DIR": str(tmp_path)}
    if THOROUGH:
        variables["NUMBA_CPU_NAME"] = "generic"  # as in the image; else those of this processor, which are there
        assert _run(tmp_path, "-m", "jobs", "warm", **variables).returncode == 0
    else:
        warm()
        shutil.copytree(jit._config.CACHE_DIR, cache / Path(jit._config.CACHE_DIR).name)
    for path in (cache, *cache.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    before = sorted(cache.rglob("*"))
    sources = [str(SHOP / name) for name in FORMS]
    store = f"sqlite:///{tmp_path / 's.db'}"
    run = _run(
        tmp_path,
        *("-m", "jobs", "rebuild", *sources, "--truncate", "--store", store, "--max-reject-ratio", "1"),
        **variables,
    )
    assert run.returncode == 0, run.stderr
    assert "Compiling" not in run.stderr
    assert f"data loaded from '{cache}" in run.stdout
    assert "saved to" not in run.stdout
    assert sorted(cache.rglob("*")) == before


def test_kernels_for_the_generic_cpu_are_cached_separately(tmp_path: Path) -> None:
    script = (
        "import numpy as np; from jobs.decode.csv_kernel import end_of_rows\n"
        "from numba.core.registry import cpu_target\n"
        "end_of_rows(np.zeros(80, np.uint8), 0, 8, 1, 44)\n"
        "import json; print(json.dumps(cpu_target.target_context.codegen().magic_tuple()))"
    )
    run = _run(tmp_path, "-c", script, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_CPU_NAME="generic")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])[1:] == ["generic", ""]
    (index,) = tmp_path.rglob("csv_kernel.end_of_rows*.nbi")
    with index.open("rb") as file:
        pickle.load(file)
        _, compiled = pickle.load(file)
    assert [key[1][1:] for key in compiled] == [("generic", "")]
