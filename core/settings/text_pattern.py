"""Validation of text variables by a pattern, with a description for messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class TextPattern:
    """An annotation of a field: ``Annotated[str, TextPattern("redis://host:6379/0", r"redis://.+")]``.

    :param words: the allowed form, to follow "it must be".
    :param pattern: a regular expression for the whole value; None if it is validated elsewhere.
    :param is_valid: a further check of the whole value.
    """

    words: str
    pattern: str | None = None
    is_valid: Callable[[str], bool] = lambda _: True

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema of the field, preceded by this check."""
        return core_schema.no_info_before_validator_function(self._checked, handler(source))

    def _checked(self, value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if (self.pattern is not None and not re.fullmatch(self.pattern, text)) or not self.is_valid(text):
            raise ValueError(f"it must be {self.words}")
        return value
