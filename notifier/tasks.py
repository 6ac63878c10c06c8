"""The tasks of the workers, and the start and end of a worker."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import signals
from celery.worker.control import inspect_command
from kombu.exceptions import OperationalError

from core import metric_files
from core.celery import app
from core.errors import ServiceError, StoreBusy, StoreUnavailable, StoreUnwritable
from core.event_log import bound_context, log_event, take_over_logging
from core.notifications.background_queue import QUEUE_LIMIT
from core.notifications.broker import ANNOUNCE, REQUEST_ID, SEND, SWEEP, queue_delivery, queue_length
from core.notifications.heartbeat_file import touch_heartbeat_file
from core.notifications.redis_checks import check_at_start
from core.settings import read_settings
from notifier.rate_limits import SharedRateLimiter
from notifier.redelivery_guard import RedisRedeliveryCounter
from notifier.senders.registry import senders_from
from notifier.worker_settings import COMMAND, answer

if TYPE_CHECKING:
    from notifier.services import Services

_lock = threading.Lock()
_made: list[Services] = []


def _task(name: str, **options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Celery's decorator for tasks, with types."""
    made: Callable[[Callable[..., None]], Callable[..., None]] = app.task(name=name, **options)
    return made


@_task(SEND, bind=True)
def send_notification_task(task: Any, notification_id: str, swept: bool = False) -> None:
    """Send the due messages of the notification, each channel separately.

    :param swept: see `core.notifications.broker.queue_delivery`.
    """
    again = swept or (task.request.delivery_info or {}).get("redelivered")
    known = bound_context(notification_id=notification_id, request_id=task.request.get(REQUEST_ID))
    with known, _services(SEND) as services:
        services.clock.require()
        services.delivery.deliver(notification_id, RedisRedeliveryCounter(app, task.request.id) if again else None)


@_task(SWEEP)
def sweep_task() -> None:
    """Queue the notifications that are due."""
    with _services(SWEEP) as services:
        services.clock.require()
        queued = services.sweep.run()
        if queued:
            log_event("swept", queued=queued)
        services.observer.read_backlog(services.stores.notifications, lambda: queue_length(app), services.pauses.paused)


@_task(ANNOUNCE)
def announce_task() -> None:
    """Announce the periods that have ended to subscribers."""
    with _services(ANNOUNCE) as services:
        services.clock.require()
        made = services.announcer.run()
        if made:
            log_event("announced", notifications=made)


@inspect_command(name=COMMAND, args=[("salt", str)])  # type: ignore[untyped-decorator]
def _sender_settings(state: Any, salt: str) -> dict[str, Any]:
    """The response of this worker to `notifier.worker_settings.ask`."""
    return answer(state.app, read_settings(), salt)


@contextmanager
def _services(task: str) -> Iterator[Services]:
    """The services of this process; errors are logged, and the next sweep tries again."""
    # Imported after the start: prometheus_client looks for the folder of its files when it is imported.
    from notifier.services import make_services

    try:
        with _lock:
            if not _made:
                queue = partial(queue_delivery, app, swept=True)
                _made.append(make_services(read_settings(), queue, lambda: QUEUE_LIMIT - queue_length(app)))
        yield _made[0]
    except ServiceError as error:
        if isinstance(error, StoreUnavailable) and not isinstance(error, (StoreBusy, StoreUnwritable)):
            _close()  # the next task opens the store again: it may have been replaced
        log_event("task-failed", "error", task=task, error=error.sentence, hint=error.hint)
    except OperationalError as error:
        # Without its text, which may have the URL and so a password.
        name = type(error.__cause__ or error).__name__
        log_event("task-failed", "error", task=task, error=f"the broker does not answer ({name})")


def _take_over_logging(loglevel: int | str, **_: Any) -> None:
    take_over_logging(loglevel)


def _begin(**_: Any) -> None:
    """Check senders, rate limits and Redis, and end the worker with a message if one is wrong; start its metrics."""
    try:
        settings = read_settings()
        for sender in senders_from(settings).values():
            sender.close()
        SharedRateLimiter(settings.rate_limits, settings.celery_result_backend.get_secret_value())
        check_at_start(app)
    except ServiceError as error:
        raise SystemExit(f"{error.sentence}. {error.hint}") from None
    printing = [channel for channel, name in settings.senders.items() if name == "print"]
    if printing and settings.notify_print_warning:
        reason = "the sender print only logs: nobody receives these messages; NOTIFY_SENDERS chooses other senders"
        log_event("print-senders", "warning", channels=", ".join(printing), reason=reason)
    if settings.notify_metrics_port:
        metric_files.begin()
    importlib.import_module("notifier.services")  # once, and not in each process at its first message


def _begin_beat(**_: Any) -> None:
    """Check Redis, and end beat with a message if its password or clock is wrong."""
    try:
        check_at_start(app)
    except ServiceError as error:
        raise SystemExit(f"{error.sentence}. {error.hint}") from None


def _serve_metrics(**_: Any) -> None:
    settings = read_settings()
    if port := settings.notify_metrics_port:
        from notifier.observability import serve  # after metric_files.begin has made the folder

        try:
            serve(settings.notify_metrics_host, port)
        except OSError as error:  # messages are sent all the same
            log_event("metrics-not-served", "error", port=port, error=error.strerror)


def _touch_heartbeat(**_: Any) -> None:
    touch_heartbeat_file(app)


def _end(**_: Any) -> None:
    metric_files.end()


def _close(**_: Any) -> None:
    with _lock, suppress(Exception):
        while _made:
            _made.pop().close()


signals.setup_logging.connect(_take_over_logging)
signals.celeryd_init.connect(_begin)
signals.beat_init.connect(_begin_beat)
signals.worker_ready.connect(_serve_metrics)
signals.heartbeat_sent.connect(_touch_heartbeat)  # every two seconds while it takes messages
signals.worker_shutdown.connect(_end)
signals.worker_process_shutdown.connect(_close)
