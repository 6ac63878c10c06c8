"""A message as e-mail: RFC 5322 with MIME, for Persian text too."""

from __future__ import annotations

import email.policy
import unicodedata
from dataclasses import dataclass
from email.header import Header
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr, getaddresses
from typing import Self

from core.errors import SettingsError
from core.notifications.addresses import BadAddress, normalised
from notifier.senders.base import Message


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
        """The domain of the address."""
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
