"""``GET /api/notifications`` and ``/api/notifications/counts``: pages, newest first, and counts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from api.auth.principal import Principal
from api.http.pagination import PageCursor, PageLimit, cursor_of, place_in
from api.http.query_parameters import KEY_PATTERN, Findings, fields_of, range_in, validated
from api.notifications.pages import PageParameters, cut, page_in
from api.notifications.tenants import OfTenant, visible_to
from api.notifications.views import listed_view
from api.openapi.bodies import NotificationCount, NotificationCounts, Notifications
from api.store_access import StoreAccess
from core.calendar import Calendar, Mode
from core.instants import iso_instant_or_none
from core.notifications.events import LogStatus
from core.notifications.model import NotificationStatus, status_of
from core.notifications.values import CHANNEL_PATTERN
from core.stores import Stores
from core.stores.notifications import Listed, LogFilter, NotificationFilter, StateCount

PATH: Final = "/api/notifications"
COUNTED: Final = 100_000
"""The largest number of notifications that are counted."""

_LISTS: Final = ("log_status",)


class NarrowingParameters(OfTenant):
    """The parameters that a list and the counts have in common."""

    user_id: str | None = Field(default=None, min_length=1, description="Only notifications to this user.")
    first: str | None = Field(
        default=None,
        alias="from",
        description="Only notifications created on this day or later: a key such as `1403/04/04`, or a Gregorian date "
        "such as `2024-06-24`, in the `time_zone` of `/api/me`.",
        json_schema_extra={"pattern": KEY_PATTERN, "examples": ["1403/04/07"]},
    )
    last: str | None = Field(
        default=None,
        alias="to",
        description="Only notifications created on this day or earlier, as a key or a Gregorian date.",
        json_schema_extra={"pattern": KEY_PATTERN},
    )


class NotificationsParameters(PageParameters, NarrowingParameters):
    """The parameters of ``GET /api/notifications``."""

    status: NotificationStatus | None = Field(default=None, description="Only notifications with this status.")
    channel: str | None = Field(
        default=None,
        description="Only notifications with a log of this channel, such as `sms`.",
        pattern=CHANNEL_PATTERN,
        examples=["sms"],
    )
    log_status: tuple[LogStatus, ...] = Field(
        default=(),
        description="Only notifications with a log in one of these statuses (repeat the parameter for several). With "
        "`channel`, the log of that channel must have the status.",
    )
    limit: PageLimit = 100
    cursor: PageCursor = None

    def query(self) -> Hashable:
        """See `PageParameters.query`."""
        narrowed = self.tenant, self.user_id, self.first, self.last, self.status and self.status.value
        return *narrowed, self.channel, *sorted(self.log_status), self.limit

    @property
    def logs(self) -> LogFilter | None:
        """The logs of which a notification must have one; None for any."""
        if self.channel is None and not self.log_status:
            return None
        channels = () if self.channel is None else (self.channel,)
        return LogFilter(frozenset(self.log_status or LogStatus), frozenset(channels))


@dataclass(frozen=True, slots=True)
class Days:
    """Converts the days in ``from`` and ``to`` to instants.

    :param calendar: of the keys.
    :param time_zone: IANA name of the zone in which days begin.
    """

    calendar: Calendar
    time_zone: str

    def interval_ms(self, fields: Mapping[str, Any], findings: Findings) -> tuple[int | None, int | None]:
        """The begin of the first day and the end of the last; None for a day that is not given, or has an error."""
        first, last = range_in(fields, self.calendar, Mode.DAILY, findings)
        if first is None and last is None:
            return None, None
        from core.calendar.days import LocalDays  # loads NumPy

        start_ms = LocalDays(self.time_zone).start_ms
        return (
            None if first is None else start_ms(first.first_day),
            None if last is None else start_ms(last.last_day + 1),
        )


def page(access: StoreAccess, caller: Principal, query_string: str, days: Days) -> tuple[Notifications, str | None]:
    """The page, and the address of the next one; None after the last page.

    Neither the page nor the cursor shows whether there is anything that `caller` may not see.

    :raises Problem: bad parameter, or out of scope: see `tenant_to_list`.
    :raises StoreUnavailable: the store does not answer.
    """
    findings = Findings()
    fields = fields_of(query_string, findings, _LISTS)
    from_ms, before_ms = days.interval_ms(fields, findings)
    parameters, after = page_in(NotificationsParameters, fields, findings, place_in)

    wanted = NotificationFilter(
        user_id=parameters.user_id,
        status=parameters.status,
        logs=parameters.logs,
        from_ms=from_ms,
        before_ms=before_ms,
    )

    def visible(stores: Stores) -> list[Listed]:
        narrowed = visible_to(stores, caller, parameters.tenant, wanted)
        return stores.notifications.listed(narrowed, after=after, limit=parameters.limit + 1)

    def cursor_after(last: Listed, query: Hashable) -> str:
        return cursor_of((last.notification.created_at_ms, last.notification.id), query)

    found, cursor, following = cut(PATH, parameters, access.call(visible), cursor_after)
    return Notifications(notifications=list(map(listed_view, found)), next_cursor=cursor), following


def counts(access: StoreAccess, caller: Principal, query_string: str, days: Days) -> NotificationCounts:
    """The number of notifications that `caller` may see with each combination of channels and statuses.

    :raises Problem: see `page`.
    :raises StoreUnavailable: the store does not answer.
    """
    findings = Findings()
    fields = fields_of(query_string, findings)
    from_ms, before_ms = days.interval_ms(fields, findings)
    parameters = validated(NarrowingParameters, fields, findings)
    findings.raise_if_any()

    wanted = NotificationFilter(user_id=parameters.user_id, from_ms=from_ms, before_ms=before_ms)

    def visible(stores: Stores) -> list[StateCount]:
        return stores.notifications.state_counts(visible_to(stores, caller, parameters.tenant, wanted), limit=COUNTED)

    found = access.call(visible)
    return NotificationCounts(
        counts=[
            NotificationCount(
                status=status_of([status for _, status in one.logs]), logs=dict(one.logs), notifications=one.count
            )
            for one in found
        ],
        complete=sum(one.count for one in found) < COUNTED,
        created_from=iso_instant_or_none(from_ms),
        created_before=iso_instant_or_none(before_ms),
    )
