"""The HTTP API, a Falcon ASGI application, and the dashboard. It never reads raw transactions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery import Celery

    from api.middleware.fast_path import App
    from core.settings import Settings


def get_app() -> App:
    """The application with the settings of the environment, for ``gunicorn 'api:get_app()'``.

    :raises SettingsError: the value of a variable is not allowed.
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
    """Three functions: queue a notification, read the free capacity of the queue, and import what both need.

    The first two raise errors of the broker's driver.
    """

    @cache
    def celery() -> Celery:
        from core.notifications.broker import make_celery  # which gunicorn's master has imported

        return make_celery(settings)

    def queue(notification_id: str) -> None:
        from core.notifications.broker import queue_delivery

        queue_delivery(celery(), notification_id)

    def capacity() -> int:
        from core.notifications.background_queue import QUEUE_LIMIT
        from core.notifications.broker import queue_length

        return QUEUE_LIMIT - queue_length(celery())

    return queue, capacity, celery
