"""Prints the results of `mutmut run`: figures per module, and each surviving mutant."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.utils.format_utils import get_module_from_key, orig_function_and_class_names_from_key

MUTANTS: Final = Path("mutants")
FLOOR: Final = 0.9
"""The part of the mutants that are not equivalent that the tests must kill, of each module."""

_EQUIVALENT: Final = {
    tuple(line.split("\t")[:2])
    for line in Path(__file__).with_name("equivalent.txt").read_text().splitlines()
    if not line.startswith("#")
}
_SURVIVED: Final = {0: "survived", 5: "no test runs it", 33: "no test runs it"}
"""The exit codes of mutmut that are no kill; a mutant that never ends is killed."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test killed."""

    name: str
    how: str
    before: str
    after: str

    @property
    def function(self) -> str:
        """Where it is, such as ``jobs.runs.ledger_row:RunRecorder.update``."""
        function, of_class = orig_function_and_class_names_from_key(self.name)
        return f"{get_module_from_key(self.name)}:{'' if of_class is None else of_class + '.'}{function}"

    @property
    def is_equivalent(self) -> bool:
        """Whether it changes nothing that can be observed: it is listed, or spells the names of SQL otherwise."""
        is_sql = self.name.startswith("core.stores.sqlite.")
        return (self.function, self.after) in _EQUIVALENT or (is_sql and self.before.lower() == self.after.lower())


def main() -> int:
    """Print the report; 1 when a module is below the floor."""
    below = False
    for file in sorted(MUTANTS.rglob("*.meta")):
        exit_codes: dict[str, int | None] = json.loads(file.read_text())["exit_code_by_key"]
        if None in exit_codes.values():
            print(f"{file}: not all of it was run", file=sys.stderr)
            return 1
        found = [_survivor(name, _SURVIVED[code]) for name, code in exit_codes.items() if code in _SURVIVED]
        survivors = [one for one in found if not one.is_equivalent]
        total = len(exit_codes) - (len(found) - len(survivors))
        killed = total - len(survivors)
        below |= killed < FLOOR * total
        print(f"{file.relative_to(MUTANTS).with_suffix('')}: {killed} of {total} killed ({killed / max(1, total):.0%})")
        for one in survivors:
            print(f"  {one.function}: {one.how}\n    - {one.before}\n    + {one.after}")
    return int(below)


def _survivor(name: str, how: str) -> Survivor:
    lines = [line for line in get_diff_for_mutant(name).splitlines() if not line.startswith(("---", "+++"))]
    before, after = (
        " ".join(line[1:].strip() for line in lines if line.startswith(sign)).strip() for sign in ("-", "+")
    )
    return Survivor(name, how, before, after)


if __name__ == "__main__":
    sys.exit(main())
