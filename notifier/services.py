"""The services of one worker process, created by its first task: connections must not cross a fork."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from core.notifications.redis_checks import ClockCheck
from core.settings import Settings
from core.stores import Stores, open_stores, wall_clock_ms
from notifier.announce import Announcer
from notifier.circuit_breaker import CircuitBreaker
from notifier.delivery import Delivery
from notifier.gateway_pauses import RedisBreakerStates
from notifier.observability import WorkerObserver
from notifier.rate_limits import SharedRateLimiter
from notifier.retry_policy import RetryPolicy
from notifier.senders.base import Sender
from notifier.senders.registry import senders_from
from notifier.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Services:
    """The services of the notifier, which share the opened stores."""

    stores: Stores
    senders: Mapping[str, Sender]
    observer: WorkerObserver
    delivery: Delivery
    sweep: Sweep
    announcer: Announcer
    pauses: RedisBreakerStates
    clock: ClockCheck

    def close(self) -> None:
        for sender in self.senders.values():
            with suppress(Exception):  # an error of a plug-in must not prevent closing the others
                sender.close()
        self.pauses.close()
        self.stores.close()


def make_services(
    settings: Settings,
    queue: Callable[[str], None],
    queue_capacity: Callable[[], int],
) -> Services:
    """The services as in `settings`.

    :param queue: queues a notification for delivery; raises `OperationalError` if the broker does not accept it.
    :param queue_capacity: how many more messages the queue may hold.
    :raises SettingsError: a variable of a sender is missing or invalid.
    :raises StoreUnavailable: the store does not answer.
    """
    senders = senders_from(settings)
    # Before the observer, whose metrics are never freed: this fails at each task while the store is away.
    stores = open_stores(settings.store_url, timeout_s=settings.store_timeout_s)
    observer = WorkerObserver(senders, wall_clock_ms)
    pauses = RedisBreakerStates(settings.celery_result_backend.get_secret_value())
    delivery = Delivery(
        stores.notifications,
        stores.contacts,
        senders,
        RetryPolicy.from_settings(settings),
        SharedRateLimiter(settings.rate_limits, settings.celery_result_backend.get_secret_value()),
        CircuitBreaker(settings.notify_send_timeout_s, observer, chance=random.random, shared=pauses),
        observer,
        sender_names=settings.senders,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        clock=wall_clock_ms,
    )
    lease_s = settings.notify_lease_s
    sweep = Sweep(stores.notifications, queue, queue_capacity, again_after_s=lease_s, clock=wall_clock_ms)
    announcer = Announcer.from_settings(settings, stores, wall_clock_ms)
    return Services(
        stores, senders, observer, delivery, sweep, announcer, pauses, ClockCheck(pauses.time, settings.clock_limit_s)
    )
