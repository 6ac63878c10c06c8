"""Retry and cancel of notifications for API callers, with their permissions."""

from __future__ import annotations

from collections.abc import Sequence

from api.auth.principal import Principal
from api.notifications.tenants import visible_to
from api.problems import ParameterError, Problem, ProblemKind, bad_parameters
from api.store_access import StoreAccess
from core.notifications.actions import (
    RetryResult,
    cancel,
    retry,
    retry_all,
    statuses_in_words,
    unknown_channels,
)
from core.notifications.events import LogStatus
from core.stores import Clock, Stores
from core.stores.notifications import LogFilter, NotificationFilter, StoredNotification


class NotificationActions:
    """Looks up, retries and cancels notifications in the stores behind `access`.

    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, access: StoreAccess, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    def stored(self, notification_id: str, caller: Principal) -> StoredNotification:
        """The notification with that id.

        :raises Problem: there is none that `caller` may see; or it announces summaries that `caller` may not read.
        """
        stored = self._access.call(lambda stores: stores.notifications.get(notification_id))
        if stored is None or not caller.may_touch(stored.notification.tenant):
            raise Problem(ProblemKind.UNKNOWN_NOTIFICATION, "There is no notification of this id.")
        if stored.notification.announces:
            caller.require_merchant(stored.notification.merchant_id)
        return stored

    def addresses(self, stored: StoredNotification) -> dict[str, str]:
        """The current addresses of the user of the notification, by channel."""
        one = stored.notification
        return self._access.call(lambda stores: stores.contacts.get(one.user_id, tenant=one.tenant))

    def retry(self, notification_id: str, channels: Sequence[str] | None, caller: Principal) -> StoredNotification:
        """Send again the logs that are dead, unknown or printed.

        :param channels: only these, or None for all.
        :raises Problem: there is no such notification or channel of it; `caller` may not read it; it has expired; none
            of the logs is dead, unknown or printed.
        """
        stored = self.stored(notification_id, caller)
        notification = stored.notification
        if strange := unknown_channels(notification, channels or ()):
            there = ", ".join(notification.channels)
            raise bad_parameters(
                [
                    ParameterError("channels", f"{channel!r} is not one of {there}", "not-a-choice")
                    for channel in strange
                ]
            )
        if notification.has_expired(self._clock()):
            raise Problem(ProblemKind.NOT_POSSIBLE, "The notification has expired: it would not be sent.")
        chosen = notification.channels if channels is None else channels
        retried = self._access.call(lambda stores: retry(stores.notifications, stored, chosen, self._clock))
        then = self.stored(notification_id, caller)
        if not retried:
            raise Problem(ProblemKind.NOT_POSSIBLE, f"Nothing to retry: {statuses_in_words(then, chosen)}.")
        return then

    def retry_all(
        self,
        wanted: NotificationFilter,
        logs: LogFilter,
        tenant: str | None,
        caller: Principal,
        *,
        limit: int,
        after: tuple[int, str] | None,
    ) -> RetryResult:
        """Send again all `logs` of the notifications that `wanted` selects and `caller` may see.

        :param tenant: whose notifications, if the operator names a tenant.
        :raises Problem: bad parameter, or out of scope: see `tenant_to_list`.
        """

        def retry(stores: Stores) -> RetryResult:
            narrowed = visible_to(stores, caller, tenant, wanted)
            return retry_all(stores.notifications, narrowed, logs, self._clock, limit=limit, after=after)

        return self._access.call(retry)

    def cancel(self, notification_id: str, caller: Principal) -> StoredNotification:
        """Cancel the open logs; an attempt under way is completed.

        :raises Problem: there is no such notification; `caller` may not read it; all of its logs have finished already.
        """
        stored = self.stored(notification_id, caller)
        cancelled = self._access.call(lambda stores: cancel(stores.notifications, stored, self._clock))
        then = self.stored(notification_id, caller)
        stopped = [log.state.cancelling or log.state.status is LogStatus.CANCELLED for log in then.logs]
        if not cancelled and not any(stopped):
            channels = then.notification.channels
            raise Problem(ProblemKind.NOT_POSSIBLE, f"Nothing to cancel: {statuses_in_words(then, channels)}.")
        return then
