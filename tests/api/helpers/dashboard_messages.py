"""Notifications for the dashboard: in every status, with every kind of event, and with hostile texts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from core.notifications.events import Event, EventKind
from core.notifications.model import Notification, derived_id
from core.stores import Stores, open_stores
from core.tenants import OPERATOR

SECOND_MS, MINUTE_MS = 1_000, 60_000
HOUR_MS, DAY_MS = 60 * MINUTE_MS, 1_440 * MINUTE_MS
OLD: Final = 30
"""How many older notifications there are, all of them sent: more than a page."""

MARKUP: Final = '<img src=x onerror="document.title=1"><b>bold</b>'
TURNED: Final = "\u202eTURNED\u2066"
"""Sets the direction of the following text unless it is isolated."""

_LEASE_MS: Final = 120 * SECOND_MS
_ATTEMPT = EventKind.ATTEMPT

History = Sequence[tuple[int, EventKind, str]]
"""Of each event: how long after the creation it was, in milliseconds; its kind; the error, reference or sender."""


@dataclass(frozen=True)
class Story:
    """A notification and its events.

    :param name: identifies it.
    :param age_ms: how long ago it was created, likewise `expires_after_ms`: from then on.
    :param histories: by channel.
    """

    name: str
    title: str
    histories: dict[str, History] = field(default_factory=dict)
    age_ms: int = 5 * MINUTE_MS
    user_id: str = "sara"
    body: str = "It is on its way."
    locale: str = "en"
    expires_after_ms: int | None = None
    tenant: str = OPERATOR

    @property
    def id(self) -> str:
        """The id of the notification."""
        return derived_id("story", self.name)


def sent_in(attempt_ms: int, reference: str = "8792343") -> History:
    """One attempt, which succeeded."""
    return [(attempt_ms, _ATTEMPT, ""), (attempt_ms + 800, EventKind.SUCCESS, reference)]


PRINTED: Final[History] = [(SECOND_MS, _ATTEMPT, "print"), (SECOND_MS, EventKind.PRINTED, "")]
DEAD: Final = Story(
    "dead",
    "Order 64 has left the shop",
    {
        "sms": sent_in(SECOND_MS),
        "email": [
            (SECOND_MS, _ATTEMPT, ""),
            (2 * SECOND_MS, EventKind.FAILED, "421 4.3.2 the service shuts down"),
            (14 * SECOND_MS, _ATTEMPT, ""),
            (15 * SECOND_MS, EventKind.DEAD, "550 5.1.1 there is no such mailbox"),
        ],
    },
)
UNKNOWN: Final = Story(
    "unknown",
    "گزارش روزانهٔ فروشگاه تهران",
    {
        "sms": [
            (SECOND_MS, _ATTEMPT, ""),
            (20 * SECOND_MS, EventKind.UNKNOWN, "the gateway did not answer within 10 s; it may have the message"),
        ],
        "telegram": [(SECOND_MS, _ATTEMPT, ""), (2 * SECOND_MS, EventKind.DEAD, "403 bot was blocked by the user")],
    },
    age_ms=3 * HOUR_MS,
    user_id="رضا",
    body="جمع فروش ۴ تیر ۱۴۰۳: ۱۲۰٬۰۰۰ ریال\nتعداد تراکنش‌ها: ۳\n\nاین پیام خودکار است.",
    locale="fa",
)
UNDER_WAY: Final = Story(
    "under way",
    "Weekly summary of all merchants",
    {
        "email": [(SECOND_MS, _ATTEMPT, ""), (2 * SECOND_MS, EventKind.FAILED, "450 4.2.1 the mailbox is busy")],
        "webhook": [(58 * SECOND_MS, _ATTEMPT, "")],
        "sms": [],
    },
    age_ms=MINUTE_MS,
    user_id="operations@shop.example",
)
WAITING: Final = Story("waiting", "Order 65 is being packed", {"sms": []}, age_ms=30 * SECOND_MS, user_id="reza")
CANCELLED: Final = Story(
    "cancelled",
    "Order 61 is late",
    {"sms": [(20 * SECOND_MS, EventKind.CANCEL, "")]},
    age_ms=2 * DAY_MS,
    tenant="acme",
)
EXPIRED: Final = Story(
    "expired",
    "Only today: half the price",
    {"telegram": [(HOUR_MS, EventKind.DEAD, "expired before it was sent")]},
    age_ms=DAY_MS,
    expires_after_ms=HOUR_MS,
)
RETRIED: Final = Story(
    "retried",
    "Order 60 has arrived",
    {
        "email": [
            (SECOND_MS, _ATTEMPT, ""),
            (3 * SECOND_MS, EventKind.MAYBE, "no answer"),
            (8 * SECOND_MS, _ATTEMPT, ""),
            (9 * SECOND_MS, EventKind.UNKNOWN, "the connection was lost after the message"),
            (HOUR_MS, EventKind.RETRY, ""),
            *sent_in(HOUR_MS + SECOND_MS, "<k3x@shop.example>"),
        ]
    },
    age_ms=3 * DAY_MS,
)
HARMFUL: Final = Story(
    "harmful",
    f"{TURNED} {MARKUP}",
    {"email": [(SECOND_MS, _ATTEMPT, ""), (2 * SECOND_MS, EventKind.DEAD, f"{MARKUP} {TURNED}")]},
    age_ms=4 * DAY_MS,
    user_id=f"{TURNED}{MARKUP}",
    body=f"{MARKUP}\n{TURNED} {'unbroken' * 60}",
)
STORIES: Final = (DEAD, UNKNOWN, UNDER_WAY, WAITING, CANCELLED, EXPIRED, RETRIED, HARMFUL)


def notify_all(store_url: str) -> None:
    """Store all stories, and `OLD` older ones of the user ``old``."""
    old = [
        Story(f"old {number}", f"Order {number}", {"sms": sent_in(SECOND_MS)}, 5 * DAY_MS + number * HOUR_MS, "old")
        for number in range(OLD)
    ]
    with open_stores(store_url, timeout_s=10) as stores:
        for story in (*STORIES, *old):
            tell(stores, story)


def tell(stores: Stores, story: Story) -> Notification:
    """Store one."""
    created_at_ms = int(time.time() * 1000) - story.age_ms
    expires_at_ms = None if story.expires_after_ms is None else created_at_ms + story.expires_after_ms
    notification = Notification(
        story.id,
        story.user_id,
        story.title,
        story.body,
        tuple(story.histories),
        "fa" if story.locale == "fa" else "en",
        created_at_ms,
        expires_at_ms,
        tenant=story.tenant,
    )
    stores.notifications.add(notification, created_at_ms)
    for channel, history in story.histories.items():
        for after_ms, kind, output in history:
            append_events(stores, notification, channel, kind, created_at_ms + after_ms, output)
    return notification


def append_events(
    stores: Stores, notification: Notification, channel: str, kind: EventKind, at_ms: int, output: str = ""
) -> None:
    """Append the next event to the log of `channel`."""
    kept = stores.notifications.get(notification.id)
    assert kept is not None
    state = kept.log(channel).state
    again_ms = at_ms + 12 * MINUTE_MS
    until_ms = {_ATTEMPT: at_ms + _LEASE_MS, EventKind.FAILED: again_ms, EventKind.MAYBE: again_ms}.get(kind)
    fails = kind in (EventKind.FAILED, EventKind.MAYBE, EventKind.DEAD, EventKind.UNKNOWN)
    event = Event(
        state.number + 1,
        kind,
        at_ms,
        until_ms=until_ms,
        error=output if fails else None,
        reference=output if output and not fails and kind is not _ATTEMPT else None,
        worker="worker:1" if kind is _ATTEMPT else None,
        sender=output if output and kind is _ATTEMPT else None,
    )
    assert stores.notifications.append(notification, channel, state, event) is not None
