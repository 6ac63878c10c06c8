"""Whether as many documents were read as the collection has: a second look at what the parts should cover."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import SourceError


def check_count(
    name: str, read: int, before: int, after: int, count_now: Callable[[], int], is_written_to: Callable[[], bool]
) -> str | None:
    """Compare what was read with the collection's counts; a sentence of warning, or None.

    While a collection is written to, the three may differ: what is inserted may come too late to be read, and what is
    deleted may have been read before. But of one to which nothing was written all must have been read.

    :param before: documents before reading as the server estimates it; `after` likewise.
    :param count_now: counts them one by one. Estimates can be off after a crash and on a sharded cluster.
    :param is_written_to: whether documents were inserted lately. One deleted for one inserted leaves the counts as they
        were.
    :raises SourceError: documents are missing.
    """
    if read >= min(before, after) and not (before == after < read):
        return None
    counted = count_now()
    if read == counted:
        return None
    found = (
        f"{read} documents of {name} were read, which had {before} before, {after} after, and {counted} when counted"
    )
    if before == after and read < counted and not is_written_to():
        raise SourceError(
            f"{found}: some were not found",
            "Nothing was published. If documents were deleted and others inserted meanwhile, run it again; if it "
            "happens again, please report it with the types of _id that the collection has.",
        )
    if read < counted:
        return f"{found}: some were deleted and others inserted meanwhile, or not found"
    return f"{found}: some were read that are not there any more" if before == after < read else None
