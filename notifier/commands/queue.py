"""The queue for commands, with one error if it does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import ServiceError
from core.notifications.broker import make_celery, queue_delivery, queue_length
from core.settings import Settings
from notifier.worker_settings import WorkerSettings, ask


class Queue:
    """The queue of `settings`; connects at the first call.

    Each method raises `ServiceError` if the broker does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._celery = make_celery(settings)

    def put(self, notification_id: str) -> None:
        """Queue a notification that is due."""
        with _explained():
            queue_delivery(self._celery, notification_id, swept=True)

    def length(self) -> int:
        """The number of notifications in the queue."""
        with _explained():
            return queue_length(self._celery)

    def workers(self) -> list[WorkerSettings]:
        """The workers that consume deliveries, with the settings that differ from this process."""
        with _explained():
            return ask(self._celery, self._settings)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # any error of the driver; without its text, which may have the URL and so a password
        raise ServiceError(
            f"the queue does not answer ({type(error).__name__})",
            "Start Redis, or correct CELERY_BROKER_URL. Nothing is lost: messages wait in the store.",
        ) from error
