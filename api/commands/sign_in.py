"""``sign-in`` and ``sign-out``: print a link that signs in to the dashboard, and end all sessions."""

from __future__ import annotations

import re
from typing import Final

from api.auth.sessions import LINK_LIFETIME_S, new_link_token
from api.server.address import parse_address
from core.command_line import edge, opened, print_json, print_message, print_result
from core.errors import UsageError
from core.stores import Stores, wall_clock_ms

_BASE_URL: Final = re.compile(r"https?://[^\s/?#@]+/?")


def run(base_url: str | None, store_url: str | None, as_json: bool) -> None:
    """Print a link that works once.

    :param base_url: the address of the server for browsers; by default the one on which it listens.
    """
    with edge(as_json):
        if base_url is not None and not _BASE_URL.fullmatch(base_url):
            raise UsageError(
                f"{base_url!r} is not a URL of the server", "Give a URL such as https://summaries.example."
            )
        with opened(store_url, create=True) as (settings, stores):
            address = parse_address(settings.api_bind)
            if base_url is None and address.port is None:
                raise UsageError(
                    f"the server listens at {address.bind}, which a browser cannot open",
                    "Give the address of its proxy with --url, such as https://summaries.example.",
                )
            link = new_link(stores, base_url or address.url)
        print_result(as_json, {"link": link, "valid_s": LINK_LIFETIME_S}, link)
        print_message(f"The link works once, within {LINK_LIFETIME_S // 60} minutes, and gives all scopes.")


def end_all(store_url: str | None, as_json: bool) -> None:
    """End all sessions, and invalidate all unused links."""
    with edge(as_json), opened(store_url) as (settings, stores):
        ended = stores.sessions.end_all(wall_clock_ms())
        if as_json:
            print_json({"ended": ended})
        print_message(
            f"Ended {ended} sessions and links; a running server notices within {settings.api_freshness_s:g} s."
        )


def new_link(stores: Stores, base_url: str) -> str:
    """A link to the server at `base_url`, with the token after a ``#``, which browsers do not send to the server."""
    return f"{base_url.rstrip('/')}/sign-in#{new_link_token(stores.sessions, wall_clock_ms())}"
