"""Whether as many documents were read as the collection has: a second look at what the parts should cover."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import SourceError


def check_count(
    name: str, read: int, before: int, after: int, count_now: Callable[[], int], count_recent: Callable[[], int]
) -> str | None:
    """Compare what was read with the collection's count; a sentence of warning, or None.

    While a collection is written to, the two may differ: what is inserted may come too late to be read, and what is
    deleted may have been read before. But all that was there all the time must have been read.

    :param before: documents before reading as the server estimates it; `after` likewise. Estimates lag on some servers
        and are off after an unclean stop: only both, equal to what was read, stand for a count.
    :param count_now: counts them one by one.
    :param count_recent: how many were inserted lately.
    :raises SourceError: documents are missing.
    """
    if read == before == after:
        return None
    counted = count_now()
    found = (
        f"{read} documents of {name} were read, which had about {before} before and {after} after, and {counted} when "
        "counted"
    )
    if read >= counted:
        too_many = before == after < read and read > counted
        return f"{found}: some were read that are not there any more" if too_many else None
    recent = count_recent()
    if read >= before and counted - read <= recent:
        return None
    if after <= before and not recent:
        raise SourceError(
            f"{found}: some documents were not found",
            "Nothing was published. If documents were deleted and others inserted meanwhile, run it again; if it "
            "happens again, please report it with the types of _id that the collection has.",
        )
    return f"{found}: some were deleted and others inserted meanwhile, or not found"
