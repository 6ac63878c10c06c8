"""The Celery application, and the names of its tasks. Every setting has its reason beside it.

Tasks are named, not imported, so that queueing one needs none of the packages that run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from core.event_log import what_about
from core.settings import Settings

SEND: Final = "notifier.tasks.send_notification_task"
SWEEP: Final = "notifier.tasks.sweep_task"
ANNOUNCE: Final = "notifier.tasks.announce_task"
REFRESH: Final = "jobs.tasks.refresh_task"

DELIVERIES: Final = "notifications"
UPKEEP: Final = "upkeep"
"""The queue of the sweep and the like: a worker empties it first, so that no backlog of deliveries stops them."""

REQUEST_ID: Final = "request_id"
"""The header of a message that tells which request it was queued by."""

JOBS: Final = "jobs"
"""The queue of refreshes, which occupy a process of a worker for long."""

_ANNOUNCE_EVERY_S: Final = 60.0
_EXPIRES_S: Final = 60.0
_CONNECT_TIMEOUT_S: Final = 2.0
_SOCKET_TIMEOUT_S: Final = 5.0
_SOFT_SHARE, _HARD_SHARE = 0.75, 0.9  # of the lease: who holds one is dead before it runs out


def make_celery(settings: Settings) -> Celery:
    """The application over the Redis databases that `settings` name; connects to nothing yet."""
    app = Celery("notifier", include=["notifier.tasks", "jobs.tasks"])
    app.conf.update(
        broker_url=settings.celery_broker_url.get_secret_value(),
        result_backend=settings.celery_result_backend.get_secret_value(),
        # Nothing but JSON is read: a pickle would run whatever it says.
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        enable_utc=True,
        timezone="UTC",
        # In this order: see queue_order_strategy.
        task_queues={name: {"exchange": name, "routing_key": name} for name in (UPKEEP, JOBS, DELIVERIES)},
        task_default_queue=DELIVERIES,
        task_routes={SWEEP: {"queue": UPKEEP}, ANNOUNCE: {"queue": UPKEEP}, REFRESH: {"queue": JOBS}},
        # A message is gone only when its task has ended; one that was running when its worker died comes back.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # A task is never run again because it raised: the sweep queues what is still due.
        task_acks_on_failure_or_timeout=True,
        # No worker reserves what another could be sending.
        worker_prefetch_multiplier=1,
        # The store tells what came of it; nobody reads results.
        task_ignore_result=True,
        # A gateway that hangs is ended in the task; what hangs deeper is ended with its process.
        task_soft_time_limit=settings.notify_lease_s * _SOFT_SHARE,
        task_time_limit=settings.notify_lease_s * _HARD_SHARE,
        broker_transport_options={
            # Taken in turns it would be one sweep a delivery: while those are slow beat adds more than are taken, the
            # head has always expired when it is its turn, and nothing is swept any more.
            "queue_order_strategy": "priority",
            # Longer than the longest task, or it would be given to a second worker while the first is at it.
            "visibility_timeout": settings.notify_lease_s,
            # Look each second for messages of dead workers; by default it is every hundred.
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            # A Redis that accepts a connection and stays silent must not block its client.
            "socket_timeout": _SOCKET_TIMEOUT_S,
            "socket_connect_timeout": _CONNECT_TIMEOUT_S,
            "socket_keepalive": True,
            "health_check_interval": 10,
            # Queueing fails at once while Redis is away; by default it would be retried for ever.
            "max_retries": 1,
            "interval_start": 0,
        },
        broker_connection_timeout=_CONNECT_TIMEOUT_S,
        redis_socket_timeout=_SOCKET_TIMEOUT_S,
        redis_socket_connect_timeout=_CONNECT_TIMEOUT_S,
        # Workers may be started before Redis, and outlive it.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A Redis that answers and refuses, such as a replica or one whose disk is full, is waited for like one that is
        # away; and a child that dies at its birth is replaced. See `core.notifications.resilience`.
        broker_channel_error_retry=True,
        worker_consumer="core.notifications.resilience:ResilientConsumer",
        worker_pool="core.notifications.resilience:ResilientPool",
        # An SMS that is being sent is not cut off because Redis has gone; its message coming back does no harm.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Log lines are ours, one JSON object each, and written by ourselves.
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        beat_schedule={
            "sweep": {
                "task": SWEEP,
                "schedule": settings.notify_sweep_s,
                # Of those that waited for a worker most are of no use any more. It is an instant by the clock of beat's
                # host, and the worker's may be ahead of that.
                "options": {"expires": max(_EXPIRES_S, 12 * settings.notify_sweep_s), "ignore_result": True},
            },
            "announce": {
                "task": ANNOUNCE,
                "schedule": _ANNOUNCE_EVERY_S,
                "options": {"expires": 12 * _ANNOUNCE_EVERY_S, "ignore_result": True},
            },
            **_refreshes(settings.refresh_every_s),
        },
        # The schedule is all in the lines above; a file of when it last ran would only be one more thing to lose.
        beat_scheduler="core.notifications.heartbeat_file:HeartbeatScheduler",
        notify_pulse_file=settings.notify_pulse_file,
        notify_clock_limit_s=settings.clock_limit_s,
    )
    return app


def _refreshes(every_s: float) -> dict[str, dict[str, Any]]:
    """The entry of beat's schedule for refreshes, if there are to be any."""
    if not every_s:
        return {}
    # One that waits while the last is under way is of no use once the next is due: it would find the same.
    options = {"expires": max(every_s, _EXPIRES_S), "ignore_result": True}
    return {"refresh": {"task": REFRESH, "schedule": every_s, "options": options}}


def queue_delivery(app: Celery, notification_id: str, *, swept: bool = False) -> None:
    """Queue a notification for delivery; the message tells the request under way (`core.event_log.about`), if any.

    :param swept: whether it is due although it may have been queued before.
    :raises kombu.exceptions.OperationalError: the broker does not take it.
    """
    arguments = (notification_id, True) if swept else (notification_id,)
    headers = {name: value for name, value in what_about().items() if name == REQUEST_ID}
    # By default it would first subscribe to the database of results for this task.
    with _one_error():
        app.send_task(SEND, args=arguments, headers=headers, retry=False, ignore_result=True)


def queue_length(app: Celery) -> int:
    """How many notifications wait in the queue.

    :raises kombu.exceptions.OperationalError: the broker does not answer.
    """
    return query_redis(app, lambda client: int(client.llen(DELIVERIES)))


def query_redis(app: Celery, question: Callable[[Any], int]) -> int:
    """What the Redis of the broker answers to `question`, which is asked of its client.

    :raises kombu.exceptions.OperationalError: it does not answer.
    """
    with app.connection_or_acquire() as connection, _one_error():  # one that queueing has used before, if there is one
        return question(connection.default_channel.client)


@contextmanager
def _one_error() -> Iterator[None]:
    try:
        yield
    except RedisError as error:  # kombu translates only what happens while it connects
        raise OperationalError(str(error)) from error
