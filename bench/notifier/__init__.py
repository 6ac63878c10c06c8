"""The bench of the notifier: messages through Redis and a worker, from request to gateway, and requests only."""

from __future__ import annotations

from typing import Final

NOTHING: Final = "bench.notifier.nothing"
"""The task with which messages are compared, see `bench.notifier.noop`."""
