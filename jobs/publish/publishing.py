"""The moment of publication, as every run that publishes goes through it."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import Interrupted
from core.stores.summaries import Publication, SummaryStore


def publish_unless_interrupted(
    summaries: SummaryStore, publication: Publication, publish: Callable[[], None], phase: Callable[[str], None]
) -> None:
    """Publish, whatever signals come.

    :param publish: makes `publication`.
    :param phase: is told ``publishing`` and ``published``; what it raises before that stops the run.
    :raises Interrupted: nothing was published.
    """
    phase("publishing")
    try:
        publish()
        phase("published")
    except Interrupted:
        # The signal may have come when the publication was made already; the store knows.
        if summaries.published() != publication:
            raise
