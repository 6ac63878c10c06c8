"""Cells of CSV that spreadsheets show as the text they are.

A spreadsheet takes a cell for a formula that begins with one of the characters of `_FORMULA`, and a merchant may choose
a name such as ``=HYPERLINK(…)``. An apostrophe before it keeps it text (and is seen). Numbers are left as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

_FORMULA: Final = r"^[=+\-@\t\r\n＝＋－＠]"
_NUMBER: Final = r"^[+-]?[0-9]+$"


def safe_cell(text: str) -> str:
    """`text` with an apostrophe before it where a spreadsheet would take it for a formula.

    >>> safe_cell("=HYPERLINK(1)"), safe_cell("-5"), safe_cell("tea")
    ("'=HYPERLINK(1)", '-5', 'tea')
    """
    return f"'{text}" if re.search(_FORMULA, text) and not re.search(_NUMBER, text) else text


def spreadsheet_safe(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with an apostrophe before every text that a spreadsheet would take for a formula."""
    import polars as pl

    texts = [pl.col(name) for name, dtype in frame.schema.items() if dtype == pl.String]
    return frame.with_columns(
        pl.when(text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)).then("'" + text).otherwise(text).name.keep()
        for text in texts
    )
