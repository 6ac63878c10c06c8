"""Response bodies: resources write them, and the OpenAPI document describes them, with the same models.

Bodies of requests are in `api.notifications.payloads`, the document of a failure is in `api.problems`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, RootModel, WithJsonSchema, with_config
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypeAliasType, TypedDict  # pydantic takes no other TypedDict before Python 3.12

from core.calendar import CALENDAR_NAMES, Mode, periods
from core.notifications.events import EventKind, LogStatus
from core.notifications.model import NotificationStatus
from core.notifications.reach_warnings import WarningCode
from core.stores import summaries
from core.stores.api_keys import Scope
from core.stores.condition import Cause

Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"})]
Exact = int
"""An integer that may exceed 64 bits, and so has no format."""
Digits = Annotated[str, Field(pattern="^-?[0-9]+$")]
"""An exact integer as text, with `values=string`."""
Decimal = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
"""An exact value as text: digits with `values=string`, and in major units with `unit=major`."""
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""A time in UTC as RFC 3339 text, as `core.instants` writes it."""
NextCursor = Annotated[
    str | None,
    Field(description="The `cursor` of the next page, with the same other parameters; null on the last page."),
]
Day = Annotated[str, Field(json_schema_extra={"format": "date"})]
Locale = TypeAliasType("Locale", periods.Locale)
Measure = TypeAliasType("Measure", summaries.Measure)
CalendarName = TypeAliasType(
    "CalendarName", Annotated[str, WithJsonSchema({"type": "string", "enum": list(CALENDAR_NAMES)})]
)
"""These choices have a name in the document, so that clients made from it have one type for each."""
Missing = SkipJsonSchema[None]
"""With a default: the field may be absent, but is never null."""


class Body(BaseModel):
    """A JSON object that the API writes; it has no other fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def json_bytes(self) -> bytes:
        """The object as JSON, without the optional fields that were not set."""
        return self.model_dump_json(exclude_unset=True).encode()


_CURRENCY: Final = "The currency of amounts, an ISO 4217 code."
_SCALE: Final = (
    "The number of decimal places of amounts, which are integers in minor units: with 2, 123450 is 1,234.50."
)

# Points and merchants come in thousands, and are dictionaries: models would take three times as long to write.
_DICTIONARY: Final = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@with_config(_DICTIONARY)
class Point(TypedDict):
    """One period of a series."""

    key: str
    """The period: `1403/04/04` (day), `1403/W15` (week) or `1403/04` (month). ASCII digits."""
    value: Int64 | Decimal
    """With `type=amount`, the sum of amounts in minor units of the `currency` of `/api/me`; with `type=count`, the
    number of transactions. Exact. Text with `values=string`; text in major units with `unit=major`."""
    merchant_id: NotRequired[str]
    """The merchant; present with several `merchant_id` and with `group=merchant` only."""
    merchant_name: NotRequired[str | None]
    """The name of the merchant in the language of `locale`, else in the other; null without a name. Present with
    `merchant_id` and `locale` only."""
    label: NotRequired[str]
    """The name of the period in the language of `locale`; absent without `locale`."""
    start: NotRequired[Instant]
    """When the period begins (UTC); present with `include=period` only."""
    end: NotRequired[Instant]
    """When the period ends (UTC), exclusive; present with `include=period` only."""
    complete: NotRequired[bool]
    """False for a period that was not over when the sources were last read, or of which some days were not read.
    Present with `include=period` only."""


class Series(RootModel[list[Point]]):
    """The points of a series, ascending by `key`; those of several merchants ascending by `merchant_id` and `key`."""


@with_config(_DICTIONARY)
class Merchant(TypedDict):
    """A merchant and its totals."""

    merchant_id: str
    """The id of the merchant in the source of the transactions."""
    amount: Exact | Decimal
    """The sum of amounts in the requested periods, in minor units of the `currency` of `/api/me`. Exact; may exceed 64
    bits. Text with `values=string`; text in major units with `unit=major`."""
    count: Exact | Digits
    """The number of transactions in the requested periods. Exact; text with `values=string`."""
    name: NotRequired[str | None]
    """The name of the merchant in the language of `locale`, else in the other; null without a name. Absent without
    `locale`."""


class Merchants(Body):
    """A page of merchants."""

    merchants: list[Merchant] = Field(description="The merchants of this page, in the order of `sort`.")
    total: int = Field(ge=0, description="The number of merchants on all pages.")
    next_cursor: NextCursor


class Key(Body):
    """An API key, without its secret."""

    id: str = Field(description="The public part of the key, as `python -m api keys list` shows it.")
    name: str = Field(description="The name that the operator gave the key.")


class _Publication(Body):
    version: str = Field(description="The version of the published summaries. Each publication has a new one.")
    published_at: Instant = Field(description="When it was published (UTC).")
    first_day_key: str | None = Field(description="The first day with transactions, as a key; null without any.")
    last_day_key: str | None = Field(description="The last day with transactions, as a key; null without any.")


class PublishedDays(_Publication):
    """The published summaries and the days that they cover."""

    version: str = Field(
        description="The version of the published summaries and of the names of merchants; another one after each "
        "change of either. `ETag` headers begin with it."
    )
    first_day_date: Day | None = Field(description="The first day as a Gregorian date; null without transactions.")
    last_day_date: Day | None = Field(description="The last day as a Gregorian date; null without transactions.")


class Me(Body):
    """The rights of the caller, and what a client needs for other requests."""

    open: bool = Field(description="True when the server accepts this caller without a key (`API_ACCESS`).")
    signed_in: bool = Field(description="True when the request carries the session cookie of a signed-in person.")
    key: Key | None = Field(description="The key of the request; null without one.")
    tenant: str = Field(description="The tenant of the caller; `operator` for the operator, who sees all tenants.")
    scopes: list[Scope] = Field(description="The scopes of the caller.")
    merchants: list[str] = Field(
        description="Merchants whose summaries the caller may read. With the scope `summaries` it may read all."
    )
    calendar: CalendarName = Field(description="The calendar of the keys of periods.")
    time_zone: str = Field(description="The IANA time zone in which days begin and end.")
    currency: str = Field(description=_CURRENCY)
    scale: int = Field(ge=0, le=9, description=_SCALE)
    channels: list[str] = Field(description="The channels over which this server accepts messages.")
    published: PublishedDays | None = Field(description="The published summaries; null before the first publication.")


class SessionState(Body):
    """The session of a browser."""

    signed_in: bool = Field(description="True when the browser now has a session.")
    expires_at: Instant | None = Field(description="When the session ends (UTC); null without a session.")


class Filter(Body):
    """An equality filter: only transactions whose `field` equals `value` are counted."""

    field: str = Field(description="The path of a field in the raw transactions.")
    value: str = Field(description="The value that the field must have, as text.")


class PublishedState(_Publication):
    """The published summaries as a whole."""

    generation: Int64 = Field(description="The number of the publication: 1, 2, 3, …")
    run_id: Int64 = Field(description="The number of the run that published it.")
    as_of: Instant = Field(description="When the sources were last read (UTC). Later transactions are not counted yet.")
    age_s: float = Field(ge=0, description="Seconds since `as_of`.")
    summaries: Int64 = Field(ge=0, description="The number of summary rows: days, weeks and months of all merchants.")
    total_amount: Exact = Field(
        description="The sum of all amounts, in minor units of the `currency`. Exact; may exceed 64 bits."
    )
    total_count: Int64 = Field(ge=0, description="The number of all transactions counted.")
    currency: str = Field(description=_CURRENCY)
    scale: int = Field(ge=0, le=9, description=_SCALE)
    calendar: CalendarName = Field(description="The calendar of the keys of periods.")
    time_zone: str = Field(description="The IANA time zone in which days begin and end.")
    zone_rules: str | None = Field(
        description="SHA-256 of the UTC offsets of the time zone with which days were computed; null in stores of "
        "earlier versions."
    )
    zone_rules_source: str | None = Field(
        description="Where the rules of the time zone came from, such as `tzdata 2026.6`; null if unknown."
    )
    zone_rules_agree: bool | None = Field(
        description="True if this server has the same rules of the time zone. If false, jobs on this host can only "
        "rebuild everything. Null if unknown."
    )
    filters: list[Filter] = Field(description="Only transactions that match all of these filters are counted.")


class Rejects(Body):
    """Documents of the source that could not be read as transactions."""

    count: Int64 = Field(ge=0, description="The number of rejected documents.")
    by_reason: dict[str, int] = Field(description="The number for each field and reason, such as `amount: fraction`.")


class Conservation(Body):
    """The document counts of a run: `read` = `counted` + `rejected` + `filtered` + `out_of_range`."""

    read: Int64 = Field(description="Documents read from the source.")
    counted: Int64 = Field(description="Documents counted in the summaries.")
    rejected: Int64 = Field(description="Documents that could not be read as transactions.")
    filtered: Int64 = Field(description="Documents that a filter excluded.")
    out_of_range: Int64 = Field(description="Documents outside the days that were requested.")
    holds: bool = Field(description="True when the numbers add up.")


class Failure(Body):
    """A run that failed."""

    run_id: Int64 = Field(description="The number of the run.")
    status: Literal["failed", "interrupted", "died"] = Field(
        description="`failed`: it stopped with an error. `interrupted`: a signal stopped it. `died`: its process ended "
        "without reporting an error."
    )
    ended_at: Instant | None = Field(description="When it ended (UTC); null if unknown.")
    error: str | None = Field(description="The error in one sentence; null if unknown.")


class Refreshes(Body):
    """The schedule of the refreshes of a live collection."""

    every_s: float = Field(description="Seconds between refreshes.")
    due_at: Instant = Field(description="When the next refresh is due (UTC).")
    missed: Int64 = Field(ge=0, description="The number of refreshes that were due since the collection was last read.")


class Running(Body):
    """A run in progress."""

    run_id: Int64 = Field(description="The number of the run.")
    phase: str = Field(description="The current step: `reading`, `checking` or `publishing`.")
    started_at: Instant = Field(description="When it started (UTC).")
    heartbeat_at: Instant = Field(description="The last heartbeat of its process (UTC).")
    read: Int64 = Field(description="Documents read so far.")
    counted: Int64 = Field(description="Documents counted so far.")


class Status(Body):
    """The state of the summaries and of the runs that build them."""

    state: Literal["ok", "degraded", "empty"] = Field(
        description="`ok`, `degraded` (see `degraded_by`) or `empty` (nothing is published)."
    )
    degraded_by: list[Cause] = Field(
        description="`rejects`: the last successful run rejected documents. `failures`: the latest runs failed. "
        "`missed_refreshes`: three or more refreshes of a live collection were missed. `age`: the sources were last "
        "read more than `API_MAX_AGE_S` seconds ago."
    )
    published: PublishedState | None = Field(description="The published summaries; null before the first publication.")
    refreshes: Refreshes | None = Field(
        description="The schedule of refreshes, from `REFRESH_EVERY_S` or estimated from the last refreshes; null if "
        "no refreshes are expected, or if the interval is not known yet."
    )
    rejects: Rejects | None = Field(description="The rejects of the last successful run; null without one.")
    conservation: Conservation | None = Field(
        description="The document counts of the last successful run; null without one."
    )
    warnings: list[str] = Field(
        description="Warnings of the last successful run, for example about days that kept their totals because their "
        "documents are missing in the source."
    )
    failures_in_a_row: Int64 = Field(ge=0, description="Runs that failed since the last successful run.")
    last_failure: Failure | None = Field(description="The latest run that failed since the last successful run.")
    running: Running | None = Field(description="The run in progress; null if there is none.")


class Health(Body):
    """The process is alive."""

    status: Literal["ok"] = Field(description="Always `ok`: the process answers.")


class Ready(Body):
    """Summaries are served."""

    status: Literal["ready", "degraded"] = Field(
        description="`ready`, or `degraded`: summaries are served, but may be outdated or incomplete; `/api/status` "
        "has the causes."
    )
    version: str | Missing = Field(
        default=None, description="The `version` of `/api/me`; only for callers with the scope `operate`."
    )


class HistoryEvent(Body):
    """An event in the delivery of a message. Events never change."""

    number: int = Field(ge=1, description="The number of the event in its log: 1, 2, 3, …")
    kind: EventKind = Field(
        description="`attempt`: sending started. `success`: the gateway accepted the message. `printed`: it was only "
        "logged. `failed`: the attempt failed. `maybe`: the attempt failed, but the gateway may have the message and "
        "recognises a repetition. `dead`: no more attempts are made. `unknown`: the gateway may have the message. "
        "`cancel` and `retry`: a client requested it."
    )
    at: Instant = Field(description="When it happened (UTC).")
    until: Instant | None = Field(
        description="For `attempt`: when the attempt times out. For `failed` and `maybe`: when the next attempt is "
        "due. Otherwise null. (UTC)"
    )
    error: str | None = Field(description="The error in one sentence; null without one.")
    reference: str | None = Field(description="The gateway's id of the message; null if it gave none.")
    sender: str | None = Field(
        description="For `attempt`: the sender of `NOTIFY_SENDERS` that made it, such as `kavenegar`. Otherwise null."
    )


class NotificationLog(Body):
    """The delivery of a notification over one channel."""

    id: str = Field(description="The id of the notification and the channel, joined by a colon.")
    channel: str = Field(description="The channel, such as `sms`.")
    status: LogStatus = Field(
        description="Open: `pending` (not sent yet), `sending` (an attempt is in progress), `retrying` (an attempt "
        "failed, another follows). Final: `success` (the gateway accepted it), `printed` (only logged, nobody received "
        "it), `dead` (given up), `cancelled`, `unknown` (the gateway may have it, so it is not sent again unless a "
        "client asks for a retry)."
    )
    attempts: Int64 = Field(ge=0, description="The number of attempts.")
    last_attempt_at: Instant | None = Field(description="When the last attempt started (UTC); null without one.")
    error_message: str | None = Field(
        description="The error of the last attempt; null after success, after a retry request, and without an error."
    )
    reference: str | None = Field(description="The gateway's id of the message; null if it gave none.")
    due_at: Instant | None = Field(
        description="When the next attempt is due, or the attempt in progress times out (UTC); null in final states."
    )
    cancelling: bool = Field(description="True when it was cancelled during an attempt that is still in progress.")
    finished_at: Instant | None = Field(description="When it reached its final state (UTC); null while it is open.")
    history: list[HistoryEvent] = Field(description="All events, oldest first.")


class ListedNotification(Body):
    """A notification in a list."""

    id: str = Field(description="The id of the notification: 26 letters and digits.")
    tenant: str = Field(description="The tenant to which it belongs.")
    user_id: str = Field(description="The user who receives it.")
    title: str = Field(description="The title, one line.")
    body: str = Field(description="The text of the message.")
    channels: list[str] = Field(description="The channels over which it is sent.")
    locale: Locale = Field(description="The language of the message: `fa` or `en`.")
    status: NotificationStatus = Field(
        description="`pending`: delivery is open on some channel. `sent`: every channel succeeded. `printed`: every "
        "channel succeeded or was only logged, and one was only logged. `cancelled`: every channel was cancelled. "
        "`failed`: everything else."
    )
    created_at: Instant = Field(description="When it was created (UTC).")
    expires_at: Instant | None = Field(description="It is not sent after this time (UTC); null without a limit.")


class Notification(ListedNotification):
    """A notification and its delivery."""

    logs: list[NotificationLog] = Field(description="The delivery over each channel, in the order of `channels`.")


class NotificationDetails(Notification):
    """A notification, its delivery, and the addresses of its user."""

    addresses: dict[str, str] = Field(
        description="The masked current address of the user for each channel of the notification, such as "
        "`+98912***4567`. A channel without an address is absent."
    )


class NotificationCount(Body):
    """The number of notifications with the same channels and statuses."""

    status: NotificationStatus = Field(description="The status of these notifications.")
    logs: dict[str, LogStatus] = Field(description="The status of the log of each of their channels.")
    notifications: Int64 = Field(ge=1, description="The number of these notifications.")


class NotificationCounts(Body):
    """The number of notifications. Add up `counts` to get the number by status, by channel, or by both."""

    counts: list[NotificationCount] = Field(description="The number for each combination of channels and statuses.")
    complete: bool = Field(
        description="False if only the newest 100,000 notifications were counted, and there may be more."
    )
    created_from: Instant | None = Field(
        description="When the first day of the request begins (UTC); null without `from`."
    )
    created_before: Instant | None = Field(description="When the last day ends (UTC), exclusive; null without `to`.")


class Notifications(Body):
    """A page of notifications."""

    notifications: list[ListedNotification] = Field(description="The notifications of this page, newest first.")
    next_cursor: NextCursor


class RetriedNotifications(Body):
    """The result of a retry by filter."""

    notifications: int = Field(ge=0, description="The number of notifications that are sent again.")
    messages: int = Field(ge=0, description="The number of their messages: one for each channel.")
    expired: int = Field(ge=0, description="The number of notifications left out because they have expired.")
    next_cursor: str | None = Field(
        description="The `cursor` of the next request with the same filter; null if all notifications were examined."
    )


class UserContacts(Body):
    """The addresses of a user."""

    tenant: str = Field(description="The tenant of the user. Each tenant has its own users and contacts.")
    user_id: str = Field(description="The id of the user.")
    contacts: dict[str, str] = Field(
        description="The address for each channel in its normal form, such as `+989123456789` for `sms`."
    )


class UsersContacts(Body):
    """A page of users with their addresses."""

    users: list[UserContacts] = Field(description="The users of this page, by `user_id` in the order of code points.")
    next_cursor: NextCursor


class Subscription(Body):
    """A subscription of a user to summaries."""

    id: str = Field(description="The id of the subscription: 26 letters and digits.")
    tenant: str = Field(description="The tenant to which it belongs.")
    user_id: str = Field(description="The user who receives the summaries.")
    merchant_id: str | None = Field(description="The merchant; null for the summaries of all merchants together.")
    all_merchants: bool = Field(description="True for the summaries of all merchants together.")
    modes: list[Mode] = Field(description="The periods after which a message is sent: each day, week or month.")
    channels: list[str] = Field(description="The channels over which messages are sent.")
    locale: Locale = Field(description="The language of the messages: `fa` or `en`.")
    created_at: Instant = Field(description="When it was created (UTC). Periods that ended earlier are not announced.")
    ended_at: Instant | None = Field(description="When it was ended (UTC); null while it is active.")


class SubscriptionWarning(Body):
    """A reason why the user may receive no messages at present."""

    code: WarningCode = Field(
        description="`unknown-merchant`: the merchant has no summaries. `channel-not-set-up`: the channel has no "
        "gateway, so that nobody receives its messages. `no-address`: the user has no address for a channel."
    )
    detail: str = Field(description="The warning in a sentence.")


class CreatedSubscription(Subscription):
    """A subscription, with warnings about its delivery."""

    warnings: list[SubscriptionWarning] = Field(description="Why the user may receive nothing; empty if all is set up.")


class ListedSubscription(Subscription):
    """A subscription in a list."""

    merchant_name: str | None = Field(
        default=None, description="The name of the merchant; null without one. Only with `locale`."
    )


class Subscriptions(Body):
    """A page of active subscriptions."""

    subscriptions: list[ListedSubscription] = Field(description="The subscriptions of this page, oldest first.")
    next_cursor: NextCursor
