"""``announce`` and ``sweep``: the scheduled tasks of beat, once."""

from __future__ import annotations

import typer

from core.command_line import counted, edge, print_json, settings_and_store
from core.notifications.background_queue import QUEUE_LIMIT
from core.stores import wall_clock_ms
from notifier.announce import Announcer
from notifier.commands.queue import Queue
from notifier.sweep import Sweep


def announce(store_url: str | None, as_json: bool) -> None:
    """Create the notifications of periods that have ended."""
    with edge(as_json):
        settings, stores = settings_and_store(store_url, create=False)
        with stores:
            announcer = Announcer.from_settings(settings, stores, wall_clock_ms)
            made = sum(iter(announcer.run, 0))
        if as_json:
            print_json({"made": made})
        else:
            typer.echo(f"Created {counted(made, 'notification')}{'; the sweep will queue them' if made else ''}.")


def sweep(store_url: str | None, as_json: bool) -> None:
    """Queue the notifications that are due."""
    with edge(as_json):
        settings, stores = settings_and_store(store_url, create=False)
        queue = Queue(settings)
        with stores:
            queued = Sweep(
                stores.notifications,
                queue.put,
                lambda: QUEUE_LIMIT - queue.length(),
                again_after_s=settings.notify_lease_s,
                clock=wall_clock_ms,
            ).run()
        if as_json:
            print_json({"queued": queued})
        else:
            typer.echo(f"Queued {counted(queued, 'notification')}.")
