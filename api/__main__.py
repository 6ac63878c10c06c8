"""The command line: ``python -m api [VERB …]``; without a verb it serves.

Exit codes: 0 done or stopped, 1 failed, 2 usage. A failure is one sentence and a hint on standard error; with
``--json`` also an object on standard output.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from core.command_line import HELP_OPTIONS, Json, Program, Store, Version, command_group

_NOT_OF_SERVE = (*HELP_OPTIONS, "--version")

app = command_group(
    "HTTP API and dashboard for summaries. Without a command: serve.", cls=Program, name="python -m api"
)
keys = command_group("Create, list and revoke API keys.")
app.add_typer(keys, name="keys")


@app.callback()
def _common(version: Version = False) -> None:
    pass


@app.command()
def serve(
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port. [default: the port of API_BIND, 8000]")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for all. [default: the address of API_BIND]"
        ),
    ] = None,
    store: Store = None,
) -> None:
    """Serve the API and the dashboard.

    Uses the same server as in production.
    """
    from api.commands import serve as command

    command.run(host, port, store)


@app.command("sign-in")
def sign_in(
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="URL of the server for browsers. [default: API_BIND]"),
    ] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Print a link that signs in to the dashboard. It works once, within ten minutes."""
    from api.commands import sign_in as command

    command.run(url, store, as_json)


@app.command("sign-out")
def sign_out(store: Store = None, as_json: Json = False) -> None:
    """End all sessions, and invalidate all unused links."""
    from api.commands import sign_in as command

    command.end_all(store, as_json)


@keys.command("add")
def add_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the person or program that uses the key.")],
    merchant: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Allow the summaries of this merchant; may be repeated.")
    ] = None,
    summaries: Annotated[
        bool, typer.Option("--summaries", help="Allow the summaries of all merchants. Only for the operator.")
    ] = False,
    notifications: Annotated[
        bool,
        typer.Option(
            "--notifications",
            help="Allow sending and reading messages of the tenant; announcements only of summaries that the key may "
            "read.",
        ),
    ] = False,
    operate: Annotated[
        bool, typer.Option("--operate", help="Allow status and metrics. Only for the operator.")
    ] = False,
    tenant: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Tenant of the key. Keys of a tenant share users, contacts, subscriptions and notifications, and see "
            "no others. [default: the tenant of all keys of the same merchants; without merchants the operator]",
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Expiry: 90d, 12h, 2027-01-31 (midnight UTC) or 2027-01-31T18:00Z. [default: never]",
        ),
    ] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Create a key. Standard output has only its token, which is never shown again."""
    from api.commands import keys as command
    from core.stores.api_keys import Scope

    asked = {Scope.SUMMARIES: summaries, Scope.NOTIFICATIONS: notifications, Scope.OPERATE: operate}
    scopes = frozenset(scope for scope, wanted in asked.items() if wanted)
    command.add(name, merchant or (), scopes, tenant, expires, store, as_json)


@keys.command("list")
def list_keys(store: Store = None, as_json: Json = False) -> None:
    """List all keys.

    Shows tenants, scopes, expiry and last use, also of revoked keys. Servers record the last use of a key every
    five minutes.
    """
    from api.commands import keys as command

    command.show(store, as_json)


@keys.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, from keys list.")],
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Revoke a key permanently."""
    from api.commands import keys as command

    command.revoke(key, store, as_json)


def main(arguments: list[str]) -> None:
    """Run the command that `arguments` name; options alone are those of ``serve``."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in _NOT_OF_SERVE):
        arguments = ["serve", *arguments]
    app(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
