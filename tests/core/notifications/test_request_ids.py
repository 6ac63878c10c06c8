"""A queued task carries the id of its request, even when another thread queues it."""

from __future__ import annotations

import queue

from core.event_log import bound_context, current_context
from core.notifications.background_queue import BackgroundQueue

_PATIENCE_S = 60


def test_queued_tasks_carry_the_id_of_their_request() -> None:
    sent: queue.Queue[tuple[str, object]] = queue.Queue()
    background = BackgroundQueue(lambda one: sent.put((one, current_context().get("request_id"))))
    for request_id in ("first", "second"):
        with bound_context(request_id=request_id):
            background.offer(f"of the {request_id}")
    background.offer("of none")
    assert [sent.get(timeout=_PATIENCE_S) for _ in range(3)] == [
        ("of the first", "first"),
        ("of the second", "second"),
        ("of none", None),
    ]
