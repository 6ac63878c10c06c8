"""One SMTP session, step by step; each failure says whether the mail may have been sent."""

from __future__ import annotations

import contextlib
import re
import select
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Final, Literal, Self

from notifier.senders.base import (
    Ambiguous,
    DeliveryFailure,
    PermanentFailure,
    Refused,
    TemporaryFailure,
    UnclearAnswer,
    Unreachable,
    operator_must_fix,
)
from notifier.senders.dialling import Deadline, anywhere, connected
from notifier.senders.responses import quoted

Security = Literal["starttls", "tls", "none"]
_BEFORE_ANY_MESSAGE: Final = ("greeting", "EHLO", "STARTTLS", "AUTH")
_QUIT_S: Final = 0.5
_MAX_LINE, _MAX_LINES = 8192, 200
_REPLY: Final = re.compile(rb"(?P<code>[2-5][0-9][0-9])(?P<more>[ -]?)(?P<text>[^\n]*)\r?\n")
_LINE_DOT: Final = re.compile(rb"^\.", re.MULTILINE)
_NO_TLS: Final = "SMTP: the server offers no STARTTLS, and nothing is sent without encryption; see SMTP_SECURITY"


class SmtpSession:
    """An SMTP session, opened and closed as a context manager.

    :param helo: the name of this client.
    :param tls: the trusted certificates.
    :param hidden: texts that are replaced in quotes of the server, and their replacements.
    """

    def __init__(
        self,
        host: str,
        port: int,
        security: Security,
        *,
        helo: str,
        tls: ssl.SSLContext,
        deadline: Deadline,
        hidden: Mapping[str, str],
    ) -> None:
        self._place = (host, port)
        self._security = security
        self._helo = helo
        self._tls = tls
        self._deadline = deadline
        self._hidden = hidden
        self._smtp: _TimedSmtp

    def __enter__(self) -> Self:
        try:
            tls = self._tls if self._security == "tls" else None
            self._smtp = _TimedSmtp(*self._place, self._helo, tls, self._deadline)
        except smtplib.SMTPResponseException as error:
            raise self._refusal("greeting", error.smtp_code, error.smtp_error) from None
        except OSError as error:
            known = isinstance(error, smtplib.SMTPException | ssl.SSLError) or not error.strerror
            words = self._lost(error) if known else f"no connection ({error.strerror})"
            raise Unreachable(f"SMTP: {words}, at the greeting") from None
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._smtp.quit_soon()
        self._smtp.close()

    def introduce(self, user: str, password: str) -> None:
        """Send EHLO, start TLS and log in, as the settings require.

        :raises DeliveryFailure: the server, or this client, refuses.
        """
        self._expect("EHLO", lambda: self._smtp.ehlo(), 250)
        if self._security == "starttls":
            if not self._smtp.has_extn("starttls"):
                raise operator_must_fix(_NO_TLS)
            self._expect("STARTTLS", lambda: self._smtp.starttls(context=self._tls), 220)
            self._expect("EHLO", lambda: self._smtp.ehlo(), 250)
        if user:
            self._expect("AUTH", lambda: self._smtp.login(user, password), 235)

    def hand_over(self, sender: str, to: str, mail: bytes) -> None:
        """Send `mail`; when this returns, the server has accepted it.

        :raises DeliveryFailure: it was not accepted; or, as `Ambiguous`, it may have been.
        """
        size = [f"SIZE={len(mail)}"] if self._smtp.has_extn("size") else []
        self._expect("MAIL", lambda: self._smtp.mail(sender, size), 250)
        self._expect("RCPT", lambda: self._smtp.rcpt(to), 250, 251)
        self._expect("DATA", lambda: self._smtp.docmd("DATA"), 354)
        self._send(_LINE_DOT.sub(b"..", mail))
        if self._smtp.has_spoken():
            # The server replies before the end of the mail, or has closed the connection: it cannot have accepted it.
            self._expect("mail", self._smtp.getreply)
        self._send(b".\r\n")
        try:
            code, text = self._smtp.getreply()
        except OSError as error:
            raise Ambiguous(f"SMTP: {self._lost(error)}, after the whole mail was sent") from None
        if code >= 400:
            raise self._refusal("mail", code, text)
        if code >= 300:
            raise UnclearAnswer(f"SMTP: unexpected answer to the whole mail: {self._quoted(code, text)}")

    def _send(self, content: bytes) -> None:
        try:
            self._smtp.write(content)
        except OSError as error:
            raise Unreachable(f"SMTP: {self._lost(error)}, while the mail was sent") from None

    def _expect(self, stage: str, ask: Callable[[], tuple[int, bytes]], *wanted: int) -> None:
        try:
            self._smtp.hurry()
            code, text = ask()
        except smtplib.SMTPResponseException as error:
            code, error_text = error.smtp_code, error.smtp_error
            text = error_text if isinstance(error_text, bytes) else error_text.encode()
        except OSError as error:
            if isinstance(error, smtplib.SMTPException) and not isinstance(error, smtplib.SMTPServerDisconnected):
                raise operator_must_fix(f"SMTP: {stage}: {error}") from None  # such as no common way to log in
            raise Unreachable(f"SMTP: {self._lost(error)}, at {stage}") from None
        except ValueError:  # smtplib decodes what a server sends during a login
            raise Unreachable(f"SMTP: an answer that is not SMTP, at {stage}") from None
        if code not in wanted:
            raise self._refusal(stage, code, text)

    def _refusal(self, stage: str, code: int, text: bytes | str) -> DeliveryFailure:
        # The reply to a login may repeat it in base64, so only the code is shown.
        words = f"SMTP: {stage} answered {code if stage == 'AUTH' else self._quoted(code, text)}"
        if 500 <= code < 600:
            if stage in ("DATA", "mail") or (stage, code) == ("MAIL", 552):
                return PermanentFailure(words)
            if stage == "RCPT" and code not in (530, 535):  # which require a login
                return PermanentFailure(words)
            return operator_must_fix(words)
        # 421: the server is shutting down. 454: it requires a login or TLS, or has a rate limit (Amazon SES replies so
        # after the mail); at RCPT it may concern that receiver only. A refusal before MAIL is not about the message.
        concerns_all = code == 421 or (code == 454 and stage != "RCPT") or stage in _BEFORE_ANY_MESSAGE
        return (Refused if concerns_all else TemporaryFailure)(words)

    def _quoted(self, code: int, text: bytes | str) -> str:
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return f"{code} {quoted(said, self._hidden)}".strip()

    def _lost(self, error: OSError) -> str:
        try:
            self._deadline.left_s()
        except TimeoutError:
            return "no answer in time"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted ({error.verify_message})"
        if isinstance(error, ssl.SSLError) and error.reason and not isinstance(error, ssl.SSLEOFError):
            return f"no TLS connection ({error.reason.replace('_', ' ').lower()}); see SMTP_PORT and SMTP_SECURITY"
        return "the connection was lost"


class _TimedSmtp(smtplib.SMTP):
    """smtplib's client with one deadline for the whole session.

    smtplib's timeout is for single reads, so a server that sends one byte per second would block it for ever: at the
    deadline, the connection is closed.
    """

    def __init__(self, host: str, port: int, helo: str, tls: ssl.SSLContext | None, deadline: Deadline) -> None:
        self._tls_at_once = tls
        self._deadline = deadline
        self._end = threading.Timer(deadline.left_s(), self._cut)
        self._end.daemon = True
        try:
            super().__init__(host, port, local_hostname=helo, timeout=deadline.left_s())
        except BaseException:
            self.close()
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = connected(host, port, self._deadline, anywhere, socket.create_connection, OSError)
        try:
            sock.settimeout(self._deadline.left_s())
            if self._tls_at_once is not None:
                sock = self._tls_at_once.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
        self._end.start()
        return sock

    def hurry(self) -> None:
        """Limit the next step to the remaining time."""
        if self.sock is not None:
            self.sock.settimeout(self._deadline.left_s())

    def getreply(self) -> tuple[int, bytes]:
        """The next complete reply: smtplib's own method also accepts the part of a line before a lost connection.

        :raises SMTPServerDisconnected: the connection is lost, or this is no reply.
        """
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection was lost")
        if self.file is None:
            self.file = self.sock.makefile("rb")
        lines: list[bytes] = []
        while len(lines) < _MAX_LINES:
            line = self.file.readline(_MAX_LINE)
            reply = _REPLY.fullmatch(line)
            if reply is None:
                break
            lines.append(reply["text"].strip())
            if reply["more"] != b"-":
                return int(reply["code"]), b"\n".join(lines)
        self.close()
        raise smtplib.SMTPServerDisconnected("the reply is incomplete")

    def write(self, content: bytes) -> None:
        self.hurry()
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection was lost")
        self.sock.sendall(content)

    def has_spoken(self) -> bool:
        """Whether there is an unread reply, or the server has closed the connection."""
        if self.sock is None:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0)) or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0)

    def quit_soon(self) -> None:
        """Send QUIT, without waiting long for the reply."""
        if self.sock is not None:
            self.sock.settimeout(_QUIT_S)
            self.docmd("QUIT")

    def close(self) -> None:
        self._end.cancel()
        super().close()

    def _cut(self) -> None:
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # SSLSocket.shutdown would also unwrap it
