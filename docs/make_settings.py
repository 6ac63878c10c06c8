"""Writes the tables of the settings into `README.md`."""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

_ROOT: Final = Path(__file__).parents[1]
README: Final = _ROOT / "README.md"
if __name__ == "__main__":
    sys.path.insert(0, str(_ROOT))

from core.settings import range_words  # noqa: E402
from core.settings.api import ApiSettings  # noqa: E402
from core.settings.notifier import NotifierSettings  # noqa: E402
from core.settings.refresh import RefreshSettings  # noqa: E402
from core.settings.shared import SharedSettings  # noqa: E402
from core.settings.source import SourceSettings  # noqa: E402
from core.settings.text_pattern import TextPattern  # noqa: E402

BEGIN: Final = "<!-- Made by `make docs` from core/settings: change it there. -->"
END: Final = "<!-- The end of what is made. -->"
GROUPS: Final[tuple[tuple[str, type[BaseSettings]], ...]] = (
    ("Summaries", SharedSettings),
    ("Sources", SourceSettings),
    ("Refreshes", RefreshSettings),
    ("The API", ApiSettings),
    ("The notifier", NotifierSettings),
)


def table() -> str:
    """The tables of all groups."""
    return "\n\n".join(_table(title, _rows(group)) for title, group in GROUPS)


def allowed(field: FieldInfo) -> str:
    """What the variable of `field` may be, in words."""
    if patterns := [one for one in field.metadata if isinstance(one, TextPattern)]:
        return patterns[0].words
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if field.annotation is bool:
        return "`true`, `false`"
    return range_words(field) or "any text; or empty"


def _rows(group: type[BaseSettings]) -> list[str]:
    meanings = described(group)
    return [_row(name, field, meanings[name]) for name, field in group.model_fields.items()]


def _row(name: str, field: FieldInfo, meaning: str) -> str:
    text = default(field)
    cells = f"`{text}`" if text else "empty", allowed(field), meaning
    return f"| `{name.upper()}` | {' | '.join(cell.removesuffix('.').replace('<', '&lt;') for cell in cells)} |"


def described(group: type[BaseSettings]) -> dict[str, str]:
    """The docstrings of the fields of `group`, by name."""
    definition = next(one for one in ast.walk(ast.parse(inspect.getsource(group))) if isinstance(one, ast.ClassDef))
    return {
        ast.unparse(field.target): " ".join(ast.literal_eval(text.value).split())
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def default(field: FieldInfo) -> str:
    """The default as it is written in the environment."""
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _table(title: str, lines: list[str]) -> str:
    return "\n".join(
        [f"### {title}", "", "| variable | default | allowed | meaning |", "| --- | --- | --- | --- |", *lines]
    )


def with_table(text: str) -> str:
    """`text` with the table between its marks.

    :raises ValueError: it has no marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README.name} has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
