"""Formats and parses the keys of a calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyForm:
    """The format of the keys of one mode.

    :param template: `str.format` template for the numbers of a key: its year, and month and day, week or month.
    :param pattern: a regular expression with one group of ASCII digits for each number.
    :param example: an example for users.
    """

    template: str
    pattern: str
    example: str

    def write(self, *numbers: int) -> str:
        """The key of `numbers`."""
        return self.template.format(*numbers)

    def read(self, key: str) -> tuple[int, ...] | None:
        """The numbers of `key`, or None if it has another form."""
        found = re.fullmatch(self.pattern, key)
        return tuple(map(int, found.groups())) if found else None
