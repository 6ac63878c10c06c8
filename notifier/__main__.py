"""The command line of whoever operates the notifier: ``python -m notifier VERB …``.

Exit codes: 0 done, 1 failed, 2 usage, 3 a test message may have been sent, and nobody knows. A failure is one sentence
and a hint on standard error; with ``--json`` also an object on standard output. The workers themselves are started with
``celery -A core worker`` and ``celery -A core beat``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from core.command_line import Json, Program, Version
from core.notifications.model import RETENTION_DAYS

_HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=Program,
    name="python -m notifier",
    help="Look after notifications: what became of them, who is told of what, and whether the senders work.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # as in python -m jobs
    context_settings=_HELP,
)
senders = typer.Typer(
    help="Try what messages are sent with.", no_args_is_help=True, rich_markup_mode=None, context_settings=_HELP
)
subscriptions = typer.Typer(
    help="Who is told of which summaries once a period has ended.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=_HELP,
)
contacts = typer.Typer(
    help="Where users are reached.", no_args_is_help=True, rich_markup_mode=None, context_settings=_HELP
)
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


class LocaleOption(StrEnum):
    """The languages of messages."""

    FA = "fa"
    EN = "en"


Store = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="Where notifications are kept. [default: STORE_URL]")
]
Locale = Annotated[LocaleOption, typer.Option(help="The language of the messages.")]
User = Annotated[str, typer.Argument(metavar="USER", help="The id of the user, as in its contacts.")]
Tenant = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of which tenant the user is, as python -m api keys list shows them; operator for your own. "
        "[default: operator, unless a tenant has a user of this id]",
    ),
]


@app.callback()
def _common(version: Version = False) -> None:
    pass


@app.command()
def status(
    notification: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A notification's id: all that happened to it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="How many failed notifications to list.")] = 5,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Show how messages stand.

    How many of each channel, what has been due for longest, the queue, whether the workers have other settings than
    this command, and the latest failures; or all that happened to one notification.
    """
    from notifier.commands import status as command

    command.run(notification, limit, store, as_json)


@app.command()
def retry(
    notifications: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Notifications, as status shows their ids.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only over this channel; may be repeated.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All messages of --status, of notifications of the last --hours.")
    ] = False,
    status: Annotated[
        list[RetriableOption] | None,
        typer.Option(help="With --all: of which status; may be repeated. [default: dead]"),
    ] = None,
    hours: Annotated[
        float, typer.Option(min=0, max=100_000, help="With --all: how many hours ago they may have been made.")
    ] = 24,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="INSTANT", help="Instead of --hours: made then or later. Such as 2027-01-31."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="INSTANT", help="With --all: made before that. [default: any]")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --all: only those of this tenant; operator for your own.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="With --all: examine so many notifications at most.")
    ] = 10_000,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Send again what is dead, unknown or printed, whether or not other channels are still tried.

    An unknown message may have arrived: it may arrive twice. So --all leaves those out unless --status names them;
    likewise those that the sender print only logged. Days of --from and --to begin at midnight UTC.
    """
    from notifier.commands import retry as command

    statuses = frozenset(option.value for option in status or (RetriableOption.DEAD,))
    chosen = command.Filter(statuses, hours if since is None else since, until, tenant, limit) if every else None
    narrowing = {"--status": status, "--from": since, "--to": until, "--tenant": tenant}
    given = [option for option, value in narrowing.items() if value]
    command.run(tuple(notifications or ()), tuple(channel or ()), chosen, given, store, as_json)


@app.command()
def send(
    user: User,
    title: Annotated[str, typer.Option(metavar="TEXT", help="The title, one line.")],
    body: Annotated[str, typer.Option(metavar="TEXT", help="The text, in lines and paragraphs.")],
    channel: Annotated[list[str], typer.Option(metavar="NAME", help="Over which channel; may be repeated.")],
    locale: Locale = LocaleOption.FA,
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="When it is not sent any more: 12h, 90d, 2027-01-31 or 2027-01-31T18:00Z."),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="A name of yours: with the same one the same message is made once."),
    ] = None,
    tenant: Tenant = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Send a message to a user, as the API does.

    It is stored and queued, and a worker sends it; status ID shows what became of it. Standard output has only its id.
    """
    from notifier.commands import send as command

    command.run(user, title, body, tuple(channel), locale.value, expires, idempotency_key, tenant, store, as_json)


@app.command()
def announce(store: Store = None, as_json: Json = False) -> None:
    """Tell subscribers of ended periods.

    Makes the notifications that are to be made now, as beat does every minute.
    """
    from notifier.commands import due as command

    command.announce(store, as_json)


@app.command(
    help="Remove what is over.\n\nNotifications with all that happened to them, and subscriptions. Nothing that is "
    "open is removed, however old. An Idempotency-Key is forgotten with what it has made, so at least "
    f"{RETENTION_DAYS} days are kept, and a day more than NOTIFY_NOT_AFTER_S."
)
def prune(
    older_than: Annotated[
        int, typer.Option(min=1, max=36_500, metavar="DAYS", help="How many days ago they came to their end at least.")
    ],
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Also those with a message of which nobody knows whether it arrived.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many that would be.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    from notifier.commands import prune as command

    command.run(older_than, unknown, dry_run, store, as_json)


@app.command()
def sweep(store: Store = None, as_json: Json = False) -> None:
    """Queue whatever is due.

    Once, as beat does every few seconds.
    """
    from notifier.commands import due as command

    command.sweep(store, as_json)


@contacts.command("set")
def set_contacts(
    user: User,
    addresses: Annotated[
        list[str],
        typer.Argument(
            metavar="CHANNEL=ADDRESS", help="Such as sms=09127654321 email=sara@example.com telegram=@sara."
        ),
    ],
    tenant: Tenant = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Set addresses of a user.

    Those of other channels stay as they are. All addresses of the user are printed.
    """
    from notifier.commands import contacts as command

    command.put(user, addresses, tenant, store, as_json)


@contacts.command("show")
def show_contacts(user: User, tenant: Tenant = None, store: Store = None, as_json: Json = False) -> None:
    """Show where a user is reached."""
    from notifier.commands import contacts as command

    command.show(user, tenant, store, as_json)


@contacts.command("remove")
def remove_contacts(
    user: User,
    channels: Annotated[
        list[str] | None, typer.Argument(metavar="[CHANNEL]...", help="Of which channels. [default: all]")
    ] = None,
    tenant: Tenant = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Remove addresses of a user.

    Removing what is not there changes nothing.
    """
    from notifier.commands import contacts as command

    command.remove(user, tuple(channels or ()), tenant, store, as_json)


@senders.command("test")
def try_sender(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="A channel of NOTIFY_SENDERS, such as sms.")],
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where to, such as 09121234567.")],
    body: Annotated[str | None, typer.Option(metavar="TEXT", help="What to send. [default: a sentence]")] = None,
    locale: Locale = LocaleOption.FA,
    as_json: Json = False,
) -> None:
    """Send one message now.

    It goes past the queue, and what came of it is told. Exit code 0: the gateway has taken it, or the sender print has
    logged it; 1: nothing was sent; 3: nobody knows. It is sent with the settings of this command; where those of the
    workers are others, that is said.
    """
    from notifier.commands import senders as command

    command.run(channel, address, body, locale.value, as_json)


@subscriptions.command("add")
def add_subscription(
    user: Annotated[str, typer.Argument(metavar="USER", help="Who is told: the id that contacts are kept under.")],
    channel: Annotated[list[str], typer.Option(metavar="NAME", help="Over which channel; may be repeated.")],
    merchant: Annotated[str | None, typer.Option(metavar="ID", help="Whose summaries.")] = None,
    all_merchants: Annotated[
        bool, typer.Option("--all-merchants", help="Instead: those of all merchants together.")
    ] = False,
    mode: Annotated[
        list[ModeOption] | None, typer.Option(help="Length of the periods; may be repeated. [default: daily]")
    ] = None,
    locale: Locale = LocaleOption.FA,
    tenant: Tenant = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Subscribe a user to summaries.

    They go to the contacts of the user of that tenant, whose keys see the subscription. Its id is printed alone on
    standard output.
    """
    from notifier.commands import subscriptions as command

    modes = frozenset(option.value for option in mode or (ModeOption.DAILY,))
    command.add(user, merchant, all_merchants, modes, tuple(channel), locale.value, tenant, store, as_json)


@subscriptions.command("list")
def list_subscriptions(
    user: Annotated[str | None, typer.Option(metavar="USER", help="Only those of users of this id.")] = None,
    tenant: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those of this tenant; operator for your own.")
    ] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that have ended.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """List subscriptions of all tenants, the oldest first."""
    from notifier.commands import subscriptions as command

    command.show(user, tenant, ended, store, as_json)


@subscriptions.command("end")
def end_subscription(
    subscription: Annotated[str, typer.Argument(metavar="ID", help="Its id, as subscriptions list shows it.")],
    store: Store = None,
    as_json: Json = False,
) -> None:
    """End a subscription, for ever.

    What was made before is still sent.
    """
    from notifier.commands import subscriptions as command

    command.end(subscription, store, as_json)


if __name__ == "__main__":
    app()
