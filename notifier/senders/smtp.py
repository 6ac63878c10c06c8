"""Mail by SMTP: RFC 5321, over TLS with verified certificates."""

from __future__ import annotations

import ssl
from typing import ClassVar, Self

from core.errors import SettingsError
from core.loopback import is_loopback
from core.settings import Settings
from notifier.senders.base import Message, Receipt, Sender
from notifier.senders.dialling import Deadline
from notifier.senders.mail import MailFrom, mail_of, message_id
from notifier.senders.required_settings import require
from notifier.senders.smtp_session import Security, SmtpSession


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
        """See `notifier.senders.base.Sender`; needs ``SMTP_HOST`` and ``SMTP_FROM``."""
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
