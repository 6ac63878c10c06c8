"""A delivery over a real store, with a clock and scripted senders of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from core.notifications.events import Event, EventKind, LogStatus
from core.notifications.model import AnnouncedTotals, Notification, new_id
from core.settings import Settings
from core.stores import Stores, open_stores
from core.stores.notifications import Log, StoredNotification
from core.tenants import OPERATOR
from notifier.circuit_breaker import BreakerStates, CircuitBreaker
from notifier.delivery import Delivery
from notifier.event_recorder import OpenLog
from notifier.retry_policy import RetryPolicy
from notifier.senders.base import Gateway, Message, NotAskable, Receipt, Sender
from notifier.sweep import Sweep

NOW_MS = 1_764_000_000_000
LEASE_S = 100.0
SEND_TIMEOUT_S = 10.0
RETRY_POLICY = RetryPolicy(max_attempts=3, lease_s=LEASE_S, backoff_s=10.0, backoff_max_s=60.0)
FAR_MS = 10 * 86_400_000


@dataclass
class ManualClock:
    """A clock that only the test advances; milliseconds since 1970 UTC."""

    now_ms: int = NOW_MS

    def __call__(self) -> int:
        return self.now_ms

    def advance_s(self, seconds: float) -> None:
        """Advance the clock by so many seconds."""
        self.now_ms += round(seconds * 1000)


Step = Callable[[Message], Receipt | None]


def raising(error: BaseException) -> Step:
    """A step that raises `error`."""

    def step(_: Message) -> Receipt | None:
        raise error

    return step


class ScriptedSender:
    """Each send runs the next of `steps`, then sends succeed; each status lookup runs the next of `answers`."""

    channels: ClassVar = frozenset[str]()
    needs_address: ClassVar = False
    deduplicates: ClassVar = False

    def __init__(self, *steps: Step, answers: list[Step] | None = None) -> None:
        self.steps = list(steps)
        self.answers = answers
        self.sent: list[Message] = []
        self.asked: list[Message] = []

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """It needs no settings."""
        return cls()

    def send(self, message: Message) -> Receipt:
        """The next step."""
        self.sent.append(message)
        found = self.steps.pop(0)(message) if self.steps else None
        return found or Receipt(f"ref-{len(self.sent)}")

    def find(self, message: Message) -> Receipt | None:
        """The next response, the last repeatedly; a gateway without responses has no status lookup."""
        if self.answers is None:
            raise NotAskable
        self.asked.append(message)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(message)

    def close(self) -> None:
        """Nothing to release."""


class ScriptedIdempotentSender(ScriptedSender):
    """Its gateway is idempotent."""

    deduplicates: ClassVar = True


class ScriptedAddressSender(ScriptedSender):
    """Cannot send without an address."""

    needs_address: ClassVar = True


@dataclass
class ScriptedRateLimiter:
    """A rate limiter that delays only the channels in `waits`, in seconds."""

    waits: dict[str, float] = field(default_factory=dict)

    def wait_s(self, channel: str) -> float:
        """See `notifier.delivery.RateLimiter`."""
        return self.waits.get(channel, 0.0)


@dataclass
class RecordingObserver:
    """Records the calls of an observer."""

    events: list[tuple[str, EventKind, LogStatus]] = field(default_factory=list)
    gateways: list[tuple[str, float | None]] = field(default_factory=list)

    def happened(self, log: OpenLog, event: Event, *, attempted: bool, parts: int | None) -> None:
        """See `notifier.event_recorder.DeliveryObserver`."""
        self.events.append((log.channel, event.kind, log.state.status))

    def paused(self, gateway: Gateway, pause_s: float, *, refused: bool) -> None:
        """See `notifier.circuit_breaker.CircuitBreakerObserver`."""
        self.gateways.append((str(gateway), pause_s))

    def resumed(self, gateway: Gateway) -> None:
        """See `notifier.circuit_breaker.CircuitBreakerObserver`."""
        self.gateways.append((str(gateway), None))


@dataclass
class DeliveryHarness:
    """A delivery with all its dependencies."""

    stores: Stores
    senders: dict[str, Sender]
    clock: ManualClock
    rate_limiter: ScriptedRateLimiter = field(default_factory=ScriptedRateLimiter)
    recorder: RecordingObserver = field(default_factory=RecordingObserver)
    chance: float = 1.0
    slept_s: list[float] = field(default_factory=list)

    def delivery(
        self,
        worker: str = "here:1",
        store: Any = None,
        retry_policy: RetryPolicy = RETRY_POLICY,
        shared: BreakerStates | None = None,
    ) -> Delivery:
        """A delivery by the process `worker`."""

        def sleep(seconds: float) -> None:
            self.slept_s.append(seconds)
            self.clock.advance_s(seconds)

        return Delivery(
            store or self.stores.notifications,
            self.stores.contacts,
            self.senders,
            retry_policy,
            self.rate_limiter,
            CircuitBreaker(
                SEND_TIMEOUT_S,
                self.recorder,
                chance=lambda: self.chance,
                now_s=lambda: self.clock() / 1000,
                shared=shared,
            ),
            self.recorder,
            sender_names={channel: f"{channel}-gateway" for channel in self.senders},
            worker=worker,
            clock=self.clock,
            chance=lambda: self.chance,
            sleep=sleep,
        )

    def add(
        self,
        *channels: str,
        body: str = "body",
        expires_at_ms: int | None = None,
        tenant: str = OPERATOR,
        announced: AnnouncedTotals | None = None,
        merchant_id: str | None = None,
    ) -> str:
        """Add a notification over `channels`, by default those of all senders; returns its id."""
        notification = Notification(
            id=new_id(),
            user_id="u1",
            title="title",
            body=body,
            channels=channels or tuple(self.senders),
            locale="en",
            created_at_ms=self.clock(),
            expires_at_ms=expires_at_ms,
            tenant=tenant,
            announced=announced,
            merchant_id=merchant_id,
        )
        self.stores.notifications.add(notification, self.clock())
        return notification.id

    def stored(self, notification_id: str) -> StoredNotification:
        """The stored notification."""
        stored = self.stores.notifications.get(notification_id)
        assert stored is not None
        return stored

    def log(self, notification_id: str, channel: str = "sms") -> Log:
        """Its log over `channel`."""
        return self.stored(notification_id).log(channel)

    def append(self, notification_id: str, kind: EventKind, until_ms: int | None = None, channel: str = "sms") -> None:
        """Append an event of another worker."""
        stored = self.stored(notification_id)
        state = stored.log(channel).state
        event = Event(state.number + 1, kind, self.clock(), until_ms, worker="else:2" if until_ms else None)
        assert self.stores.notifications.append(stored.notification, channel, state, event) is not None

    def due(self) -> list[str]:
        """The notifications that the sweep would queue now."""
        return self.stores.notifications.due(self.clock(), 100)

    def sweep(self, queue: Callable[[str], None]) -> Sweep:
        """A sweep that queues with `queue`."""
        return Sweep(self.stores.notifications, queue, lambda: 1000, again_after_s=LEASE_S, clock=self.clock)


@contextmanager
def delivery_harness(store_url: str, senders: Mapping[str, Sender]) -> Iterator[DeliveryHarness]:
    """A harness over the store at `store_url`."""
    clock = ManualClock()
    with open_stores(store_url, timeout_s=20, clock=clock) as stores:
        yield DeliveryHarness(stores, dict(senders), clock)
