"""The bench of the notifier: messages through Redis and a worker, from request to gateway, and requests alone."""

from __future__ import annotations

from typing import Final

NOTHING: Final = "bench.notifier.nothing"
"""The task that messages are measured beside, see `bench.notifier.noop`."""
