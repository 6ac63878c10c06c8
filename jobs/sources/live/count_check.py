"""Compares the number of documents read with the collection's count, to detect parts that do not cover it."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import SourceError


def check_count(
    name: str, read: int, before: int, after: int, count_now: Callable[[], int], count_recent: Callable[[], int]
) -> str | None:
    """Compare the number of documents read with the collection's count; returns a warning or None.

    Concurrent writes may make the two differ: inserted documents may come too late to be read, and deleted ones may
    have been read before. But every document that existed throughout must have been read.

    :param before: the server's estimate before reading; `after` likewise. Estimates lag on some servers and are wrong
        after an unclean shutdown, so they replace a count only if both equal `read`.
    :param count_now: counts the documents exactly.
    :param count_recent: counts the documents that were inserted recently.
    :raises SourceError: documents are missing.
    """
    if read == before == after:
        return None
    counted = count_now()
    found = (
        f"{read} documents of {name} were read; the server estimated {before} before and {after} after, and "
        f"counted {counted}"
    )
    if read >= counted:
        too_many = before == after < read and read > counted
        return f"{found}: some documents that were read no longer exist" if too_many else None
    recent = count_recent()
    if read >= before and counted - read <= recent:
        return None
    if after <= before and not recent:
        raise SourceError(
            f"{found}: some documents were not read",
            "Nothing was published. If documents were deleted and others inserted during the run, run it again; if it "
            "happens again, please report it with the types of _id that the collection has.",
        )
    return f"{found}: some documents were deleted and others inserted during the run, or some were not read"
