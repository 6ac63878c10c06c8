"""Checks of a publication for all backends, and the names of tables or collections of generations."""

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
"""The table or view of the published summaries."""

BY_MERCHANT: Final = "summary_by_merchant"
"""The view for external readers without the overall summaries."""

TAKEN_OVER: Final = "a later run has taken over"
"""The reason why a closed run cannot publish."""

_DEFECT: Final = "Nothing was published. This is a defect of the program: please report it with the command used."
_FOREIGN_WRITES: Final = (
    "Nothing was published. If another program wrote to the summaries, stop it, then run the command again."
)
_GENERATION_NAME: Final = re.compile(rf"{SUMMARIES}_(\d{{6,}})_run_(\d{{6,}})")


def generation_name(generation: int, run_id: int) -> str:
    """The table or collection of run `run_id` for `generation`.

    It has both numbers, so that two runs that prepare the same generation never write to the same table.

    >>> generation_name(42, 7)
    'summary_transaction_000042_run_000007'
    """
    return f"{SUMMARIES}_{generation:06d}_run_{run_id:06d}"


def parse_generation_name(name: str) -> tuple[int, int] | None:
    """The (generation, run id) of a name of `generation_name`, or None for another name.

    >>> parse_generation_name("summary_transaction_000042_run_000007")
    (42, 7)
    """
    found = _GENERATION_NAME.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def publishable(publication: Publication, rows: pl.DataFrame | Frames) -> Iterator[pl.DataFrame]:
    """`rows` in the order of `core.stores.frames.Frames`, validated during iteration.

    :raises ConservationBroken: they are not unique by mode, key and merchant; or, at the end, their number differs from
        ``publication.rows``.
    """
    import polars as pl

    from core.stores.frames import follows, ordered

    found, last = 0, None
    for frame in [rows] if isinstance(rows, pl.DataFrame) else rows:
        if not follows(frame.clear() if last is None else last, frame):
            if frame is not rows:
                raise ConservationBroken("the summaries are not in the order of the store", _DEFECT)
            _require_distinct(frame)
            frame = ordered(frame)
        found += frame.height
        last = frame.tail(1) if frame.height else last
        yield frame
    if found != publication.rows:
        raise ConservationBroken(f"the publication should have {publication.rows} summaries, but has {found}", _DEFECT)


def require_amendable(rows: pl.DataFrame, ranges: Sequence[KeyRange]) -> None:
    """Raise unless `rows` are unique by mode, key and merchant, and only of periods in `ranges`.

    :raises ConservationBroken: they are not; nothing was written.
    :raises ValueError: two of `ranges` overlap.
    """
    from core.stores.frames import within

    ascending = sorted(ranges)
    if any(a.mode == b.mode and b.first_key <= a.last_key for a, b in pairwise(ascending)):
        raise ValueError(f"ranges overlap: {ascending}")
    _require_distinct(rows)
    if beyond := rows.filter(~within(ranges)).height:
        raise ConservationBroken(f"{beyond} summaries belong to periods that must not be replaced", _DEFECT)


def require_amended(publication: Publication, rows: int) -> None:
    """Raise unless the number of `rows` of the store after an amendment equals ``publication.rows``.

    :raises ConservationBroken: it differs.
    """
    if rows != publication.rows:
        raise ConservationBroken(
            f"the store should have {publication.rows} summaries, but would have {rows}", _FOREIGN_WRITES
        )


def require_untouched(missed: int) -> None:
    """Raise if summaries to change or remove differ from those that were read.

    :param missed: the number of differing ones.
    :raises ConservationBroken: it is not 0.
    """
    if missed:
        raise ConservationBroken(f"{missed} summaries were changed by another program during the run", _FOREIGN_WRITES)


def _require_distinct(rows: pl.DataFrame) -> None:
    from core.stores.frames import are_distinct

    if not are_distinct(rows):
        distinct = rows.select("mode", "key", "merchant_id").n_unique()
        raise ConservationBroken(f"{rows.height - distinct} summaries are duplicates of a period and merchant", _DEFECT)


def require_next(publication: Publication, current_generation: int) -> None:
    """Raise unless `publication` directly follows the generation `current_generation` (0: nothing is published).

    :raises PublicationLost: it does not.
    """
    if publication.generation != current_generation + 1:
        raise publication_lost(publication, f"generation {current_generation} has been published")


def publication_lost(publication: Publication, reason: str) -> PublicationLost:
    """The error of a run whose generation another run has published."""
    return PublicationLost(
        f"run {publication.run_id} prepared generation {publication.generation}, but {reason}",
        "Nothing of this run was published. Run the same command again; it starts from the current publication.",
    )
