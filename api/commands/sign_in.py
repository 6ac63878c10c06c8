"""``sign-in``: a link that signs a person in to the dashboard."""

from __future__ import annotations

import re
from typing import Final

import typer

from api.access.sessions import LINK_LIFETIME_S, new_link_token
from api.serving.address import parse_address
from core.command_line import edge, print_json, settings_and_store
from core.errors import UsageError
from core.stores import Stores, wall_clock_ms

_BASE_URL: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


def run(base_url: str | None, store_url: str | None, as_json: bool) -> None:
    """Print a link that works once.

    :param base_url: where browsers find the server; by default where it listens.
    """
    with edge(as_json):
        if base_url is not None and not _BASE_URL.fullmatch(base_url):
            raise UsageError(f"{base_url!r} is not an address of the server", "Such as https://summaries.example.")
        settings, stores = settings_and_store(store_url, create=True)
        with stores:
            link = new_link(stores, base_url or parse_address(settings.api_bind).url)
        if as_json:
            print_json({"link": link, "valid_s": LINK_LIFETIME_S})
        else:
            typer.echo(link)
        typer.echo(f"The link works once, within {LINK_LIFETIME_S // 60} minutes, and allows everything.", err=True)


def new_link(stores: Stores, base_url: str) -> str:
    """A link to the server at `base_url`. The token follows a ``#``: browsers send that to no server."""
    return f"{base_url.rstrip('/')}/sign-in#{new_link_token(stores.sessions, wall_clock_ms())}"
