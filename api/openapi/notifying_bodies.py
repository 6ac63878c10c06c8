"""The bodies of answers about notifications, contacts and subscriptions, as models: see `api.openapi.bodies`."""

from __future__ import annotations

from pydantic import Field

from api.openapi.bodies import Body, Instant, Int64
from core.calendar import Mode
from core.calendar.periods import Locale
from core.notifications.events import EventKind, LogStatus
from core.notifications.model import NotificationStatus


class HistoryEvent(Body):
    """Something that happened to a log. Events are numbered and never change."""

    number: int = Field(ge=1, description="1, 2, 3, …")
    kind: EventKind = Field(
        description="`attempt`: sending began. `success`, `printed`, `failed`, `dead`, `unknown`: what came of it. "
        "`printed`: it was only logged, and given to no gateway. "
        "`maybe`: it failed, but the gateway may have the message and would recognise a repetition. "
        "`cancel`, `retry`: somebody asked for it."
    )
    at: Instant = Field(description="When, in UTC.")
    until: Instant | None = Field(
        description="Of an `attempt`, by when it is over; of a `failed` or `maybe`, when the next attempt is due; else "
        "null."
    )
    error: str | None = Field(description="What went wrong, or null.")
    reference: str | None = Field(description="What the gateway calls the message, or null.")
    sender: str | None = Field(
        description="Of an `attempt`, the sender of `NOTIFY_SENDERS` that made it, such as `kavenegar`; else null."
    )


class NotificationLog(Body):
    """The delivery of a notification over one channel."""

    id: str = Field(description="The id of the notification and the channel.")
    channel: str = Field(description="Such as `sms`.")
    status: LogStatus = Field(
        description="`pending`, `sending` and `retrying` (an attempt failed, and there will be another) are open. "
        "`success`: the gateway took it. `printed`: the sender `print` logged it, and nobody received it. `dead`: it "
        "will not be tried again. `unknown`: the gateway may have it, also after it was given up or cancelled, so it "
        "is not sent again by itself."
    )
    attempts: Int64 = Field(ge=0, description="How often sending was begun.")
    last_attempt_at: Instant | None = Field(description="When it was begun last, in UTC.")
    error_message: str | None = Field(
        description="What went wrong last; null once it succeeded, was printed or retried."
    )
    reference: str | None = Field(description="What the gateway calls the message, as far as it said so.")
    due_at: Instant | None = Field(
        description="When the next attempt is due, or the one under way is over; null when it is not open."
    )
    cancelling: bool = Field(description="Whether it was cancelled during an attempt that is still under way.")
    finished_at: Instant | None = Field(description="Since when it is not open any more; null while it is.")
    history: list[HistoryEvent] = Field(description="All that happened to it, in order.")


class ListedNotification(Body):
    """A message to a user, in a list."""

    id: str = Field(description="26 letters and digits.")
    user_id: str = Field(description="Whom it goes to.")
    title: str = Field(description="One line.")
    body: str = Field(description="The message.")
    channels: list[str] = Field(description="Over which it goes.")
    locale: Locale = Field(description="The language it is written in.")
    status: NotificationStatus = Field(
        description="`pending` while a log is open, `sent` when all succeeded, `printed` when all succeeded or were "
        "printed and one was only printed, `cancelled` when all were cancelled, and else `failed`: it was given up."
    )
    created_at: Instant = Field(description="When it was made, in UTC.")
    expires_at: Instant | None = Field(description="From when on it is not sent any more, or null.")


class Notification(ListedNotification):
    """A message to a user, and how its delivery stands."""

    logs: list[NotificationLog] = Field(description="One for each channel, in the order of `channels`.")


class Notifications(Body):
    """One page of notifications."""

    notifications: list[ListedNotification] = Field(description="The newest first.")


class UserContacts(Body):
    """Where a user is reached."""

    user_id: str = Field(description="The user.")
    contacts: dict[str, str] = Field(
        description="The address for each channel, in the form in which it is kept, such as `+989123456789`."
    )


class Subscription(Body):
    """Who is told of which summaries."""

    id: str = Field(description="26 letters and digits.")
    user_id: str = Field(description="Who is told.")
    merchant_id: str | None = Field(description="Whose summaries; null for those of all merchants together.")
    modes: list[Mode] = Field(description="The lengths of periods.")
    channels: list[str] = Field(description="Over which.")
    locale: Locale = Field(description="The language of the messages.")
    created_at: Instant = Field(description="When it was made, in UTC; periods that ended before are not told of.")
    ended_at: Instant | None = Field(description="Since when nothing is told any more, or null while it is in force.")


class Subscriptions(Body):
    """One page of subscriptions that have not ended."""

    subscriptions: list[Subscription] = Field(description="The oldest first.")
