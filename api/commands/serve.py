"""``serve``: gunicorn as in production, with a startup report and, on a terminal, a sign-in link."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from typing import Any

import typer
from gunicorn.app.base import BaseApplication

from api.commands.sign_in import new_link
from api.server.address import Address, parse_address
from api.server.startup_report import StartupReport, startup_report
from core.command_line import edge
from core.errors import ServiceError, StoreError
from core.settings import read_settings
from core.stores import open_stores


def run(host: str | None, port: int | None, store_url: str | None) -> None:
    """Serve until SIGINT or SIGTERM, and end with 0."""
    with edge():
        # gunicorn's configuration and the workers read the options as variables, like all settings.
        if store_url is not None:
            os.environ["STORE_URL"] = store_url
        address = parse_address(read_settings().api_bind)
        if host is not None or port is not None:
            address = _changed(address, host, port)
            os.environ["API_BIND"] = address.bind
        report = startup_report(read_settings())
        _require_free(address)
    _Server(report).run()


def _changed(address: Address, host: str | None, port: int | None) -> Address:
    tcp = address if address.port is not None else Address("127.0.0.1", 8000)
    named = replace(tcp, host=host or tcp.host, port=tcp.port if port is None else port)
    return parse_address(named.bind)


def _require_free(address: Address) -> None:
    """Check that the server can listen on `address`: gunicorn's own error is a page of log lines.

    :raises ServiceError: the server cannot listen on `address`.
    """
    if address.port is None:
        return
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        socket.create_server((address.host, address.port), family=family).close()
    except OSError as error:
        reason = (error.strerror or "it is not possible").partition(" (")[0].lower()  # without the address after it
        raise ServiceError(
            f"the server cannot listen on {address.bind}: {reason}",
            "Choose another port with --port, or another address with --host (or API_BIND).",
        ) from None


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with `api.gunicorn_conf`, without its messages below warnings."""

    def __init__(self, report: StartupReport) -> None:
        self._report = report
        super().__init__()

    def load_config(self) -> None:
        from api import gunicorn_conf

        for name, value in vars(gunicorn_conf).items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)
        self.cfg.set("loglevel", "warning")
        self.cfg.set("when_ready", self._when_ready)

    def load(self) -> Any:
        from api import get_app

        return get_app()

    def _when_ready(self, server: Any) -> None:
        from api import gunicorn_conf

        for line in self._report.lines(gunicorn_conf.address_of(server)):
            typer.echo(line, err=True)
        if sys.stderr.isatty():
            for line in _sign_in_lines(gunicorn_conf.address_of(server)):
                typer.echo(line, err=True)
        typer.echo("Ctrl-C stops.", err=True)
        gunicorn_conf.begin(server)


def _sign_in_lines(address: Address) -> list[str]:
    """A link for the person who started the server; none at a Unix socket, or while the store does not answer."""
    settings = read_settings()
    if address.port is None:
        return []
    try:
        with open_stores(settings.store_url, timeout_s=settings.api_store_timeout_s, create=False) as stores:
            return [f"Sign in to the dashboard (once, within ten minutes): {new_link(stores, address.url)}"]
    except StoreError:
        return []
