"""The table of environment variables in the README is complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import make_settings

from core.settings import Settings

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = ("core", "jobs", "api", "notifier", "docker", "notebooks")
OF_EVERY_SYSTEM: Final = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "HOME", "PATH"}


def test_the_table_matches_the_settings() -> None:
    text = make_settings.README.read_text()
    assert make_settings.with_table(text) == text


def test_the_table_has_every_setting_once() -> None:
    named = _named()
    assert len(named) == len(set(named))
    assert {name.upper() for name in Settings.model_fields} - set(named) == set()


def test_the_table_has_every_variable_that_the_program_reads_or_sets() -> None:
    found = {name for folder in PROGRAM for file in (ROOT / folder).rglob("*.py") for name in _used(file)}
    assert {"NUMBA_CACHE_DIR", "PROMETHEUS_MULTIPROC_DIR", "STORE_URL"} <= found  # or this finds nothing at all
    assert found - set(_named()) == set()


def test_the_table_has_every_variable_that_the_image_sets() -> None:
    set_there = re.findall(r"(?m)^(?:ENV|   ) +([A-Z_]+)=", (ROOT / "Dockerfile").read_text())
    assert "NUMBA_CPU_NAME" in set_there
    assert set(set_there) - OF_EVERY_SYSTEM - set(_named()) == set()


def test_the_table_gives_allowed_values_of_every_variable() -> None:
    tables = make_settings.README.read_text().partition(make_settings.BEGIN)[2]
    cells = [[cell.strip() for cell in line.split(" | ")] for line in tables.splitlines() if line.startswith("| `")]
    assert [row[0] for row in cells if len(row) != 4 or not all(row)] == []


def _named() -> list[str]:
    return re.findall(r"(?m)^\| `([A-Z0-9_]+)` \|", make_settings.README.read_text())


def _used(file: Path) -> Iterator[str]:
    """The names that `file` looks up in, or writes to, ``os.environ``; constants of its module are followed."""
    tree = ast.parse(file.read_text())
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        key: ast.expr | None = None
        match node:
            case ast.Subscript(value=ast.Attribute(attr="environ"), slice=index):
                key = index
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="environ")), args=[first, *_]):
                key = first
            case ast.Call(func=ast.Attribute(attr="getenv"), args=[first, *_]):
                key = first
            case ast.Compare(left=left, comparators=[ast.Attribute(attr="environ")]):
                key = left
        if isinstance(key, ast.Constant):
            yield str(key.value)
        elif isinstance(key, ast.Name):
            yield str(constants[key.id])
        else:
            assert key is None, f"{file} uses a variable whose name this test cannot tell: {ast.unparse(node)}"
