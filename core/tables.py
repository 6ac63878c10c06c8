"""Text tables for terminals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.cells import cell_len


def aligned(rows: Iterable[Sequence[str]], to_the_right: Collection[int] = ()) -> str:
    """Format `rows` with columns separated by two spaces; handles characters of two or zero cells.

    >>> print(aligned([("period", "count"), ("1403/04", "12")], {1}), end="")
    period   count
    1403/04     12

    :param rows: may begin with the headings; all have the same number of cells.
    :param to_the_right: the indexes of right-aligned columns.
    """
    lines = list(rows)
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    text = ""
    for line in lines:
        cells = []
        for place, (cell, width) in enumerate(zip(line, widths, strict=True)):
            blanks = " " * (width - cell_len(cell))
            cells.append(blanks + cell if place in to_the_right else cell + blanks)
        text += "  ".join(cells).rstrip() + "\n"
    return text
