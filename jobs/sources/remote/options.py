"""How remote objects are read."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.retrying import Backoff


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """How long an object storage is waited for.

    :param timeout_s: seconds until it is connected, and until the next bytes arrive.
    :param backoff: how failures in passing are retried.
    """

    timeout_s: float = 30.0
    backoff: Backoff = field(default_factory=Backoff)
