"""The Celery application, and the names of its tasks. A comment gives the reason for each setting.

Tasks are named, not imported, so that queueing a task does not import the packages that run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from core.event_log import current_context
from core.settings import Settings

SEND: Final = "notifier.tasks.send_notification_task"
SWEEP: Final = "notifier.tasks.sweep_task"
ANNOUNCE: Final = "notifier.tasks.announce_task"
REFRESH: Final = "jobs.tasks.refresh_task"

DELIVERIES: Final = "notifications"
UPKEEP: Final = "upkeep"
"""The queue of the sweep and other maintenance: workers empty it first, so that no backlog of deliveries blocks it."""

REQUEST_ID: Final = "request_id"
"""The header of a message with the id of the request that queued it."""

JOBS: Final = "jobs"
"""The queue of refreshes, which occupy a worker process for a long time."""

_ANNOUNCE_EVERY_S: Final = 60.0
_EXPIRES_S: Final = 60.0
_CONNECT_TIMEOUT_S: Final = 2.0
_SOCKET_TIMEOUT_S: Final = 5.0
_SOFT_SHARE, _HARD_SHARE = 0.75, 0.9  # of the lease: a task has ended before its lease does


def make_celery(settings: Settings) -> Celery:
    """The application with the Redis databases of `settings`; it does not connect yet."""
    app = Celery("notifier", include=["notifier.tasks", "jobs.tasks"])
    app.conf.update(
        broker_url=settings.celery_broker_url.get_secret_value(),
        result_backend=settings.celery_result_backend.get_secret_value(),
        # Only JSON is read: a pickle could run any code.
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        enable_utc=True,
        timezone="UTC",
        # In this order: see queue_order_strategy.
        task_queues={name: {"exchange": name, "routing_key": name} for name in (UPKEEP, JOBS, DELIVERIES)},
        task_default_queue=DELIVERIES,
        task_routes={SWEEP: {"queue": UPKEEP}, ANNOUNCE: {"queue": UPKEEP}, REFRESH: {"queue": JOBS}},
        # A message is acknowledged when its task has ended; if its worker dies before that, it is redelivered.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # A task that raises is not repeated: the sweep queues what is still due.
        task_acks_on_failure_or_timeout=True,
        # No worker reserves messages that another could send.
        worker_prefetch_multiplier=1,
        # Outcomes are in the store; nothing reads results.
        task_ignore_result=True,
        # The soft limit interrupts a gateway that hangs; the hard limit ends the process.
        task_soft_time_limit=settings.notify_lease_s * _SOFT_SHARE,
        task_time_limit=settings.notify_lease_s * _HARD_SHARE,
        broker_transport_options={
            # Round robin would run one sweep for each delivery: with slow deliveries beat would queue more sweeps than
            # run, each would have expired when its turn comes, and no sweep would run any more.
            "queue_order_strategy": "priority",
            # Longer than the longest task, or Redis would redeliver its message while it runs.
            "visibility_timeout": settings.notify_lease_s,
            # Look for messages of dead workers every second, and not every hundredth second.
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            # A Redis that accepts a connection and does not answer must not block its client.
            "socket_timeout": _SOCKET_TIMEOUT_S,
            "socket_connect_timeout": _CONNECT_TIMEOUT_S,
            "socket_keepalive": True,
            "health_check_interval": 10,
            # Queueing fails at once while Redis is unavailable; by default it would be retried for ever.
            "max_retries": 1,
            "interval_start": 0,
        },
        broker_connection_timeout=_CONNECT_TIMEOUT_S,
        redis_socket_timeout=_SOCKET_TIMEOUT_S,
        redis_socket_connect_timeout=_CONNECT_TIMEOUT_S,
        # Workers may start before Redis, and continue when it stops.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Workers wait for a Redis that refuses writes (a replica, a full disk) as for one that is unavailable, and
        # replace a child that dies while it starts. See `core.notifications.resilience`.
        broker_channel_error_retry=True,
        worker_consumer="core.notifications.resilience:ResilientConsumer",
        worker_pool="core.notifications.resilience:ResilientPool",
        # Losing Redis does not interrupt an SMS that is being sent; redelivery of its message does no harm.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Log lines are JSON objects, which `core.event_log` writes.
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        beat_schedule={
            "sweep": {
                "task": SWEEP,
                "schedule": settings.notify_sweep_s,
                # A sweep that waited for a worker this long is useless. The expiry is an instant by the clock of
                # beat's host, and the worker's clock may be ahead.
                "options": {"expires": max(_EXPIRES_S, 12 * settings.notify_sweep_s), "ignore_result": True},
            },
            "announce": {
                "task": ANNOUNCE,
                "schedule": _ANNOUNCE_EVERY_S,
                "options": {"expires": 12 * _ANNOUNCE_EVERY_S, "ignore_result": True},
            },
            **_refreshes(settings.refresh_every_s),
        },
        # The schedule is in the lines above: a file with the times of the last runs is not needed.
        beat_scheduler="core.notifications.heartbeat_file:HeartbeatScheduler",
        notify_pulse_file=settings.notify_pulse_file,
        notify_clock_limit_s=settings.clock_limit_s,
    )
    return app


def _refreshes(every_s: float) -> dict[str, dict[str, Any]]:
    """The entry of beat's schedule for refreshes; none without a schedule."""
    if not every_s:
        return {}
    # A refresh that waits for the one before is useless once the next is due.
    options = {"expires": max(every_s, _EXPIRES_S), "ignore_result": True}
    return {"refresh": {"task": REFRESH, "schedule": every_s, "options": options}}


def queue_delivery(app: Celery, notification_id: str, *, swept: bool = False) -> None:
    """Queue a notification for delivery; the message has the id of the current request, if any (`core.event_log`).

    :param swept: whether the sweep queues it: it may have been queued before.
    :raises kombu.exceptions.OperationalError: the broker does not accept it.
    """
    arguments = (notification_id, True) if swept else (notification_id,)
    headers = {name: value for name, value in current_context().items() if name == REQUEST_ID}
    # Without ignore_result Celery would first subscribe to the result backend.
    with _one_error():
        app.send_task(SEND, args=arguments, headers=headers, retry=False, ignore_result=True)


def queue_length(app: Celery) -> int:
    """The number of notifications in the queue.

    :raises kombu.exceptions.OperationalError: the broker does not answer.
    """
    return query_redis(app, lambda client: int(client.llen(DELIVERIES)))


def query_redis(app: Celery, question: Callable[[Any], int]) -> int:
    """The result of `question`, which gets a client of the broker's Redis.

    :raises kombu.exceptions.OperationalError: Redis does not answer.
    """
    with app.connection_or_acquire() as connection, _one_error():  # reuses a connection of queueing, if there is one
        return question(connection.default_channel.client)


@contextmanager
def _one_error() -> Iterator[None]:
    try:
        yield
    except RedisError as error:  # kombu translates only errors while it connects
        raise OperationalError(str(error)) from error
