"""Tables of text for terminals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.cells import cell_len


def aligned(rows: Iterable[Sequence[str]], to_the_right: Collection[int] = ()) -> str:
    """`rows` as lines whose columns are two blanks apart; characters may be two cells wide, or none.

    >>> print(aligned([("period", "count"), ("1403/04", "12")], {1}), end="")
    period   count
    1403/04     12

    :param rows: the headings may be the first; all rows have equally many cells.
    :param to_the_right: the columns, from 0, whose cells end, instead of begin, one below the other.
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
