"""Describes the machine of the measurements, without names of its owner."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Final

_LIBRARIES: Final = (
    "numba", "numpy", "polars", "pyarrow", "pymongo", "pymongoarrow", "duckdb", "chdb", "chdb-core", "isal",
    "falcon", "gunicorn", "orjson", "django", "djangorestframework", "celery", "kombu", "redis",
)  # fmt: skip


def describe() -> dict[str, str]:
    """Name and value of what matters to speed: processor, memory, system, versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    installed = {one.name.lower(): one.version for one in metadata.distributions()}
    kernel = platform.release().split("-")[0]  # what follows names a build of somebody's
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": f"{_processor()}, {cores} cores",
        "memory": f"{memory_bytes / 1e9:.1f} GB",
        "system": f"{_system()}, {platform.system()} {kernel} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": ", ".join(f"{name} {installed[name]}" for name in _LIBRARIES if name in installed),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform(aliased=True, terse=True)
