"""The tables in docs/summaries.md have every field of the JSON of `rebuild`, `status` and `verify`, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from command_line import ROOT, CommandLine
from transactions import spread, write_bson

PAGE: Final = (ROOT / "docs/summaries.md").read_text()
INNER: Final = {"holder", "counts", "refreshes", "drift", "days_kept"}
"""Objects, and lists of objects, whose fields are in the table of what contains them."""
OF_REBUILD: Final = {"forms", "partitions_reused"}


def described(title: str) -> set[str]:
    """The fields in the table below a heading, and the objects that contain them."""
    section = re.search(rf"(?ms)^#### {title}\n(.*?)^#", PAGE)
    assert section is not None
    names = {name for cell in re.findall(r"(?m)^\| (`[^|]+) \|", section[1]) for name in re.findall(r"`(.+?)`", cell)}
    return names | {name.partition(".")[0] for name in names}


def fields(content: dict[str, Any]) -> Iterator[str]:
    """The names of the fields; those of an inner object, or of the first of a list, after its name."""
    for name, value in content.items():
        yield name
        inner = value[0] if isinstance(value, list) and value else value
        if name in INNER and isinstance(inner, dict):
            yield from (f"{name}.{one}" for one in fields(inner))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the commands print; `verify` finds drift, and a day with fewer transactions that keeps its totals."""
    folder: Path = tmp_path_factory.mktemp("fields")
    jobs = CommandLine(folder, REFRESH_EVERY_S="300")
    transactions = spread(["a", "b"], days=12)
    write_bson(folder / "shop.bson", transactions)
    write_bson(folder / "other.bson", [*transactions[1:-1], transactions[-1]._replace(amount=7)])
    return {
        "rebuild": jobs("rebuild", "shop.bson", "--json").json,
        "verify": jobs("verify", "other.bson", "--json").json,
        "status": jobs("status", "--json").json,
    }


def test_the_page_has_the_fields_of_a_run(outputs: dict[str, dict[str, Any]]) -> None:
    run = outputs["rebuild"]["run"]
    assert set(fields(run)) == described("Fields of a run")
    (listed,) = outputs["status"]["runs"]
    assert set(fields(listed)) == described("Fields of a run") - OF_REBUILD
    assert set(fields(run["meaning"])) == described("Fields of the settings")


def test_the_page_has_the_fields_of_a_publication(outputs: dict[str, dict[str, Any]]) -> None:
    for content in (outputs["rebuild"]["published"], outputs["status"]["published"]):
        assert set(fields(content)) == described("Fields of a publication")


@pytest.mark.parametrize("command", ["status", "verify"])
def test_the_page_has_the_fields_of_the_command(command: str, outputs: dict[str, dict[str, Any]]) -> None:
    # The counts of verify are described as part of a run.
    found = {name for name in fields(outputs[command]) if not name.startswith("counts.")}
    assert found == described(f"Fields of {command}")
