"""Where the rows of a CSV text end (RFC 4180), by the rules of Arrow's parser, which reads them afterwards.

A field that begins with a quotation mark goes on to the next one that is not doubled; a quotation mark anywhere else is
a character like others. A row ends with a newline, a carriage return, or both.
"""

from __future__ import annotations

from typing import Final

from jobs.decode.jit import Bool, Bytes, Int, kernel

EVERY_ROW: Final = 2**62

_NEWLINE: Final = 0x0A
_QUOTE: Final = 0x22
_RETURN: Final = 0x0D


@kernel
def end_of_rows(data: Bytes, start: Int, end: Int, most: Int, delimiter: Int) -> tuple[Int, Int, Bool]:
    """Step over at most `most` whole rows: (where the last one ends, how many, whether the rest ends inside quotes).

    :param delimiter: the byte between two fields.
    """
    whole = start
    rows = 0
    field_begins = True
    quoted = False
    at = start
    while at < end and rows < most:
        c = data[at]
        at += 1
        if quoted:
            if c == _QUOTE:
                if at < end and data[at] == _QUOTE:
                    at += 1
                else:
                    quoted = False
        elif c == _NEWLINE or c == _RETURN:
            if c == _RETURN and at < end and data[at] == _NEWLINE:
                at += 1
            field_begins = True
            whole = at
            rows += 1
        elif c == delimiter:
            field_begins = True
        else:
            quoted = field_begins and c == _QUOTE
            field_begins = False
    return whole, rows, quoted
