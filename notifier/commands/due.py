"""``announce`` and ``sweep``: the scheduled tasks of beat, once."""

from __future__ import annotations

from core.command_line import counted, edge, opened, print_result
from core.notifications.background_queue import QUEUE_LIMIT
from core.stores import wall_clock_ms
from notifier.announce import Announcer
from notifier.commands.queue import Queue
from notifier.sweep import Sweep


def announce(store_url: str | None, as_json: bool) -> None:
    """Create the notifications of periods that have ended."""
    with edge(as_json), opened(store_url) as (settings, stores):
        made = sum(iter(Announcer.from_settings(settings, stores, wall_clock_ms).run, 0))
        queued_later = "; the sweep will queue them" if made else ""
        print_result(as_json, {"made": made}, f"Created {counted(made, 'notification')}{queued_later}.")


def sweep(store_url: str | None, as_json: bool) -> None:
    """Queue the notifications that are due."""
    with edge(as_json), opened(store_url) as (settings, stores):
        queue = Queue(settings)
        queued = Sweep(
            stores.notifications,
            queue.put,
            lambda: QUEUE_LIMIT - queue.length(),
            again_after_s=settings.notify_lease_s,
            clock=wall_clock_ms,
        ).run()
        print_result(as_json, {"queued": queued}, f"Queued {counted(queued, 'notification')}.")
