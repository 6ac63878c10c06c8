"""Options for reading a live collection."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.retrying import Backoff


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Concurrency, batch size, time-outs and retries.

    Time-outs, read preference and read concern in the URL take precedence.

    :param cursors: cursors that read at the same time.
    :param batch_documents: documents per answer of the server; an answer is limited to about 16 MiB.
    :param timeout_s: seconds until the server is connected.
    :param answer_timeout_s: seconds for one answer; a scan or sort may take minutes.
    :param backoff: the retry policy for transient failures; each new document of a cursor begins it again.
    :param split_from: smallest number of documents that is split between several cursors.
    """

    cursors: int = 4
    batch_documents: int = 10_000
    timeout_s: float = 30.0
    answer_timeout_s: float = 600.0
    backoff: Backoff = field(default_factory=Backoff)
    split_from: int = 50_000
