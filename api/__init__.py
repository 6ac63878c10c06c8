"""The HTTP API, a Falcon ASGI application, and the dashboard. It never reads raw transactions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.middleware.fast_path import App


def get_app() -> App:
    """The application with the settings of the environment, for ``gunicorn 'api:get_app()'``.

    :raises SettingsError: the value of a variable is not allowed.
    """
    from api.app import create_app
    from core.notifications.background_queue import QUEUE_LIMIT, BackgroundQueue
    from core.notifications.broker import make_celery, queue_delivery, queue_length
    from core.settings import read_settings
    from core.stores import open_stores

    settings = read_settings()
    opening = partial(open_stores, settings.store_url, timeout_s=settings.api_store_timeout_s, create=False)
    celery = make_celery(settings)
    queue = BackgroundQueue(partial(queue_delivery, celery), lambda: QUEUE_LIMIT - queue_length(celery))
    return create_app(settings, opening, queue=queue.offer, poll=True)
