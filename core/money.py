"""Amounts for people: sums are counted in minor units, and shown in major ones with all their decimals."""

from __future__ import annotations


def major(minor: int, scale: int) -> str:
    """`minor` units in major ones, exactly.

    :param scale: how many decimal places the major unit has.

    >>> major(123450, 2), major(-5, 2), major(7, 0)
    ('1234.50', '-0.05', '7')
    """
    return _written(minor, scale, "")


def grouped(minor: int, scale: int) -> str:
    """The same in groups of three digits.

    >>> grouped(123450, 2)
    '1,234.50'
    """
    return _written(minor, scale, ",")


def _written(minor: int, scale: int, grouping: str) -> str:
    whole, rest = divmod(abs(minor), 10**scale)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole:{grouping}}" + (f".{rest:0{scale}}" if scale else "")
