"""A page of the points of several merchants, each with its own, from the store or filled with zeros."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from api.http.query_parameters import Findings, quoted
from api.problems import Problem, ProblemKind
from api.summaries.cache import Snapshot
from core.stores import Stores
from core.stores.summaries import MerchantPoint

if TYPE_CHECKING:
    from api.summaries.series import SeriesQuery

MOST_POINTS: Final = 10_000
"""The most points in one response without a limit."""

KeyBounds = tuple[str | None, str | None]
"""The first and the last key of a range, both inclusive; None for no bound."""


def points_of_merchants(
    stores: Stores,
    snapshot: Snapshot,
    query: SeriesQuery,
    ranges: Sequence[KeyBounds],
    keys: Sequence[str] | None,
) -> list[MerchantPoint]:
    """The points from where the page of `query` begins, at most one more than it may have.

    :param ranges: the ranges of keys to read.
    :param keys: those of all periods, to fill those without transactions with zeros; or None.
    :raises Problem: there is no such merchant; or there are too many points for a response without a limit.
    """
    most = (query.limit or MOST_POINTS) + 1
    if keys is None:
        points = _stored(stores, query, ranges, most)
    else:
        points = _filled(stores, snapshot, query, ranges, keys, most)
    if query.grouped == "named" and query.after is None:
        _require_known(stores, query, {point.merchant_id for point in points if point.value})
    if query.limit is None and len(points) == most:
        findings = Findings()
        findings.add("limit", f"is required for more than {MOST_POINTS:,} points; or narrow from, to and merchant_id")
        findings.raise_if_any()
    return points


def _stored(stores: Stores, query: SeriesQuery, ranges: Sequence[KeyBounds], most: int) -> list[MerchantPoint]:
    found: list[MerchantPoint] = []
    for bounds in ranges:
        found += stores.summaries.merchant_series(
            query.mode, query.measure, query.merchants, *bounds, after=query.after, limit=most
        )
        if len(ranges) > 1:
            found = sorted(found)[:most]  # these are among the first of each range
    return found


def _filled(
    stores: Stores,
    snapshot: Snapshot,
    query: SeriesQuery,
    ranges: Sequence[KeyBounds],
    keys: Sequence[str],
    most: int,
) -> list[MerchantPoint]:
    if not keys:
        return []
    merchants = query.merchants
    if query.grouped == "visible":
        every = snapshot.table(("merchants",), lambda: [one.merchant_id for one in stores.summaries.merchants()])
        merchants = tuple(every) if merchants is None else tuple(sorted(set(every).intersection(merchants)))
    merchants = merchants or ()
    after = query.after or ("", "")
    begin = bisect_left(merchants, after[0])
    page = merchants[begin : begin + most // len(keys) + 2]  # the page before may have shown the first
    most_stored = len(page) * len(keys)
    values = {
        (merchant_id, key): value
        for bounds in ranges
        for merchant_id, key, value in stores.summaries.merchant_series(
            query.mode, query.measure, page, *bounds, limit=most_stored
        )
    }
    grid = [(merchant_id, key) for merchant_id in page for key in keys if (merchant_id, key) > after]
    return [MerchantPoint(*place, values.get(place, 0)) for place in grid[:most]]


def _require_known(stores: Stores, query: SeriesQuery, found: set[str]) -> None:
    unknown = [one for one in query.merchants or () if one not in found and not stores.summaries.has_merchant(one)]
    if unknown:
        named = ", ".join(map(quoted, unknown))
        raise Problem(ProblemKind.UNKNOWN_MERCHANT, f"There is no merchant with the id {named}.")
