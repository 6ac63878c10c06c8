"""Formats amounts for people: sums are in minor units, and shown in major units with all decimals."""

from __future__ import annotations


def major(minor: int, scale: int, grouping: str = "") -> str:
    """`minor` units as exact major units.

    :param scale: decimal places of the major unit.
    :param grouping: the separator of thousands.

    >>> major(123450, 2), major(-5, 2), major(7, 0)
    ('1234.50', '-0.05', '7')
    """
    whole, rest = divmod(abs(minor), 10**scale)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole:{grouping}}" + (f".{rest:0{scale}}" if scale else "")


def grouped(minor: int, scale: int) -> str:
    """`major` with thousands separators.

    >>> grouped(123450, 2)
    '1,234.50'
    """
    return major(minor, scale, ",")
