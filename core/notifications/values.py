"""The values of messages that the API and the command line accept, with their validation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import ErrorDetails, PydanticCustomError

_LINE_BREAKS: Final = "\n\t\u2028\u2029"
_UNREADABLE: Final = "\ufffd"
_CONTROLS: Final = r"\u0000-\u001f\u007f-\u009f"
_LINE_PATTERN: Final = rf"^[^{_CONTROLS}\u2028\u2029]*[^\s{_CONTROLS}][^{_CONTROLS}\u2028\u2029]*$"
ID_PATTERN: Final = rf"^[^{_CONTROLS}\u2028\u2029\ufffd]+$"
CHANNEL_PATTERN: Final = "^[a-z0-9_-]{1,64}$"
_LINES_PATTERN: Final = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]+$"


def _printable(text: str) -> str:
    text = text.replace("\r\n", "\n")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text if character not in "\n\t"):
        raise PydanticCustomError("control-characters", "has control characters")
    return text


def _printable_line(text: str) -> str:
    text = _printable(text)
    if any(character in _LINE_BREAKS for character in text):
        raise PydanticCustomError("line-breaks", "has line breaks or tabs")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "is blank")
    return text


def _readable(text: str) -> str:
    # Frameworks replace bytes of a path that are not UTF-8 by it, so that several paths would name one user.
    if _UNREADABLE in text:
        raise PydanticCustomError("not-utf-8", "is not UTF-8")
    return text


Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_printable_line),
    AfterValidator(_not_blank),
    Field(json_schema_extra={"pattern": _LINE_PATTERN}),
]
Message = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4000),
    AfterValidator(_printable),
    AfterValidator(_not_blank),
    Field(json_schema_extra={"pattern": _LINES_PATTERN}),
]
"""Text in lines and paragraphs."""
UserId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    AfterValidator(_printable_line),
    AfterValidator(_readable),
    Field(json_schema_extra={"pattern": ID_PATTERN}),
]
MerchantId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    AfterValidator(_printable_line),
    Field(json_schema_extra={"pattern": ID_PATTERN}),
]


def is_channel_name(text: str) -> bool:
    """Whether `text` can be the name of a channel, also of one that the settings no longer have.

    Stores search for these names with patterns, which must stay short.
    """
    return re.fullmatch(CHANNEL_PATTERN.strip("^$"), text) is not None


def in_words(error: ErrorDetails) -> str:
    """An error of pydantic, in words that follow the name of the value."""
    words = _WORDS.get(error["type"])
    return words(error.get("ctx", {})) if words else error["msg"].removeprefix("Value error, ")


_WORDS: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "missing": lambda context: "is required",
    "extra_forbidden": lambda context: "is not a field here",
    "string_type": lambda context: "must be text, in quotes",
    "string_unicode": lambda context: "is not Unicode text",
    "tuple_type": lambda context: "must be a list",
    "dict_type": lambda context: "must be an object",
    "bool_type": lambda context: "must be true or false",
    "int_type": lambda context: "must be a whole number",
    "greater_than_equal": lambda context: f"must be at least {context['ge']}",
    "less_than_equal": lambda context: f"must be at most {context['le']}",
    "string_too_short": lambda context: "is empty",
    "string_too_long": lambda context: f"is longer than {context['max_length']} characters",
    "too_short": lambda context: "is empty",
    "too_long": lambda context: f"has more than {context['max_length']}",
    "literal_error": lambda context: f"is not one of {context['expected']}",
    "enum": lambda context: f"is not one of {context['expected']}",
}
"""The words for types of errors; others have pydantic's own."""
