"""The operations for programs, in the order of the documentation; without the pages for people."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from api.auth.session_resource import SignIn
from api.http.request_body import Nothing
from api.notifications.contacts_resource import PATH as USERS_PATH
from api.notifications.contacts_resource import UsersParameters
from api.notifications.idempotency import HEADER, PATTERN
from api.notifications.listing import COUNTED, NarrowingParameters, NotificationsParameters
from api.notifications.listing import PATH as NOTIFICATIONS_PATH
from api.notifications.payloads import Contacts, NewNotification, NewSubscription, Retry, RetryAll
from api.notifications.subscriptions_resource import PATH as SUBSCRIPTIONS_PATH
from api.notifications.subscriptions_resource import SubscriptionsParameters
from api.notifications.tenants import OfTenant, OfUser
from api.openapi import bodies
from api.openapi.operation import JSON, Operation, Tag
from api.problems import ProblemKind
from api.summaries.merchants import PATH as MERCHANTS_PATH
from api.summaries.merchants import MerchantsParameters
from api.summaries.series import PATH as SUMMARY_PATH
from api.summaries.series import SummaryParameters
from core.notifications.model import RETENTION_DAYS
from core.notifications.values import ID_PATTERN
from core.stores.api_keys import Scope

OF_A_MERCHANT: Final = "merchant:{merchant_id}"
"""The scope of one merchant's summaries."""

PATH_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "notification_id": {
        "description": "The `id` of the notification.",
        "schema": {"type": "string", "examples": ["bl3242i67mrn3pykcbnxtwocpq"]},
    },
    "subscription_id": {
        "description": "The `id` of the subscription.",
        "schema": {"type": "string", "examples": ["o6u24tp4vhtzjgmcowk6ts5ol4"]},
    },
    "user_id": {
        "description": "The id of the user in your own systems, percent-encoded (a slash as `%2F`).",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": ID_PATTERN, "examples": ["sara"]},
    },
}
"""The parameters in paths, by name."""

IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "An idempotency key that you choose for this request: 1 to 255 visible ASCII characters. If you "
    "repeat the request with the same key and body, nothing new is created, and you receive what the first request "
    "created. All API keys of a tenant share their idempotency keys. An idempotency key is stored for at least "
    f"{RETENTION_DAYS} days after the notification is finished or the subscription has ended.",
    "schema": {"type": "string", "pattern": PATTERN},
}

_CONTACTS_PATH: Final = "/api/users/{user_id}/contacts"

_summaries = partial(Operation, tag=Tag.SUMMARIES, scopes=(Scope.SUMMARIES, OF_A_MERCHANT), has_etag=True)
_notifications = partial(Operation, tag=Tag.NOTIFICATIONS, scopes=(Scope.NOTIFICATIONS,))
_contacts = partial(Operation, tag=Tag.CONTACTS, scopes=(Scope.NOTIFICATIONS,))
_subscriptions = partial(Operation, tag=Tag.SUBSCRIPTIONS, scopes=(Scope.NOTIFICATIONS,))
_account = partial(Operation, tag=Tag.ACCOUNT)
_service = partial(Operation, tag=Tag.SERVICE)

OPERATIONS: Final = (
    _summaries(
        "getSummary",
        SUMMARY_PATH,
        "Get the daily, weekly or monthly series of merchants",
        "Returns one value for each period, ascending by key: the sum of amounts or the number of transactions of one "
        "merchant, of each of several merchants, or of all merchants together. Values are exact integers, also above "
        "2^53, which `JSON.parse` of JavaScript would round: use `values=string` in JavaScript.\n\n"
        "Keys of periods are in the calendar of `/api/me`, in ASCII digits. `from` and `to` also accept Persian digits "
        "and Gregorian dates. With `limit`, the header `Link` has the next page. All pages are from one publication: "
        "after a new publication, the cursor is refused with 409, and you start again without a cursor.",
        "The series, ascending by key. Periods without transactions are absent unless `fill=zero`. With `format=csv` "
        "the columns are the fields of a point, in this order: `merchant_id`, `key`, `value`, `label`, `start`, `end`, "
        "`complete`, `merchant_name`. Columns other than `key` and `value` are present only if requested. Ids and "
        "names that a spreadsheet would evaluate as a formula are prefixed with an apostrophe.",
        {JSON: bodies.Series, "text/csv": None},
        parameters=SummaryParameters,
        problems=(ProblemKind.UNKNOWN_MERCHANT,),
    ),
    _summaries(
        "listMerchants",
        MERCHANTS_PATH,
        "List merchants with their totals",
        "Returns merchants with the sum of their amounts and the number of their transactions: of all days, or of the "
        "periods from `from` to `to`. An API key for some merchants receives only these merchants.",
        "A page of merchants, in the order of `sort`. With `format=csv` the columns are `merchant_id`, `amount`, "
        "`count`, and with `locale` `name`. Ids and names that a spreadsheet would evaluate as a formula are prefixed "
        "with an apostrophe.",
        {JSON: bodies.Merchants, "text/csv": None},
        parameters=MerchantsParameters,
    ),
    _notifications(
        "createNotification",
        NOTIFICATIONS_PATH,
        "Send a message to a user",
        "Stores the message with one delivery log per channel. A worker sends it soon; if the queue is down, it "
        "is sent when the queue is back. The address of the user is read at each attempt.\n\n"
        "If you receive 503 or no response, send the request again with the same `Idempotency-Key`: the message is "
        "created only once. A text that is too long for a channel (SMS: ten short messages, Telegram: 4096 UTF-16 "
        "units) is a `bad-parameter` that names the channel and its limit.",
        "The notification was created.",
        {JSON: bodies.Notification},
        method="POST",
        status=201,
        takes_idempotency_key=True,
        parameters=OfUser,
        request=NewNotification,
    ),
    _notifications(
        "listNotifications",
        NOTIFICATIONS_PATH,
        "List notifications",
        "Returns the notifications of the tenant, newest first. New notifications do not shift the pages. The `status` "
        "in a list may be slightly outdated; the status of a single notification is current. Announcements of "
        "summaries that the key may not read are left out.",
        "A page of notifications, newest first.",
        {JSON: bodies.Notifications},
        parameters=NotificationsParameters,
    ),
    _notifications(
        "countNotifications",
        f"{NOTIFICATIONS_PATH}/counts",
        "Count notifications by status and channel",
        "Returns the number of notifications of the tenant for each combination of channels and statuses. Add up these "
        "numbers to count notifications by status, messages by channel, or both. If there are more than "
        f"{COUNTED:,} notifications, only the newest are counted, and `complete` is false. Announcements of summaries "
        "that the key may not read are left out.",
        "The number of notifications of each combination.",
        {JSON: bodies.NotificationCounts},
        parameters=NarrowingParameters,
    ),
    _notifications(
        "getNotification",
        f"{NOTIFICATIONS_PATH}/{{notification_id}}",
        "Get a notification and its delivery",
        "Returns the notification with the delivery log of each channel and its events. To read, retry or cancel an "
        "announcement of summaries, the key must be allowed to read those summaries. For a notification of another "
        "tenant, the response is 404.",
        "The notification with its delivery logs, and the masked addresses of its user.",
        {JSON: bodies.NotificationDetails},
    ),
    _notifications(
        "retryNotification",
        f"{NOTIFICATIONS_PATH}/{{notification_id}}/retry",
        "Send a notification again",
        "Sends the notification again over the channels whose log is `dead`, `unknown` or `printed`. If a log is "
        "`unknown`, the user may receive the message twice. Fails with `not-possible` if no log has one of these "
        "statuses, or if the notification has expired.",
        "The notification, with the logs that are now `pending` again.",
        {JSON: bodies.Notification},
        method="POST",
        request=Retry,
        request_needed=False,
        problems=(ProblemKind.NOT_POSSIBLE,),
    ),
    _notifications(
        "retryNotifications",
        f"{NOTIFICATIONS_PATH}/retry",
        "Send all messages that match a filter again",
        "Sends again the messages whose log has one of `statuses`, the newest notifications first. At most `limit` "
        "notifications are examined. If the response has a `next_cursor`, repeat the request with it as `cursor`. "
        "Announcements of summaries that the key may not read are left out.",
        "The numbers of notifications and messages that are sent again.",
        {JSON: bodies.RetriedNotifications},
        method="POST",
        parameters=OfTenant,
        request=RetryAll,
        problems=(ProblemKind.STALE_CURSOR,),
    ),
    _notifications(
        "cancelNotification",
        f"{NOTIFICATIONS_PATH}/{{notification_id}}/cancel",
        "Cancel a notification",
        "Cancels the delivery over every channel on which it is not finished. An attempt in progress is completed "
        "(`cancelling`) and not repeated. Cancelling again changes nothing. Fails with `not-possible` if the delivery "
        "is finished on every channel.",
        "The notification after the cancellation.",
        {JSON: bodies.Notification},
        method="POST",
        request=Nothing,
        request_needed=False,
        problems=(ProblemKind.NOT_POSSIBLE,),
    ),
    _contacts(
        "getContacts",
        _CONTACTS_PATH,
        "Get the addresses of a user",
        "Returns the address of the tenant's user for each channel. An unknown user has no addresses.",
        "The addresses of the user.",
        {JSON: bodies.UserContacts},
        parameters=OfUser,
    ),
    _contacts(
        "listContacts",
        USERS_PATH,
        "List users with their addresses",
        "Returns the users of one tenant that have an address, with all their addresses.",
        "A page of users, by `user_id`.",
        {JSON: bodies.UsersContacts},
        parameters=UsersParameters,
    ),
    _contacts(
        "replaceContacts",
        _CONTACTS_PATH,
        "Replace the addresses of a user",
        "Replaces all addresses of the tenant's user. Messages that are not sent yet are sent to the new "
        "addresses, so the key must be allowed to read all summaries to which the user is subscribed.",
        "The new addresses, in their normal form.",
        {JSON: bodies.UserContacts},
        method="PUT",
        parameters=OfUser,
        request=Contacts,
    ),
    _subscriptions(
        "createSubscription",
        SUBSCRIPTIONS_PATH,
        "Subscribe a user to summaries",
        "After the end of each period the user receives a message with its sum and count. Periods that ended before "
        "the subscription, and later corrections, are not announced. The key must be allowed to read the summaries. "
        'The body has either `merchant_id` or `"all_merchants": true`. The subscription is also created if the '
        "merchant has no transactions yet, the user no address, or the channel no gateway: `warnings` name what is "
        "missing.\n\n"
        "Subscriptions may overlap: a user receives one message for each merchant, period and channel, in the language "
        "of the oldest subscription. A subscription belongs to the tenant, and stays active when the key that created "
        "it is revoked.",
        "The subscription was created.",
        {JSON: bodies.CreatedSubscription},
        method="POST",
        status=201,
        takes_idempotency_key=True,
        parameters=OfUser,
        request=NewSubscription,
        found="An equal subscription is already active. The body is that subscription; nothing was created.",
    ),
    _subscriptions(
        "listSubscriptions",
        SUBSCRIPTIONS_PATH,
        "List active subscriptions",
        "Returns the active subscriptions of the tenant, oldest first. Subscriptions to summaries that the key may not "
        "read are left out.",
        "A page of active subscriptions, oldest first.",
        {JSON: bodies.Subscriptions},
        parameters=SubscriptionsParameters,
    ),
    _subscriptions(
        "getSubscription",
        f"{SUBSCRIPTIONS_PATH}/{{subscription_id}}",
        "Get a subscription",
        "Returns a subscription, active or ended. The key must be allowed to read its summaries. For a "
        "subscription of another tenant, the response is 404.",
        "The subscription.",
        {JSON: bodies.Subscription},
    ),
    _subscriptions(
        "endSubscription",
        f"{SUBSCRIPTIONS_PATH}/{{subscription_id}}",
        "End a subscription",
        "Ends the subscription: no more messages are created. Messages that were created before are still sent, unless "
        "you cancel them. Ending it again changes nothing.",
        "The ended subscription.",
        {JSON: bodies.Subscription},
        method="DELETE",
    ),
    _account(
        "getMe",
        "/api/me",
        "Get the rights of the caller and the published days",
        "Returns what a client needs before other requests: its scopes, the calendar and time zone of periods, the "
        "currency of amounts, and the first and last day with transactions.",
        "The rights of the caller and the published days.",
        {JSON: bodies.Me},
        scopes=(),
    ),
    _account(
        "signIn",
        "/api/session",
        "Start the session of a browser",
        "Exchanges the token of a sign-in link for a session cookie (`HttpOnly`, `SameSite=Strict`) with all scopes, "
        "valid for 12 hours. Only pages of this server may call it; programs use a key.",
        "The session was started; `Set-Cookie` has it.",
        {JSON: bodies.SessionState},
        method="POST",
        request=SignIn,
        problems=(ProblemKind.CROSS_SITE, ProblemKind.BAD_LINK),
    ),
    _account(
        "signOut",
        "/api/session",
        "End the session of a browser",
        "Ends the session of the cookie: at once in this worker of the server, within `API_FRESHNESS_S` seconds in the "
        "others.",
        "The browser has no session.",
        {JSON: bodies.SessionState},
        method="DELETE",
        problems=(ProblemKind.CROSS_SITE,),
    ),
    _service(
        "getStatus",
        "/api/status",
        "Get the state of the summaries and runs",
        "Returns what is published and how old it is, the rejects and document counts of the last successful run, the "
        "last failure, and the run in progress.",
        "The state of the summaries.",
        {JSON: bodies.Status},
        scopes=(Scope.OPERATE,),
    ),
    _service(
        "getHealth",
        "/healthz",
        "Check that the process is alive",
        "Responds without reading the store. Needs no key and is not rate-limited.",
        "The process is alive.",
        {JSON: bodies.Health},
        guarded=False,
    ),
    _service(
        "getReadiness",
        "/readyz",
        "Check that summaries are served",
        "Responds with 200 if the store responds and summaries are published, otherwise with 503. Needs no key; only a "
        "caller with the scope `operate` receives the reason and the version.",
        "Summaries are served.",
        {JSON: bodies.Ready},
    ),
    _service(
        "getMetrics",
        "/metrics",
        "Get metrics for Prometheus",
        "Returns the metrics of all workers of the server, in the text format of Prometheus or, if `Accept` prefers "
        "it, in OpenMetrics. While the store does not answer, `transaction_summary_store_up` is 0, the last metrics of "
        "publications and runs are left out, and keys that were valid within the last day are accepted.",
        "The metrics of all workers.",
        {"text/plain": None, "application/openmetrics-text": None},
        scopes=(Scope.OPERATE,),
    ),
)
