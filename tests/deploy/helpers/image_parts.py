"""What the `Dockerfile` says: its stages, and the folder of the program as they would leave it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
PROGRAM: Final = "/app"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage; `instructions` are (word, arguments) in their order."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        """The arguments of each such instruction."""
        return [arguments for found, arguments in self.instructions if found == word]

    def command(self, word: str = "CMD") -> list[str]:
        """What ``CMD`` or the check of ``HEALTHCHECK`` runs, which must be in the form of a list."""
        (arguments,) = self.all(word)
        command: list[str] = json.loads(arguments[arguments.index("[") :])
        return command

    def environment(self) -> dict[str, str]:
        """Every variable that ``ENV`` sets."""
        pairs = (pair.partition("=") for arguments in self.all("ENV") for pair in shlex.split(arguments))
        return {name: value for name, _, value in pairs}

    def copied(self) -> list[tuple[str, str]]:
        """What is copied out of the repository: (path there, path in the image)."""
        lists = [arguments.split() for arguments in self.all("COPY") if not arguments.startswith("--from=")]
        return [(source, words[-1]) for words in lists for source in words[:-1]]


def stages() -> dict[str, Stage]:
    """The stages by name; that of the image itself has none."""
    text = (ROOT / "Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    found: list[Stage] = []
    for word, arguments in re.findall(r"(?m)^([A-Z]+)[ ]+(.*)$", lines):
        if word == "FROM":
            base, _, name = arguments.partition(" AS ")
            found.append(Stage(name, base))
        else:
            found[-1].instructions.append((word, arguments.strip()))
    return {stage.name: stage for stage in found}


def ignored(path: str) -> bool:
    """Whether `.dockerignore`, which allows some names at the top and refuses all others, keeps `path` out."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    return f"!{path.partition('/')[0]}" not in rules or "__pycache__" in path


def lay_out(folder: Path) -> Path:
    """Copy into `folder` what the image has in `PROGRAM`, from nothing but what its build is given."""
    for source, target in stages()["program"].copied():
        assert not ignored(source), f".dockerignore keeps {source} out"
        place = folder / target.removeprefix(PROGRAM).strip("/")
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place = place / Path(source).name if target.endswith("/") else place
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, place)
    return folder
