"""The addresses of users for each channel: normalised for the store and the senders, and masked for people."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import email_validator
import idna
import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from core.notifications.model import AddressFault

DEFAULT_REGION: Final = "IR"
"""The country of phone numbers without a country code."""

_MAX_LENGTH: Final = 2048
# Digits of any script, and separators.
_NUMBER_FORM: Final = re.compile(r"[+\uff0b]?[\d\s().\-\u2010-\u2015]+")
# Editors of right-to-left text leave these around numbers.
_DIRECTION_MARKS: Final = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_TAKES_SMS: Final = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_CHAT_NAME: Final = re.compile(r"@[A-Za-z][A-Za-z0-9_]{4,31}")
_CHAT_ID: Final = re.compile(r"-?[1-9][0-9]{0,15}")
_MAX_CHAT_ID: Final = 2**52  # as the Bot API documents


class BadAddress(ValueError):
    """An invalid address; the text says why, without a final full stop and without the address.

    :param code: the reason for programs.
    """

    def __init__(self, code: AddressFault, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def normalised(channel: str, address: str) -> str:
    """`address` in the form for the store and the sender of `channel`.

    ``sms``: E.164, such as ``+989123456789``. ``email``: its domain in ASCII and lower case. ``telegram``: the number
    of a chat, or ``@name``. ``webhook``: a URL in ASCII. Channels of a plug-in accept any text.

    :raises BadAddress: it is not an address of that channel.
    """
    text = address.strip()
    if not text:
        raise BadAddress("empty", "it is empty")
    if len(text) > _MAX_LENGTH:
        raise BadAddress("too-long", f"it is longer than {_MAX_LENGTH} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise BadAddress("control-characters", "it has line breaks or other control characters")
    return _FORMS.get(channel, str)(text)


def masked(channel: str, address: str) -> str:
    """`address` so that only its owner recognises it: ``+98912***4567``, ``a***@example.com``."""
    match channel:
        case "sms":
            return f"{address[: max(0, min(6, len(address) - 7))]}***{address[-4:] if len(address) >= 8 else ''}"
        case "email" if "@" in address:
            return f"{address[:1]}***{address[address.rindex('@') :]}"
        case "telegram":
            return f"{address[:3]}***" if len(address) > 5 else "***"
        case "webhook":
            # Paths and queries of webhooks are often secrets.
            scheme, separator, rest = address.partition("://")
            host = re.split(r"[/?#]", rest)[0].rpartition("@")[2]
            return f"{scheme}://{host}/***" if separator else "***"
    return "***"


def _phone_number(text: str) -> str:
    text = _DIRECTION_MARKS.sub("", text)
    if not _NUMBER_FORM.fullmatch(text):
        raise BadAddress("no-phone-number", "it is not a phone number")
    try:
        number = phonenumbers.parse(text, DEFAULT_REGION)
    except phonenumbers.NumberParseException:
        raise BadAddress("no-phone-number", "it is not a phone number") from None
    if not phonenumbers.is_valid_number(number):
        raise BadAddress("no-such-phone-number", "there is no such phone number in its country")
    if phonenumbers.number_type(number) not in _TAKES_SMS:
        raise BadAddress("no-mobile-phone", "it is not the number of a mobile phone")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _email_address(text: str) -> str:
    try:
        # The mail server checks whether the domain accepts mail: no name is resolved while a request waits.
        found = email_validator.validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except email_validator.EmailNotValidError as error:
        raise BadAddress("no-email-address", str(error).rstrip(".").replace(text, "it")) from None
    assert found.ascii_email is not None  # because SMTPUTF8 is not allowed
    return found.ascii_email


def _telegram_chat(text: str) -> str:
    digits = "".join(str(unicodedata.decimal(character, character)) for character in text)
    if _CHAT_NAME.fullmatch(text):
        return text
    if _CHAT_ID.fullmatch(digits) and abs(int(digits)) <= _MAX_CHAT_ID:
        return digits
    raise BadAddress("no-chat", "it is neither the number of a chat nor a name such as @channel")


def _webhook_url(text: str) -> str:
    if any(character.isspace() for character in text):
        raise BadAddress("no-url", "it has spaces")
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise BadAddress("no-url", "it is not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise BadAddress("no-web-url", "it does not begin with https:// or http://")
    if "@" in parts.netloc:
        raise BadAddress("credentials-in-url", "it has a user name or password in it")
    if "#" in text:
        raise BadAddress("fragment-in-url", "it has a fragment, which is never sent")
    if "\\" in text:
        raise BadAddress("no-url", "it has a backslash")
    if port == 0:
        raise BadAddress("no-url", "its port is 0")
    netloc = _ascii_host(host) + (f":{port}" if port is not None else "")
    path = quote(parts.path or "/", safe="/:@!$&'()*+,;=~-._%")
    return urlunsplit((parts.scheme, netloc, path, quote(parts.query, safe="/:@!$&'()*+,;=~-._%?[]"), ""))


def _ascii_host(host: str) -> str:
    if ":" in host:
        try:
            return f"[{ipaddress.IPv6Address(host).compressed}]"
        except ValueError:
            raise BadAddress("no-host", "its host is not an IPv6 address") from None
    try:
        name = idna.encode(host, uts46=True, std3_rules=True).decode("ascii")
    except idna.IDNAError:
        raise BadAddress("no-host", "its host name is not valid") from None
    return name


_FORMS: Final[Mapping[str, Callable[[str], str]]] = {
    "sms": _phone_number,
    "email": _email_address,
    "telegram": _telegram_chat,
    "webhook": _webhook_url,
}
