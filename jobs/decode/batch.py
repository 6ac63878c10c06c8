"""The output of decoding: transactions, counts and rejected documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from core.stores.runs import Counts
from jobs.decode.jit import Bytes, Int32s, Int64s


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole documents in memory, ready to be decoded.

    :param source: name of the file or stream they came from.
    :param data: the bytes, and at least `jobs.decode.jit.PADDING` more after `end`, the last of them zero; unchanged
        while it is decoded.
    :param end: where the last document ends in `data`.
    :param position: position of ``data[0]`` in the uncompressed source, in bytes.
    """

    source: str
    data: Bytes
    end: int
    position: int


@dataclass(frozen=True, slots=True)
class Reject:
    """One document that cannot be counted.

    :param source: name of the file or stream.
    :param position: first byte in the uncompressed source; with `unit` ``row`` the row number, from 1.
    :param unit: ``byte`` or ``row``.
    :param field: ``document``, ``time``, ``merchant`` or ``amount``.
    :param reason: one of `jobs.decode.reasons.REASON_NAMES`.
    :param document: returns the whole document as `bson` types; called once, when the reject is written.
    """

    source: str
    position: int
    unit: str
    field: str
    reason: str
    document: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class LeadingRejects:
    """The rejects at the beginning of some documents, as long as all have the same reason.

    :param reason: ``field: reason`` of these rejects; None without rejects.
    :param whole: whether all documents are such rejects.
    """

    count: int = 0
    reason: str | None = None
    whole: bool = True

    def then(self, following: LeadingRejects) -> LeadingRejects:
        """The leading rejects of these documents and the `following` ones together."""
        if not self.whole or following == LeadingRejects():
            return self
        if following.count == 0 or self.reason not in (None, following.reason):
            return LeadingRejects(self.count, self.reason, whole=False)
        return LeadingRejects(self.count + following.count, following.reason, following.whole)


@dataclass(frozen=True, slots=True)
class Batch:
    """Decoded transactions as columns of one length, and counts of the documents that were left out.

    The columns have Arrow's memory layout without PyArrow's types, so that most runs need not load PyArrow.

    :param codes: the merchants, by their codes in the decoder's `jobs.decode.merchants.MerchantTable`.
    :param amounts: in the minor unit.
    :param instants: milliseconds since 1970 UTC.
    :param rejects: lazy; iterate once, before the chunk's memory is reused.
    :param rejects_by_reason: number of rejects for each ``field: reason``.
    """

    codes: Int32s
    amounts: Int64s
    instants: Int64s
    counts: Counts
    rejects: Iterable[Reject]
    rejects_by_reason: dict[str, int]
    leading: LeadingRejects
