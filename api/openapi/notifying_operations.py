"""The operations about notifications, contacts and subscriptions, in the order in which people read of them."""

from __future__ import annotations

from typing import Any, Final

from api.notifying.listing import PATH as NOTIFICATIONS_PATH
from api.notifying.listing import NotificationsParameters
from api.notifying.payloads import Contacts, NewNotification, NewSubscription, Nothing, Retry
from api.notifying.repeating import HEADER, PATTERN
from api.notifying.subscription_list import PATH as SUBSCRIPTIONS_PATH
from api.notifying.subscription_list import SubscriptionsParameters
from api.notifying.values import ID_PATTERN
from api.openapi import notifying_bodies as bodies
from api.openapi import notifying_examples as examples
from api.openapi.operation import JSON, Operation, Tag, in_header, in_path
from api.problems import ProblemKind
from core.notifications.model import KEPT_DAYS
from core.stores.keys import Scope

_READING: Final = (ProblemKind.BAD_PARAMETER, ProblemKind.BAD_REQUEST, ProblemKind.OUT_OF_SCOPE)
_WRITING: Final = (*_READING, ProblemKind.UNSUPPORTED_MEDIA_TYPE)
_SCOPES: Final = (Scope.NOTIFICATIONS,)
_NOTIFICATION_ID: Final = (in_path("notification_id", "Of the answer that made it.", examples=[examples.FAILED_ID]),)
_SUBSCRIPTION_ID: Final = (
    in_path("subscription_id", "Of the answer that made it.", examples=[examples.SUBSCRIPTION_ID]),
)
_USER_ID: Final = (
    in_path(
        "user_id",
        "Whatever your systems call the user, percent-encoded, slashes too.",
        minLength=1,
        maxLength=128,
        pattern=ID_PATTERN,
        examples=["sara"],
    ),
)
_IDEMPOTENCY_KEY: Final[dict[str, Any]] = in_header(
    HEADER,
    "Names the request: sent again with the same key and body it makes nothing new, and is answered with what it made "
    f"before. Keys of different callers never meet. They lapse when the operator prunes what they made, {KEPT_DAYS} "
    "days after it has ended at the earliest.",
    pattern=PATTERN,
)

NOTIFYING: Final = (
    Operation(
        "createNotification",
        NOTIFICATIONS_PATH,
        Tag.NOTIFICATIONS,
        "Send a message to a user",
        "It is kept, with a log for each channel, when this answers, and sent soon after, also when the queue is down "
        "at the moment. Where the user is reached is looked up at each attempt.\n\n"
        "After a 503, or no answer at all, send it again with the same `Idempotency-Key`: it is made once.\n\n"
        "A text that is too long for the gateway of one of its channels (such as ten short messages, or 4096 UTF-16 "
        "units for Telegram) is a `bad-parameter` that names the channel and its limit.",
        {JSON: bodies.Notification},
        method="POST",
        status=201,
        header_parameters=(_IDEMPOTENCY_KEY,),
        request=NewNotification,
        problems=(*_WRITING, ProblemKind.IDEMPOTENCY_CONFLICT),
        scopes=_SCOPES,
        examples=examples.NEW,
    ),
    Operation(
        "listNotifications",
        NOTIFICATIONS_PATH,
        Tag.NOTIFICATIONS,
        "Notifications, the newest first, in pages",
        "Pages stay what they are when others are made meanwhile. The status in a list may be a moment behind; that of "
        "a single notification never is. Announcements of summaries that the key may not read are left out, so that a "
        "page may have fewer than `limit`, also none, though others follow.",
        {JSON: bodies.Notifications},
        parameters=NotificationsParameters,
        problems=(*_READING, ProblemKind.STALE_CURSOR),
        scopes=_SCOPES,
        examples=examples.LIST,
        paged=True,
    ),
    Operation(
        "getNotification",
        f"{NOTIFICATIONS_PATH}/{{notification_id}}",
        Tag.NOTIFICATIONS,
        "A notification with the history of its delivery",
        "Its status follows from its logs, and theirs from what happened to them. The key must be allowed to read the "
        "summaries that an announcement tells of; likewise to retry and to cancel it.",
        {JSON: bodies.Notification},
        path_parameters=_NOTIFICATION_ID,
        problems=(*_READING, ProblemKind.UNKNOWN_NOTIFICATION),
        scopes=_SCOPES,
        examples=examples.ONE,
    ),
    Operation(
        "retryNotification",
        f"{NOTIFICATIONS_PATH}/{{notification_id}}/retry",
        Tag.NOTIFICATIONS,
        "Send again what is dead, unknown or printed",
        "A log that is `unknown` may have reached the user already: only people can tell. `not-possible` when no log "
        "is `dead`, `unknown` or `printed`, or the notification has expired.",
        {JSON: bodies.Notification},
        method="POST",
        path_parameters=_NOTIFICATION_ID,
        request=Retry,
        request_needed=False,
        problems=(*_WRITING, ProblemKind.UNKNOWN_NOTIFICATION, ProblemKind.NOT_POSSIBLE),
        scopes=_SCOPES,
        examples=examples.RETRY,
    ),
    Operation(
        "cancelNotification",
        f"{NOTIFICATIONS_PATH}/{{notification_id}}/cancel",
        Tag.NOTIFICATIONS,
        "Do not send what was not sent yet",
        "Every open log is cancelled. An attempt that is under way is brought to its end (`cancelling`), and not "
        "repeated. Cancelling again changes nothing; `not-possible` when all logs have come to another end.",
        {JSON: bodies.Notification},
        method="POST",
        path_parameters=_NOTIFICATION_ID,
        request=Nothing,
        request_needed=False,
        problems=(*_WRITING, ProblemKind.UNKNOWN_NOTIFICATION, ProblemKind.NOT_POSSIBLE),
        scopes=_SCOPES,
        examples=examples.CANCEL,
    ),
    Operation(
        "getContacts",
        "/api/users/{user_id}/contacts",
        Tag.NOTIFICATIONS,
        "Where a user is reached",
        "No addresses for a user of whom nothing is known. Any key of the scope may read them, also of users who are "
        "told of summaries that it may not read: only replacing them leads those elsewhere.",
        {JSON: bodies.UserContacts},
        path_parameters=_USER_ID,
        problems=_READING,
        scopes=_SCOPES,
        examples=examples.CONTACTS,
    ),
    Operation(
        "replaceContacts",
        "/api/users/{user_id}/contacts",
        Tag.NOTIFICATIONS,
        "Let a user be reached at these addresses, and nowhere else",
        "The answer has them in the form in which they are kept. What is not sent yet goes to the new ones: "
        "the key must be allowed to read all summaries of which the user is told.",
        {JSON: bodies.UserContacts},
        method="PUT",
        path_parameters=_USER_ID,
        request=Contacts,
        problems=_WRITING,
        scopes=_SCOPES,
        examples=examples.NEW_CONTACTS,
    ),
    Operation(
        "createSubscription",
        SUBSCRIPTIONS_PATH,
        Tag.NOTIFICATIONS,
        "Tell a user of the summaries of each period that ends",
        "Whoever subscribes must be allowed to read those summaries. The merchant need not have transactions yet. "
        "Periods that ended before, and corrections, are not told of.\n\n"
        "Where one in force tells the user the same over the same channels, that one is the answer, with the status "
        "200. Subscriptions may overlap: a user receives one notification for each merchant, period and channel, in "
        "the language of the oldest that asks for it. A subscription outlives the key that made it.",
        {JSON: bodies.Subscription},
        method="POST",
        status=201,
        header_parameters=(_IDEMPOTENCY_KEY,),
        request=NewSubscription,
        may_be_there=True,
        problems=(*_WRITING, ProblemKind.IDEMPOTENCY_CONFLICT),
        scopes=_SCOPES,
        examples=examples.NEW_SUBSCRIPTION,
    ),
    Operation(
        "listSubscriptions",
        SUBSCRIPTIONS_PATH,
        Tag.NOTIFICATIONS,
        "Subscriptions that have not ended, the oldest first, in pages",
        "Only those to summaries that the key may read: a page may have fewer than `limit`, also none, though others "
        "follow.",
        {JSON: bodies.Subscriptions},
        parameters=SubscriptionsParameters,
        problems=(*_READING, ProblemKind.STALE_CURSOR),
        scopes=_SCOPES,
        examples=examples.SUBSCRIPTIONS,
        paged=True,
    ),
    Operation(
        "getSubscription",
        f"{SUBSCRIPTIONS_PATH}/{{subscription_id}}",
        Tag.NOTIFICATIONS,
        "A subscription, also an ended one",
        "The key must be allowed to read those summaries.",
        {JSON: bodies.Subscription},
        path_parameters=_SUBSCRIPTION_ID,
        problems=(*_READING, ProblemKind.UNKNOWN_SUBSCRIPTION),
        scopes=_SCOPES,
        examples=examples.SUBSCRIPTION,
    ),
    Operation(
        "endSubscription",
        f"{SUBSCRIPTIONS_PATH}/{{subscription_id}}",
        Tag.NOTIFICATIONS,
        "End a subscription",
        "It is kept, and tells of nothing that is not announced yet. What was announced before is still sent, to where "
        "the user is reached by then; cancel it if it shall not be. Ending again changes nothing.",
        {JSON: bodies.Subscription},
        method="DELETE",
        path_parameters=_SUBSCRIPTION_ID,
        problems=(*_WRITING, ProblemKind.UNKNOWN_SUBSCRIPTION),
        scopes=_SCOPES,
        examples=examples.END,
    ),
)
