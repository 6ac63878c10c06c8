"""What a variable that is text may be: words for people, and a pattern where that can tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class Form:
    """An annotation of a field: ``Annotated[str, Form("redis://host:6379/0", r"redis://.+")]``.

    :param words: what is allowed, to follow upon "it must be".
    :param pattern: a regular expression for the whole of it; None where something else judges it.
    """

    words: str
    pattern: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema of the field, with this check before its own."""
        return core_schema.no_info_before_validator_function(self._checked, handler(source))

    def _checked(self, value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            raise ValueError(f"it must be {self.words}")
        return value
