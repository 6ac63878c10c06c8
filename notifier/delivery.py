"""Delivery of one notification: due messages are sent once, and their outcomes recorded.

A worker claims a log when it appends an attempt (`core.notifications.events`). If it then dies, the attempt has no
outcome. When its lease has ended, the next worker repeats the attempt if the gateway recognises repetitions, or else
looks up the status if the gateway has one. Otherwise the log is ``unknown``, and is not sent again without a retry.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from core.instants import Clock
from core.notifications.events import EventKind, LogStatus
from core.stores.contacts import ContactStore
from core.stores.notifications import Log, NotificationStore, StoredNotification
from notifier.attempts import Attempts, given_up
from notifier.circuit_breaker import CircuitBreaker
from notifier.event_recorder import DeliveryObserver, OpenLog, Outcome, Recorder
from notifier.redelivery_guard import RedeliveryCounter, guarded
from notifier.retry_policy import RetryPolicy
from notifier.senders.base import Message, Sender

_SET_ASIDE_MS: Final = 86_400_000
_LEAST_DELIVERIES: Final = 3  # a process may be killed for other reasons
_NEVER_ENDS: Final = "given up: each attempt to deliver it crashed or failed unexpectedly"


class RateLimiter(Protocol):
    """The rate limit of each channel, for all workers together."""

    def wait_s(self, channel: str) -> float:
        """0 if a message may be sent now, which is then counted; else the seconds until one may."""


class Delivery:
    """Delivers notifications of `store` over `senders`, by channel.

    :param breaker: pauses gateways that do not answer, or refuse every message.
    :param sender_names: the names of the senders in ``NOTIFY_SENDERS``, by channel: stored with each attempt.
    :param worker: the name of this process in attempts, such as ``host:1234``.
    :param clock: milliseconds since 1970 UTC.
    :param chance: returns numbers from 0 to 1.
    :param sleep: waits for so many seconds, while the store fails.
    """

    def __init__(
        self,
        store: NotificationStore,
        contacts: ContactStore,
        senders: Mapping[str, Sender],
        retry_policy: RetryPolicy,
        rate_limiter: RateLimiter,
        breaker: CircuitBreaker,
        observer: DeliveryObserver,
        *,
        sender_names: Mapping[str, str],
        worker: str,
        clock: Clock,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._store = store
        self._contacts = contacts
        self._senders = senders
        self._sender_names = sender_names
        self._retry_policy = retry_policy
        self._rate_limiter = rate_limiter
        self._breaker = breaker
        self._recorder = Recorder(store, observer, worker=worker, clock=clock, sleep=sleep)
        self._attempts = Attempts(retry_policy, breaker, clock, chance)
        self._clock = clock
        self._chance = chance

    def deliver(self, notification_id: str, redeliveries: RedeliveryCounter | None = None) -> None:
        """Send the due messages of the notification, each channel separately.

        :param redeliveries: counts deliveries that crashed; None for a first delivery. A log with as many crashes as
            the most attempts allowed (at least three) is given up; a notification that cannot even be read is postponed
            for a day.
        :raises StoreUnavailable: the store does not answer; the messages remain due.
        """
        most_deliveries = max(self._retry_policy.max_attempts, _LEAST_DELIVERIES)
        with guarded(redeliveries, notification_id) as times:
            if times > most_deliveries:
                # All that is due before then: the sweep that queued it has postponed it already.
                until_ms = self._clock() + _SET_ASIDE_MS
                self._store.postpone([notification_id], until_ms, until_ms)
                return
            found = self._due(notification_id)
        if found is None:
            return
        stored, due, now_ms = found
        postponed: dict[str, int] = {}
        failure: Exception | None = None
        for log in due:
            open_log = OpenLog(stored.notification, log.channel, log.state)
            again_at_ms = None
            try:
                with guarded(redeliveries, stored.notification.log_id(log.channel)) as times:
                    if times > most_deliveries:
                        self._give_up(open_log)
                    else:
                        again_at_ms = self._deliver_over(open_log, now_ms + self._retry_policy.begin_within_ms)
            except Exception as error:  # one channel's failure never blocks another
                failure = failure or error
            if again_at_ms is not None:
                postponed[log.channel] = again_at_ms
        if postponed:
            self._postpone(notification_id, postponed)
        if failure is not None:
            raise failure

    def _due(self, notification_id: str) -> tuple[StoredNotification, list[Log], int] | None:
        """The notification, those of its logs that are due, and now; None if it was removed."""
        stored = self._store.get(notification_id)
        if stored is None:
            return None
        now_ms = self._clock()
        due = [log for log in stored.logs if log.state.due_at_ms is not None and log.state.due_at_ms <= now_ms]
        if not due:
            self._store.repair_copies(stored)  # or the sweep, which reads the copies, would queue it again and again
        return stored, due, now_ms

    def _deliver_over(self, log: OpenLog, begin_by_ms: int) -> int | None:
        """Send, or look up the status; returns when to try again, unless a recorded event has that.

        :param begin_by_ms: the latest instant to begin, so that it ends before the time limit of the task.
        """
        now_ms = self._clock()
        if now_ms > begin_by_ms:
            return begin_by_ms  # not `now_ms`: the clock may have been set ahead, and be corrected later
        message = self._message(log)
        try:
            if log.state.status is LogStatus.SENDING:
                return self._settle(log, message, now_ms)
            return self._send(log, message, now_ms)
        finally:
            self._breaker.release(message.gateway)

    def _send(self, log: OpenLog, message: Message, now_ms: int) -> int | None:
        """Send it, if possible; returns the same as `_deliver_over`."""
        sender = self._senders.get(log.channel)
        if sender is None:
            self._recorder.end(log, f"no sender is configured for {log.channel}")
            return None
        if (hindrance := self._hindrance(log, sender, message, now_ms)) is not None:
            self._recorder.end(log, hindrance)
            return None
        # The breaker first: a message that it postpones must not count against the rate.
        if (wait_s := self._breaker.wait_s(message.gateway)) > 0:
            if (reason := self._attempts.out_of_patience(log.state, message.gateway)) is not None:
                self._recorder.end(log, reason)
                return None
            return self._postponed(log, wait_s, now_ms)
        if (wait_s := self._rate_limiter.wait_s(log.channel)) > 0:
            return self._postponed(log, wait_s, now_ms)
        claimed = self._recorder.claim(log, self._retry_policy.lease_ms, self._sender_names.get(log.channel))
        if claimed is not None:
            outcome = self._attempts.make(claimed.state, sender, message)
            if outcome is not None:
                self._recorder.outcome(claimed, outcome)
                if outcome.moved_to is not None:
                    self._move(log, message.address, outcome.moved_to)
        return None

    def _move(self, log: OpenLog, previous: str, new: str) -> None:
        """Change the address of the user to `new`, unless it was changed in the meantime."""
        notification = log.notification
        self._contacts.move(notification.user_id, log.channel, previous, new, tenant=notification.tenant)

    def _postponed(self, log: OpenLog, wait_s: float, now_ms: int) -> int:
        """When to try again a log that may not be sent for `wait_s` seconds: at the latest when it expires."""
        waited_ms = now_ms - (log.state.due_at_ms or now_ms)
        again_at_ms = now_ms + self._retry_policy.postponed_ms(wait_s, waited_ms, self._chance())
        return min(again_at_ms, log.notification.expires_at_ms or again_at_ms)

    def _give_up(self, log: OpenLog) -> None:
        """End the log of a poison message."""
        if log.state.status is LogStatus.SENDING:
            self._recorder.outcome(log, Outcome(EventKind.UNKNOWN, _NEVER_ENDS))
        else:
            self._recorder.end(log, _NEVER_ENDS)

    def _hindrance(self, log: OpenLog, sender: Sender, message: Message, now_ms: int) -> str | None:
        """Why it can never be sent; or None."""
        if log.notification.has_expired(now_ms):
            tried = log.state.attempts_since_retry
            return f"it expired; {log.state.error_message}" if tried else "it expired before it was sent"
        if self._attempts.used_up(log.state):
            return given_up(log.state, log.state.error_message or "no outcome")
        if sender.needs_address and not message.address:
            return f"the user has no address for {log.channel}"
        return None

    def _settle(self, log: OpenLog, message: Message, now_ms: int) -> int | None:
        """Record the outcome of an attempt whose lease has ended; returns when to try again if it is not known yet."""
        sender = self._senders.get(log.channel)
        outcome = self._attempts.look_up_status(log.state, sender, message)
        if outcome is None:
            return now_ms + self._retry_policy.wait_ms(log.state.attempts_since_retry, None, self._chance())
        self._recorder.outcome(log, outcome)
        return None

    def _postpone(self, notification_id: str, postponed: Mapping[str, int]) -> None:
        """Queue the notification when the first of its logs is due."""
        stored = self._store.get(notification_id)
        if stored is None:
            return
        due_ms = [
            max(log.state.due_at_ms, postponed.get(log.channel, 0))
            for log in stored.logs
            if log.state.due_at_ms is not None
        ]
        if due_ms:
            self._store.repair_copies(stored, queue_at_ms=min(due_ms))

    def _message(self, log: OpenLog) -> Message:
        notification = log.notification
        return Message(
            id=notification.log_id(log.channel),
            title=notification.title,
            body=notification.body,
            locale=notification.locale,
            created_at_ms=notification.created_at_ms,
            address=self._contacts.get(notification.user_id, tenant=notification.tenant).get(log.channel, ""),
            edition=log.state.editions,
            attempted_at_ms=log.state.last_attempt_at_ms,
            announced=notification.announced,
            merchant_id=notification.merchant_id,
        )
