"""The HTTP side: summaries over a Falcon ASGI application, and the dashboard. It never reads raw transactions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery import Celery

    from api.middleware.response_cache import App
    from core.settings import Settings


def get_app() -> App:
    """The application that the environment describes, for ``gunicorn 'api:get_app()'``.

    :raises SettingsError: a variable's value is not allowed.
    """
    from api.app import create_app
    from core.notifications.background_queue import BackgroundQueue
    from core.settings import read_settings
    from core.stores import open_stores

    settings = read_settings()
    opening = partial(open_stores, settings.store_url, timeout_s=settings.api_store_timeout_s, create=False)
    queue = BackgroundQueue(*_queueing(settings))
    queue.start()
    return create_app(settings, opening, queue=queue.offer, poll=True)


def _queueing(settings: Settings) -> tuple[Callable[[str], None], Callable[[], int], Callable[[], Celery]]:
    """Queues a notification of the given id, tells the room of the queue, and loads what both need.

    The first two raise what the broker's driver raises.
    """

    @cache
    def celery() -> Celery:
        from core.notifications.broker import make_celery  # takes a third of a second, and no request waits for it

        return make_celery(settings)

    def queue(notification_id: str) -> None:
        from core.notifications.broker import queue_delivery

        queue_delivery(celery(), notification_id)

    def capacity() -> int:
        from core.notifications.background_queue import QUEUE_LIMIT
        from core.notifications.broker import queue_length

        return QUEUE_LIMIT - queue_length(celery())

    return queue, capacity, celery
