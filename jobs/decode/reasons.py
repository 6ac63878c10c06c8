"""The results of classification, and the names of the reasons for a reject.

A result is an integer: `COUNTED`, `FILTERED`, `OUT_OF_RANGE`, or ``field * 32 + reason`` for a reject.
"""

from __future__ import annotations

from typing import Final

COUNTED: Final = 0
FILTERED: Final = 1
OUT_OF_RANGE: Final = 2
NO_CAPACITY: Final = 3
"""The merchant table must grow before this document can be classified; not a result."""

FIELD_DOCUMENT: Final = 1
FIELD_TIME: Final = 2
FIELD_MERCHANT: Final = 3
FIELD_AMOUNT: Final = 4
FIELD_NAMES: Final = {
    FIELD_DOCUMENT: "document",
    FIELD_TIME: "time",
    FIELD_MERCHANT: "merchant",
    FIELD_AMOUNT: "amount",
}

MISSING_VALUE: Final = 1
NULL_VALUE: Final = 2
BOOLEAN_VALUE: Final = 3
TEXT: Final = 4
WRONG_TYPE: Final = 5
FRACTION: Final = 6
NAN: Final = 7
INFINITY: Final = 8
TOO_LARGE: Final = 9
EMPTY: Final = 10
NOT_UTF8: Final = 11
OUT_OF_CALENDAR: Final = 12
UNREADABLE_VALUE: Final = 13
MALFORMED: Final = 14
NO_OFFSET: Final = 15
NO_SUCH_TIME: Final = 16
AMBIGUOUS_TIME: Final = 17
REASON_NAMES: Final = {
    MISSING_VALUE: "missing",
    NULL_VALUE: "null",
    BOOLEAN_VALUE: "boolean",
    TEXT: "text",
    WRONG_TYPE: "wrong type",
    FRACTION: "fraction",
    NAN: "NaN",
    INFINITY: "infinity",
    TOO_LARGE: "too large",
    EMPTY: "empty",
    NOT_UTF8: "not UTF-8",
    OUT_OF_CALENDAR: "outside the calendar",
    UNREADABLE_VALUE: "unreadable",
    MALFORMED: "malformed",
    NO_OFFSET: "no offset",
    NO_SUCH_TIME: "no such time",
    AMBIGUOUS_TIME: "ambiguous",
}

OUTCOME_BASE: Final = 32


def describe(outcome: int) -> tuple[str, str]:
    """The names of the field and the reason of a reject's `outcome`, such as ("amount", "fraction")."""
    field, reason = divmod(outcome, OUTCOME_BASE)
    return FIELD_NAMES[field], REASON_NAMES[reason]
