"""Mail by SMTP (RFC 5321), over TLS with verified certificates; messages are RFC 5322 with MIME, in Persian too."""

from __future__ import annotations

import email.policy
import ssl
import unicodedata
from dataclasses import dataclass
from email.header import Header
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr, getaddresses
from typing import ClassVar, Self

from core.errors import SettingsError
from core.loopback import is_loopback
from core.notifications.addresses import BadAddress, normalised
from core.settings import Settings
from notifier.senders.base import Message, Receipt, Sender
from notifier.senders.dialling import Deadline
from notifier.senders.required_settings import require
from notifier.senders.smtp_session import Security, SmtpSession


@dataclass(frozen=True, slots=True)
class MailFrom:
    """The sender of mail.

    :param name: shown to readers; may be empty.
    :param address: in ASCII.
    """

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @classmethod
    def parsed(cls, variable: str, text: str) -> Self:
        """From ``Summaries <no-reply@shop.example>`` or ``no-reply@shop.example``.

        :raises SettingsError: it is no address; names `variable`.
        """
        found = getaddresses([text])
        if len(found) != 1 or not text.isprintable():
            raise SettingsError(f"{variable} is {text!r}, which is not exactly one e-mail address")
        name, address = found[0]
        try:
            return cls(name, normalised("email", address))
        except BadAddress as error:
            raise SettingsError(f"{variable} is {text!r}, which names no e-mail address: {error}") from None


class SmtpSender(Sender):
    """Sends mail to one server, with a new connection for each.

    Servers do not recognise a repeated ``Message-ID``, and have no status lookup; so if the connection is lost between
    the end of the mail and the reply, the outcome is unknown.

    :param user: empty for a server without login.
    :param tls: the trusted certificates; by default those of the system.
    """

    channels: ClassVar = frozenset({"email"})

    def __init__(
        self,
        host: str,
        port: int,
        security: Security,
        user: str,
        password: str,
        mail_from: MailFrom,
        timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._place = (host, port, security)
        self._user, self._password = user, password
        self._mail_from = mail_from
        self._timeout_s = timeout_s
        self._tls = tls

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        require(settings, "smtp", "smtp_host", "smtp_from")
        password = settings.smtp_password.get_secret_value()
        if settings.smtp_user:
            require(settings, "smtp", "smtp_password")
        if not (settings.smtp_user + password).isascii():
            raise SettingsError("SMTP_USER and SMTP_PASSWORD must be ASCII, because smtplib sends nothing else")
        if settings.smtp_security == "none" and not is_loopback(settings.smtp_host):
            raise SettingsError("SMTP_SECURITY is 'none', which is for a server on this machine only")
        return cls(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_security,
            settings.smtp_user,
            password,
            MailFrom.parsed("SMTP_FROM", settings.smtp_from),
            settings.notify_send_timeout_s,
        )

    def send(self, message: Message) -> Receipt:
        """See `notifier.senders.base.Sender`. The reference is the ``Message-ID``, which mail logs have."""
        to = message.checked_address()
        mail = mail_of(message, self._mail_from, to)
        self._tls = self._tls or ssl.create_default_context()
        session = SmtpSession(
            *self._place,
            helo=self._mail_from.domain,
            tls=self._tls,
            deadline=Deadline.after(self._timeout_s),
            hidden={self._password: "[password]", to: message.masked_address},
        )
        with session:
            session.introduce(self._user, self._password)
            session.hand_over(self._mail_from.address, to, mail)
        return Receipt(message_id(message, self._mail_from))


def message_id(message: Message, mail_from: MailFrom) -> str:
    """The header ``Message-ID``: the same at each attempt, so that mail programs and logs show a repetition as one."""
    return f"<{message.id.replace(':', '.')}@{mail_from.domain}>"


def mail_of(message: Message, mail_from: MailFrom, to: str) -> bytes:
    """`message` with its headers, in ASCII with CRLF at the end of lines, which every server accepts.

    :param to: a normalised address.
    """
    mail = MIMEText(message.body.replace("\n", "\r\n"), _charset="utf-8")
    mail["From"] = formataddr((Header(mail_from.name, header_name="From").encode(), mail_from.address))
    mail["To"] = to
    # Always encoded: readers would decode a title that looks like an encoded word (RFC 2047), even to line breaks.
    mail["Subject"] = Header(_one_line(message.title), "utf-8", header_name="Subject").encode()
    mail["Date"] = format_datetime(message.created_at)
    mail["Message-ID"] = message_id(message, mail_from)
    mail["Auto-Submitted"] = "auto-generated"  # prevents automatic replies
    mail["Content-Language"] = message.locale
    return mail.as_bytes(policy=email.policy.compat32.clone(linesep="\r\n"))


def _one_line(text: str) -> str:
    stored = (" " if unicodedata.category(character) in ("Cc", "Zl", "Zp") else character for character in text)
    return " ".join("".join(stored).split())
