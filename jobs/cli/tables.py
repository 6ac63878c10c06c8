"""Tables of text for terminals."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len


def aligned(columns: Sequence[Sequence[str]], to_the_right: Sequence[bool]) -> str:
    """Columns of equally many cells as lines, two blanks apart; characters may be two cells wide, or none.

    :param to_the_right: for each column whether its cells end, instead of begin, one below the other.
    """
    widths = [max(map(cell_len, column)) for column in columns]
    return "".join(
        "  ".join(map(_padded, row, widths, to_the_right)).rstrip() + "\n" for row in zip(*columns, strict=True)
    )


def _padded(cell: str, width: int, to_the_right: bool) -> str:
    blanks = " " * (width - cell_len(cell))
    return blanks + cell if to_the_right else cell + blanks
