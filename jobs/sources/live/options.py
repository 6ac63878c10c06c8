"""How a live collection is read."""

from __future__ import annotations

from dataclasses import dataclass

from core.retrying import Backoff


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How much is asked of the server at once, and for how long an answer is waited for.

    Time-outs, read preference and read concern in the URL take precedence over those here.

    :param cursors: how many parts of the collection are read at the same time.
    :param batch_documents: documents in one answer of the server, which never has more than 16 MiB or so.
    :param timeout_s: seconds to wait for a server that can be reached.
    :param answer_timeout_s: seconds to wait for one answer; one that has to search or sort may take minutes.
    :param retries: how many failures in a row, without a new document in between, a cursor is given.
    :param backoff_s: seconds before the first of these; see `core.retrying.Backoff`, also for `backoff_max_s`.
    :param split_from: documents from which on several cursors are worth the search for where they begin.
    """

    cursors: int = 4
    batch_documents: int = 10_000
    timeout_s: float = 30.0
    answer_timeout_s: float = 600.0
    retries: int = 8
    backoff_s: float = 0.5
    backoff_max_s: float = 15.0
    split_from: int = 50_000

    @property
    def backoff(self) -> Backoff:
        """How failures in passing are retried."""
        return Backoff(self.retries, self.backoff_s, self.backoff_max_s)
