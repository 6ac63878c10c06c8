"""What a user of a generated client writes. Its environment has the client only, and nothing of this repository.

``python program.py ORIGIN KEY`` prints what it received, as one JSON object.
"""

from __future__ import annotations

import json
import sys

from summaries_client import AuthenticatedClient, Client
from summaries_client.api.account import get_me
from summaries_client.api.contacts import replace_contacts
from summaries_client.api.notifications import cancel_notification, create_notification, get_notification
from summaries_client.api.service import get_health, get_status
from summaries_client.api.subscriptions import create_subscription, end_subscription, list_subscriptions
from summaries_client.api.summaries import get_summary, list_merchants
from summaries_client.models import (
    Contacts,
    ContactsContacts,
    GetSummaryInclude,
    GetSummaryValues,
    Measure,
    Mode,
    NewNotification,
    NewSubscription,
    Nothing,
)

_, origin, key = sys.argv
client = AuthenticatedClient(base_url=origin, token=key)
anyone = Client(base_url=origin)

days = {"mode": Mode.DAILY, "type_": Measure.AMOUNT}
series = get_summary.sync(client=client, **days, merchant_id=["corner-shop"], from_="1403/04/04")
several = get_summary.sync(
    client=client,
    **days,
    merchant_id=["corner-shop", "tea-house"],
    from_="2024-06-24",
    include=GetSummaryInclude.PERIOD,
    values=GetSummaryValues.STRING,
)
cached = get_summary.sync_detailed(client=client, **days)
unchanged = get_summary.sync_detailed(client=client, **days, if_none_match=cached.headers["ETag"])
unknown = get_summary.sync(client=client, **days, merchant_id=["nobody"])
pages = [list_merchants.sync(client=client, limit=2)]
pages.append(list_merchants.sync(client=client, limit=2, cursor=pages[0].next_cursor))
wrong = list_merchants.sync(client=client, limit=0)
refused = get_me.sync(client=anyone)

replace_contacts.sync("reza", client=client, body=Contacts(ContactsContacts.from_dict({"sms": "۰۹۱۲ ۷۶۵ ۴۳۲۱"})))
order = NewNotification(user_id="reza", title="Order 67", body="It is on its way.", channels=["sms"])
created = create_notification.sync(client=client, body=order, idempotency_key="order-67")
repeated = create_notification.sync(client=client, body=order, idempotency_key="order-67")
cancelled = cancel_notification.sync(created.id, client=client, body=Nothing())
found = get_notification.sync(created.id, client=client)

wanted = NewSubscription(user_id="reza", modes=[Mode.WEEKLY], channels=["sms"], merchant_id="corner-shop")
subscription = create_subscription.sync(client=client, body=wanted)
listed = list_subscriptions.sync(client=client, user_id="reza")
ended = end_subscription.sync(subscription.id, client=client)

print(
    json.dumps(
        {
            "series": {point.key: point.value for point in series},
            "several": [
                [point.merchant_id, point.key, point.value, f"{point.end - point.start}", point.complete]
                for point in several
            ],
            "pages": [[merchant.merchant_id for merchant in page.merchants] for page in pages],
            "after the last": pages[-1].next_cursor,
            "unchanged": unchanged.status_code,
            "merchants": list_merchants.sync(client=client).total,
            "problems": [unknown.type_.name, wrong.type_.name, refused.type_.name],
            "wrong": [error.parameter for error in wrong.errors],
            "created once": created.id == repeated.id,
            "cancelled": [cancelled.status.name, found.logs[0].history[0].kind.name],
            "subscriptions": [found.modes[0].name for found in listed.subscriptions],
            "ended": ended.ended_at is not None,
            "scopes": [scope.name for scope in get_me.sync(client=client).scopes],
            "filters": get_status.sync(client=client).published.filters,
            "health": get_health.sync(client=anyone).status,
        }
    )
)
