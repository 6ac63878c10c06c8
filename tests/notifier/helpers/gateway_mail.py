"""A mail server on loopback (aiosmtpd) that refuses, drops, resets, hangs or drips at a given stage."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True)
class Mail:
    """An accepted mail."""

    sender: str
    receivers: list[str]
    content: bytes
    tls: bool
    options: list[str]


@dataclass
class MailServer:
    """The mails that the server received, and its behaviour.

    :param script: by stage (greeting, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, content, end): a reply such as
        ``451 later``, or ``drop``, ``hang``, ``drip``.
    """

    script: Mapping[str, str]
    mails: list[Mail] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    port: int = 0


class _Scripted(SMTP):
    def __init__(self, server: MailServer, transports: list[asyncio.BaseTransport], **options: Any) -> None:
        super().__init__(self, authenticator=self._login, **options)
        self._server = server
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transports.append(transport)
        super().connection_made(transport)

    def _login(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self._server.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right-password", handled=False)

    async def acted(self, stage: str) -> bool:
        """Run the script for `stage`; returns whether there is one."""
        self._server.stages.append(stage)
        action = self._server.script.get(stage)
        if action is None:
            return False
        assert self.transport is not None
        if action == "drop":
            self.transport.close()
        elif action == "hang":
            await asyncio.sleep(30)
        elif action == "drip":
            while not self.transport.is_closing():
                self.transport.write(b"2")  # type: ignore[attr-defined]
                await asyncio.sleep(0.05)
        else:
            await self.push(action)
        return True

    async def _handle_client(self) -> None:
        if not await self.acted("greeting"):
            await super()._handle_client()

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        if not await self.acted("EHLO"):
            await super().smtp_EHLO(hostname)

    async def smtp_HELO(self, hostname: str) -> None:  # noqa: N802
        raise AssertionError("nobody falls back to HELO")

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        if not await self.acted("STARTTLS"):
            await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        if not await self.acted("AUTH"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if not await self.acted("MAIL"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        if not await self.acted("RCPT"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if await self.acted("DATA"):
            return
        if "content" in self._server.script:
            await self.push("354 go on")
            await self.acted("content")
            return
        await super().smtp_DATA(arg)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """What aiosmtpd calls when it has read a mail to its end."""
        assert envelope.mail_from is not None
        assert isinstance(envelope.content, bytes)
        options = [*envelope.mail_options, *envelope.rcpt_options]
        mail = Mail(envelope.mail_from, envelope.rcpt_tos, envelope.content, session.ssl is not None, options)
        self._server.mails.append(mail)
        self._server.stages.append("end")
        action = self._server.script.get("end", "250 taken as 42")
        if action[0].isdigit():
            return action
        await self.acted("end")
        await asyncio.sleep(30)
        raise AssertionError("the client is gone by now")


@contextlib.contextmanager
def mail_server(
    script: Mapping[str, str] | None = None,
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> Iterator[MailServer]:
    """A running server on a free port."""
    server = MailServer(script or {})
    ready, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    transports: list[asyncio.BaseTransport] = []

    async def serve() -> None:
        def made() -> _Scripted:
            return _Scripted(server, transports, loop=loop, hostname="mail.example", tls_context=starttls, **options)

        listener = await loop.create_server(made, "127.0.0.1", 0, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
        ready.set()
        await over.wait()
        listener.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for transport in transports:
            transport.close()

    def run() -> None:
        loop.set_exception_handler(lambda *_: None)  # clients that leave are what is tested
        try:
            loop.run_until_complete(serve())
        finally:
            loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(60)
