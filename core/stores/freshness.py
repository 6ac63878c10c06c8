"""How what is published stands: which run last found it right, and up to which instant its sources were known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from core.calendar.zones import rules_digest_here
from core.stores import Stores
from core.stores.runs import Run, RunStatus
from core.stores.summaries import Fingerprint, Publication

RUNS_READ: Final = 100
"""How many of the latest runs are asked; where all of these failed the publication itself tells."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """What the ledger says of a publication.

    :param publisher: the run that made it, or None when the ledger does not know it.
    :param confirmed_by: the latest run that published it or found it unchanged; the publisher where none is known.
    :param as_of_ms: before that instant (milliseconds since 1970 UTC) no transaction is missing in it, as far as runs
        have looked. That is not when it was published: a run may find that nothing has changed, and one over an export
        is as old as that. Where nobody knows, the time of the publication.
    :param recent: the latest runs, newest first.
    """

    publication: Publication
    publisher: Run | None
    confirmed_by: Run | None
    as_of_ms: int
    recent: tuple[Run, ...]

    @classmethod
    def read(cls, stores: Stores) -> Self | None:
        """How what is published now stands, or None when nothing is.

        :raises StoreUnavailable: the store does not answer.
        """
        publication = stores.summaries.published()
        if publication is None:
            return None
        recent = tuple(stores.runs.recent(RUNS_READ))
        publisher = next((run for run in recent if run.id == publication.run_id), None)
        confirmed_by = next((run for run in recent if confirms(run, publication)), None)
        if publisher is None and confirmed_by is None:
            publisher = stores.runs.get(publication.run_id)
        known_ms = complete_until_ms(publication, recent)
        return cls(
            publication,
            publisher,
            confirmed_by or publisher,
            publication.published_at_ms if known_ms is None else known_ms,
            recent,
        )

    def age_s(self, now_ms: int) -> float:
        """Seconds from `as_of_ms` to `now_ms`; 0 for a clock that is behind."""
        return max(0, now_ms - self.as_of_ms) / 1000


def complete_until_ms(publication: Publication, runs: Sequence[Run]) -> int | None:
    """The instant before which no transaction is missing in `publication`, as far as is known; None: not at all.

    :param runs: the latest of the ledger, newest first. The newest that found `publication` unchanged has looked later.
    """
    for run in runs:
        if run.status is RunStatus.UNCHANGED and run.incremental and confirms(run, publication):
            return run.as_of_ms
    return publication.complete_until_ms


def confirms(run: Run, publication: Publication) -> bool:
    """Whether `run` published `publication`, or has found it right."""
    # The ledger may not say yet that a run has published; the publication does. A run that found an earlier one right
    # knew nothing of this, which a run may have made that was thought dead.
    found_right = run.status is RunStatus.UNCHANGED and run.generation == publication.generation
    return run.id == publication.run_id or found_right


def zone_rules_agree(fingerprint: Fingerprint) -> bool | None:
    """Whether this host has the rules of the time zone that a store was counted with; None: the store does not know.

    Takes some 50 ms the first time.
    """
    if fingerprint.zone_rules is None:
        return None
    return fingerprint.zone_rules == rules_digest_here(
        fingerprint.time_zone, fingerprint.calendar, fingerprint.text_zone
    )
