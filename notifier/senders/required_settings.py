"""The settings that senders require, checked when the program starts."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from core.errors import SettingsError
from core.loopback import is_loopback
from core.settings import Settings

_HINT: Final = "Set the environment variable, or choose another sender in NOTIFY_SENDERS."


def require(settings: Settings, sender: str, *names: str) -> None:
    """Check that the variables that `sender` needs are set.

    :raises SettingsError: names all of them that are empty.
    """
    missing = [name.upper() for name in names if not _text(getattr(settings, name)).strip()]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise SettingsError(f"{' and '.join(missing)} {verb} empty, and the {sender} sender needs it", _HINT)


def base_url(variable: str, url: str) -> str:
    """`url` without a slash at its end: https, or http to this machine.

    :raises SettingsError: it is neither; the sentence names `variable`, and has no URL with a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise SettingsError(f"{variable} is not a URL", _HINT) from None
    if parts.username is not None or parts.query or parts.fragment or not host or not url.isascii():
        raise SettingsError(f"{variable} must be a plain base address such as https://gateway.example", _HINT)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise SettingsError(f"{variable} is {url!r}: it must begin with https://, unless it is on this machine", _HINT)
    return url.rstrip("/")


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
