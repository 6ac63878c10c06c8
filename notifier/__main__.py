"""The command line for operators of the notifier: ``python -m notifier VERB …``.

Exit codes: 0 done, 1 failed, 2 usage, 3 the outcome of a test message is unknown. An error is one sentence and a
hint on standard error; with ``--json`` also an object on standard output. The workers are started with ``celery -A core
worker`` and ``celery -A core beat``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import typer

from core.command_line import Json, Program, Store, Version, command_group, counted, opened, print_result
from core.notifications.model import RETENTION_DAYS

app = command_group(
    "Manage notifications, subscriptions and contacts, and test senders.", cls=Program, name="python -m notifier"
)
senders = command_group("Test senders.")
subscriptions = command_group("Manage subscriptions of users to summaries.")
contacts = command_group("Manage the contacts of users.")
app.add_typer(contacts, name="contacts")
app.add_typer(senders, name="senders")
app.add_typer(subscriptions, name="subscriptions")


class ModeOption(StrEnum):
    """The modes, named here so that help does not import the calendar."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class RetriableOption(StrEnum):
    """The statuses of messages that can be sent again."""

    DEAD = "dead"
    UNKNOWN = "unknown"
    PRINTED = "printed"


Locale = Annotated[Literal["fa", "en"], typer.Option(help="Language of the messages.")]
User = Annotated[str, typer.Argument(metavar="USER", help="Id of the user.")]
Tenant = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Tenant of the user, from python -m api keys list, or operator. [default: operator; required if a tenant "
        "has a user with this id]",
    ),
]


@app.callback()
def _common(version: Version = False) -> None:
    pass


@app.command()
def status(
    notification: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Id of a notification: show its history.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="Number of failed notifications to list.")] = 5,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Show the status of messages.

    Shows messages by channel and status, the oldest message that is due, the queue, settings that differ between this
    command and the workers, and the latest failures; or the history of one notification.
    """
    from notifier.commands import status as command

    command.run(notification, limit, store, as_json)


@app.command()
def retry(
    notifications: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of notifications, from status.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this channel; may be repeated.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Send again all messages of the last --hours with the --status.")
    ] = False,
    status: Annotated[
        list[RetriableOption] | None,
        typer.Option(help="With --all: only this status; may be repeated. [default: dead]"),
    ] = None,
    hours: Annotated[float, typer.Option(min=0, max=100_000, help="With --all: maximum age in hours.")] = 24,
    since: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="INSTANT", help="Instead of --hours: created at this time or later, such as 2027-01-31."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="INSTANT", help="With --all: created before this time. [default: any]")
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --all: only messages of this tenant; operator for the operator's own."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="With --all: maximum number of notifications to examine.")
    ] = 10_000,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Send messages again that are dead, unknown or printed.

    An unknown message may have arrived, so the user may receive it twice. --all sends only dead messages, unless
    --status names others. Days of --from and --to begin at midnight UTC.
    """
    from notifier.commands import retry as command

    statuses = frozenset(option.value for option in status or (RetriableOption.DEAD,))
    chosen = command.RetryFilter(statuses, hours if since is None else since, until, tenant, limit) if every else None
    narrowing = {"--status": status, "--from": since, "--to": until, "--tenant": tenant}
    given = [option for option, value in narrowing.items() if value]
    command.run(tuple(notifications or ()), tuple(channel or ()), chosen, given, store, as_json)


@app.command()
def send(
    user: User,
    title: Annotated[str, typer.Option(metavar="TEXT", help="Title, one line.")],
    body: Annotated[str, typer.Option(metavar="TEXT", help="Text; may have several lines.")],
    channel: Annotated[list[str], typer.Option(metavar="NAME", help="Channel; may be repeated.")],
    locale: Locale = "fa",
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Expiry of the message: 12h, 90d, 2027-01-31 or 2027-01-31T18:00Z."),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Idempotency key: with the same key the message is created only once."),
    ] = None,
    tenant: Tenant = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Send a message to a user, as the API does.

    Stores and queues the message, and prints its id; a worker sends it. The command status ID shows the delivery.
    """
    from notifier.commands import send as command

    command.run(user, title, body, tuple(channel), locale, expires, idempotency_key, tenant, store, as_json)


@app.command()
def announce(store: Store = None, as_json: Json = False) -> None:
    """Announce ended periods to subscribers now.

    beat does the same every minute.
    """
    from core.stores import wall_clock_ms
    from notifier.announce import Announcer

    with opened(store) as (settings, stores):
        made = sum(iter(Announcer.from_settings(settings, stores, wall_clock_ms).run, 0))
    queued_later = "; the sweep will queue them" if made else ""
    print_result(as_json, {"made": made}, f"Created {counted(made, 'notification')}{queued_later}.")


@app.command(
    help="Remove old notifications and ended subscriptions.\n\nRemoves notifications with their history, but never "
    "those that are not finished. An Idempotency-Key is removed with its notification, so DAYS must be at least "
    f"{RETENTION_DAYS}, and at least a day more than NOTIFY_NOT_AFTER_S."
)
def prune(
    older_than: Annotated[
        int, typer.Option(min=1, max=36_500, metavar="DAYS", help="Minimum number of days since they were finished.")
    ],
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Also remove notifications with a message whose outcome is unknown.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; remove nothing.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    from notifier.commands import prune as command

    command.run(older_than, unknown, dry_run, store, as_json)


@app.command()
def sweep(store: Store = None, as_json: Json = False) -> None:
    """Queue the messages that are due.

    beat does the same every few seconds.
    """
    from core.notifications.background_queue import QUEUE_LIMIT
    from core.stores import wall_clock_ms
    from notifier.commands.queue import Queue
    from notifier.sweep import Sweep

    with opened(store) as (settings, stores):
        queue = Queue(settings)
        queued = Sweep(
            stores.notifications,
            queue.put,
            lambda: QUEUE_LIMIT - queue.length(),
            again_after_s=settings.notify_lease_s,
            clock=wall_clock_ms,
        ).run()
    print_result(as_json, {"queued": queued}, f"Queued {counted(queued, 'notification')}.")


@contacts.command("set")
def set_contacts(
    user: User,
    addresses: Annotated[
        list[str],
        typer.Argument(
            metavar="CHANNEL=ADDRESS", help="Addresses, such as sms=09127654321 email=sara@example.com telegram=@sara."
        ),
    ],
    tenant: Tenant = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Set addresses of a user.

    Addresses of other channels do not change. Prints all addresses of the user.
    """
    from notifier.commands import contacts as command

    command.put(user, addresses, tenant, store, as_json)


@contacts.command("show")
def show_contacts(user: User, tenant: Tenant = None, store: Store = None, as_json: Json = False) -> None:
    """Show the addresses of a user."""
    from notifier.commands import contacts as command

    command.show(user, tenant, store, as_json)


@contacts.command("remove")
def remove_contacts(
    user: User,
    channels: Annotated[
        list[str] | None, typer.Argument(metavar="[CHANNEL]...", help="Channels to remove. [default: all]")
    ] = None,
    tenant: Tenant = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Remove addresses of a user.

    An address that does not exist is ignored.
    """
    from notifier.commands import contacts as command

    command.remove(user, tuple(channels or ()), tenant, store, as_json)


@senders.command("test")
def try_sender(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="A channel of NOTIFY_SENDERS, such as sms.")],
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Address, such as 09121234567.")],
    body: Annotated[str | None, typer.Option(metavar="TEXT", help="Text to send. [default: a sentence]")] = None,
    locale: Locale = "fa",
    as_json: Json = False,
) -> None:
    """Send one message now, without the queue.

    Exit code 0: the gateway accepted it, or the sender print logged it; 1: nothing was sent; 3: the outcome is unknown.
    The settings of this command are used; a warning lists those that differ in a worker.
    """
    from notifier.commands import senders as command

    command.run(channel, address, body, locale, as_json)


@subscriptions.command("add")
def add_subscription(
    user: Annotated[str, typer.Argument(metavar="USER", help="Id of the user, as in contacts.")],
    channel: Annotated[list[str], typer.Option(metavar="NAME", help="Channel; may be repeated.")],
    merchant: Annotated[str | None, typer.Option(metavar="ID", help="Merchant of the summaries.")] = None,
    all_merchants: Annotated[
        bool, typer.Option("--all-merchants", help="Summaries of all merchants together.")
    ] = False,
    mode: Annotated[
        list[ModeOption] | None, typer.Option(help="Length of the periods; may be repeated. [default: daily]")
    ] = None,
    locale: Locale = "fa",
    tenant: Tenant = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Subscribe a user to summaries.

    Prints the id of the subscription. Messages are sent to the contacts that the tenant has set for the user. All API
    keys of the tenant see the subscription.
    """
    from notifier.commands import subscriptions as command

    modes = frozenset(option.value for option in mode or (ModeOption.DAILY,))
    command.add(user, merchant, all_merchants, modes, tuple(channel), locale, tenant, store, as_json)


@subscriptions.command("list")
def list_subscriptions(
    user: Annotated[str | None, typer.Option(metavar="USER", help="Only subscriptions of users with this id.")] = None,
    tenant: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only subscriptions of this tenant; operator for the operator's own."),
    ] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also ended subscriptions.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """List the subscriptions of all tenants, oldest first."""
    from notifier.commands import subscriptions as command

    command.show(user, tenant, ended, store, as_json)


@subscriptions.command("end")
def end_subscription(
    subscription: Annotated[str, typer.Argument(metavar="ID", help="Id of the subscription, from subscriptions list.")],
    store: Store = None,
    as_json: Json = False,
) -> None:
    """End a subscription permanently.

    Messages that were already created are still sent.
    """
    from notifier.commands import subscriptions as command

    command.end(subscription, store, as_json)


if __name__ == "__main__":
    app()
