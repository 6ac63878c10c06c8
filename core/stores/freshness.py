"""The freshness of the publication: the run that last confirmed it, and the instant up to which sources were read.

That instant is the bookmark (the high watermark) of incremental runs: the next refresh reads from there on, see
`jobs.runs.refresh_plan`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from core.calendar.zones import rules_digest_here
from core.stores import Stores
from core.stores.runs import Run, RunStatus
from core.stores.summaries import Fingerprint, Publication

RUNS_READ: Final = 100
"""Number of latest runs to read; if all of them failed, the publication's own fields are used."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """The freshness of a publication by the ledger.

    :param publisher: the run that published it, or None if the ledger does not have it.
    :param confirmed_by: the latest run that published it or found it unchanged; the publisher if unknown.
    :param as_of_ms: instant (milliseconds since 1970 UTC) before which no transaction is missing, by what runs have
        read. It is later than the publication if a run found no changes, and earlier for an old export. The time of
        publication if unknown.
    :param recent: the latest runs, newest first.
    """

    publication: Publication
    publisher: Run | None
    confirmed_by: Run | None
    as_of_ms: int
    recent: tuple[Run, ...]

    @classmethod
    def read(cls, stores: Stores) -> Self | None:
        """The freshness of the current publication, or None if nothing is published.

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
        """Seconds from `as_of_ms` to `now_ms`; at least 0."""
        return max(0, now_ms - self.as_of_ms) / 1000


def complete_until_ms(publication: Publication, runs: Sequence[Run]) -> int | None:
    """The instant before which no transaction is missing in `publication`; None if unknown.

    :param runs: the latest runs of the ledger, newest first. The newest that found `publication` unchanged decides.
    """
    for run in runs:
        if run.status is RunStatus.UNCHANGED and run.incremental and confirms(run, publication):
            return run.as_of_ms
    return publication.complete_until_ms


def confirms(run: Run, publication: Publication) -> bool:
    """Whether `run` published `publication`, or found it unchanged."""
    # By the publication, as the publisher's row in the ledger may not have its generation yet. A run that found another
    # generation unchanged does not confirm this one.
    found_right = run.status is RunStatus.UNCHANGED and run.generation == publication.generation
    return run.id == publication.run_id or found_right


def zone_rules_agree(fingerprint: Fingerprint) -> bool | None:
    """Whether this host has the same time zone rules as the store; None if the store did not record them.

    Takes about 50 ms the first time.
    """
    if fingerprint.zone_rules is None:
        return None
    return fingerprint.zone_rules == rules_digest_here(
        fingerprint.time_zone, fingerprint.calendar, fingerprint.text_zone
    )
