"""Escapes CSV cells against formula injection.

Spreadsheets interpret a cell that begins with a character of `_FORMULA` as a formula, and a merchant may choose a name
such as ``=HYPERLINK(…)``. A leading apostrophe makes it text (and is visible). Numbers are not changed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

_FORMULA: Final = r"^[=+\-@\t\r\n＝＋－＠]"
_NUMBER: Final = r"^[+-]?[0-9]+$"


def safe_cell(text: str) -> str:
    """`text` with a leading apostrophe if a spreadsheet would interpret it as a formula.

    >>> safe_cell("=HYPERLINK(1)"), safe_cell("-5"), safe_cell("tea")
    ("'=HYPERLINK(1)", '-5', 'tea')
    """
    return f"'{text}" if re.search(_FORMULA, text) and not re.search(_NUMBER, text) else text


def spreadsheet_safe(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with all text columns escaped by `safe_cell`."""
    import polars as pl

    texts = [pl.col(name) for name, dtype in frame.schema.items() if dtype == pl.String]
    return frame.with_columns(
        pl.when(text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)).then("'" + text).otherwise(text).name.keep()
        for text in texts
    )
