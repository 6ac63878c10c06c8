"""RESULTS.md and results.json: a section for each part of the bench, which can be replaced without the others."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final

HEADINGS: Final = {
    "jobs": "The main job",
    "live": "Live collections",
    "cluster": "A cluster",
    "api": "The API",
    "notifier": "The notifier",
    "publishing": "Publishing",
}
"""Name of a section in results.json, and its heading on the page; in the order of the page."""

_PREFACE: Final = """\
# Benchmarks

This page compares the program with others. `make bench` repeats all measurements, and `python -m bench SECTION` those
of one section: {sections}. First run
`pip install --require-hashes -r pins/requirements-bench.txt`. `--quick` is a rough measurement that writes no files;
`--help` lists all options. `results.json` has every sample.
"""

_MACHINE: Final = """\
{page}

### Machine

{machine}

Load average {load[0]:.1f} before and {load[1]:.1f} after.
"""

_LIBRARIES: Final = (
    "numba", "numpy", "polars", "pyarrow", "pymongo", "pymongoarrow", "duckdb", "chdb", "chdb-core", "isal",
    "falcon", "gunicorn", "orjson", "django", "djangorestframework", "celery", "kombu", "redis",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """The results of one part of the bench.

    :param name: a key of `HEADINGS`.
    :param page: Markdown, without the heading; headings in it have three number signs.
    :param samples: the same for machines, as JSON can hold it.
    :param peers: name and version of servers that took part.
    """

    name: str
    page: str
    samples: Mapping[str, Any]
    is_whole: bool = True
    peers: Mapping[str, str] = field(default_factory=dict)

    def on_this_machine(self, load: tuple[float, float]) -> Section:
        """The same with the machine.

        :param load: the load average before and after.
        """
        machine = machine_facts() | dict(self.peers)
        page = _MACHINE.format(page=self.page.strip(), machine=table(("", ""), machine.items()), load=load)
        return replace(self, page=page, samples={**self.samples, "machine": machine, "load": load})

    @property
    def text(self) -> str:
        """Its part of the page."""
        return f"## {HEADINGS[self.name]}\n\n{self.page.strip()}\n"


def keep(folder: Path, section: Section) -> None:
    """Write `section` into RESULTS.md and results.json in `folder`; those of other names stay as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    page, samples = folder / "RESULTS.md", folder / "results.json"
    texts = _texts(page.read_text("utf-8")) if page.exists() else {}
    values = json.loads(samples.read_text("utf-8")) if samples.exists() else {}
    texts[section.name], values[section.name] = section.text, section.samples
    preface = _PREFACE.format(sections=", ".join(f"`{name}`" for name in HEADINGS))
    page.write_text("\n".join([preface, *(texts[name] for name in HEADINGS if name in texts)]), "utf-8")
    ordered = {name: values[name] for name in HEADINGS if name in values}
    samples.write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _texts(page: str) -> dict[str, str]:
    """The sections of `page` by name."""
    names = {heading: name for name, heading in HEADINGS.items()}
    parts = re.split(r"^## (.*)\n", page, flags=re.MULTILINE)[1:]
    return {
        names[heading]: f"## {heading}\n{text.rstrip()}\n"
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
        if heading in names
    }


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def short(value: float) -> str:
    """A number with about three digits."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def machine_facts() -> dict[str, str]:
    """What matters to speed, by name: processor, memory, system, versions."""
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
