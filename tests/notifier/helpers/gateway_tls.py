"""Certificates for servers on loopback, from an authority made up for the test run."""

from __future__ import annotations

import functools
import ssl

import trustme


@functools.cache
def authority() -> trustme.CA:
    """The authority."""
    return trustme.CA()


def server_tls(*names: str) -> ssl.SSLContext:
    """What a server called `names` shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*names).configure_cert(context)
    return context


def trusting_tls() -> ssl.SSLContext:
    """What a client trusts that knows the authority; names are checked."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context
