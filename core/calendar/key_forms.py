"""How the keys of a calendar are written and read."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyForm:
    """How the keys of one mode are written.

    :param template: `str.format` template that takes the numbers of a key: its year, and month and day, week or month.
    :param pattern: a regular expression with one group of ASCII digits for each of these numbers.
    :param example: a key of this form, shown to users.
    """

    template: str
    pattern: str
    example: str

    def write(self, *numbers: int) -> str:
        """The key made of `numbers`."""
        return self.template.format(*numbers)

    def read(self, key: str) -> tuple[int, ...] | None:
        """The numbers in `key`, or None when it is not of this form."""
        found = re.fullmatch(self.pattern, key)
        return tuple(map(int, found.groups())) if found else None
