"""Options for reading remote objects."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.retrying import Backoff


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """Time-outs and retries of object storages.

    :param timeout_s: seconds until the connection, and until the next bytes.
    :param backoff: the retry policy for transient failures.
    """

    timeout_s: float = 30.0
    backoff: Backoff = field(default_factory=Backoff)
