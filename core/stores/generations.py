"""What every backend asks of a publication, and the names under which generations are prepared."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from core.errors import ConservationBroken, PublicationLost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from core.stores.frames import Frames
    from core.stores.summaries import KeyRange, Publication

SUMMARIES: Final = "summary_transaction"
"""The table or view by which everyone finds the published summaries."""

BY_MERCHANT: Final = "summary_by_merchant"
"""The view for outsiders of the same without the summaries of all merchants together."""

TAKEN_OVER: Final = "a later run has taken over"
"""Why a run that was closed cannot publish any more."""

_DEFECT: Final = "Nothing was published. This is a defect of the program: please report it with the command used."
_MEDDLING: Final = (
    "Nothing was published. If something else was writing to the summaries just now, stop that and run it again."
)
_GENERATION_NAME: Final = re.compile(rf"{SUMMARIES}_(\d{{6,}})_run_(\d{{6,}})")


def generation_name(generation: int, run_id: int) -> str:
    """The table or collection that run `run_id` fills for `generation`.

    It bears both numbers, so that two runs which prepare the same generation never write into one another's rows.

    >>> generation_name(42, 7)
    'summary_transaction_000042_run_000007'
    """
    return f"{SUMMARIES}_{generation:06d}_run_{run_id:06d}"


def parse_generation_name(name: str) -> tuple[int, int] | None:
    """The (generation, run id) that `generation_name` made `name` from, or None when it did not.

    >>> parse_generation_name("summary_transaction_000042_run_000007")
    (42, 7)
    """
    found = _GENERATION_NAME.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def publishable(publication: Publication, rows: pl.DataFrame | Frames) -> Iterator[pl.DataFrame]:
    """`rows` in the order of `core.stores.frames.Frames`, checked while they are taken.

    :raises ConservationBroken: they hold a mode, key and merchant twice; or, once all are taken, are not as many as
        `publication` says.
    """
    import polars as pl

    from core.stores.frames import follows, ordered

    if isinstance(rows, pl.DataFrame):
        _require_distinct(rows)
        rows = [ordered(rows)]
    handed_over, last = 0, None
    for frame in rows:
        if not follows(frame.clear() if last is None else last, frame):
            raise ConservationBroken("summaries were handed over in another order than that of the store", _DEFECT)
        handed_over += frame.height
        last = frame.tail(1) if frame.height else last
        yield frame
    if handed_over != publication.rows:
        raise ConservationBroken(
            f"{publication.rows} summaries were to be published, but {handed_over} were handed over", _DEFECT
        )


def require_amendable(rows: pl.DataFrame, ranges: Sequence[KeyRange]) -> None:
    """Raise unless `rows` hold each mode, key and merchant once, and only periods of `ranges`.

    :raises ConservationBroken: they do not; nothing was written.
    :raises ValueError: two of `ranges` overlap.
    """
    from core.stores.frames import within

    ascending = sorted(ranges)
    if any(a.mode == b.mode and b.first_key <= a.last_key for a, b in pairwise(ascending)):
        raise ValueError(f"ranges overlap: {ascending}")
    _require_distinct(rows)
    if beyond := rows.filter(~within(ranges)).height:
        raise ConservationBroken(f"{beyond} summaries are of periods that were not to be replaced", _DEFECT)


def require_amended(publication: Publication, rows: int) -> None:
    """Raise unless the `rows` of the whole store after an amendment are as many as `publication` says.

    :raises ConservationBroken: they are not.
    """
    if rows != publication.rows:
        raise ConservationBroken(
            f"the store was to hold {publication.rows} summaries, but would hold {rows}", _MEDDLING
        )


def require_untouched(missed: int) -> None:
    """Raise unless all summaries that were to be changed or removed were still as they had been read.

    :param missed: how many were not.
    :raises ConservationBroken: there are some.
    """
    if missed:
        raise ConservationBroken(f"{missed} summaries were changed by another program meanwhile", _MEDDLING)


def _require_distinct(rows: pl.DataFrame) -> None:
    from core.stores.frames import are_distinct

    if not are_distinct(rows):
        distinct = rows.select("mode", "key", "merchant_id").n_unique()
        raise ConservationBroken(f"{rows.height - distinct} summaries have the period and merchant of another", _DEFECT)


def require_next(publication: Publication, current_generation: int) -> None:
    """Raise unless `publication` comes right after the generation `current_generation` (0: nothing was published yet).

    :raises PublicationLost: it does not.
    """
    if publication.generation != current_generation + 1:
        raise publication_lost(publication, f"generation {current_generation} is published by now")


def publication_lost(publication: Publication, reason: str) -> PublicationLost:
    """The error of a run whose generation cannot be published any more."""
    return PublicationLost(
        f"run {publication.run_id} prepared generation {publication.generation}, but {reason}",
        "Nothing of this run was published. Run the same command again; it starts from what is published now.",
    )
