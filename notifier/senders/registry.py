"""The sender of each channel: built-in, by its name, or a plug-in, by the dotted path of its class."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from core.errors import SettingsError
from core.settings import Settings
from notifier.senders.base import Sender

BUILT_IN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "print": "notifier.senders.printing.PrintSender",
        "smtp": "notifier.senders.smtp.SmtpSender",
        "kavenegar": "notifier.senders.kavenegar.KavenegarSender",
        "telegram": "notifier.senders.telegram.TelegramSender",
        "webhook": "notifier.senders.webhook.WebhookSender",
    }
)
"""The class of each name. A class is imported only if a channel uses it."""

_SHAPE: Final = ("channels", "needs_address", "deduplicates", "from_settings", "send", "find", "close")


def senders_from(settings: Settings) -> dict[str, Sender]:
    """The sender of each channel of ``NOTIFY_SENDERS``; they do not connect yet.

    :raises SettingsError: names every variable of all channels that is missing or invalid.
    """
    senders: dict[str, Sender] = {}
    problems: list[str] = []
    for channel, name in settings.senders.items():
        try:
            senders[channel] = _class_of(channel, name).from_settings(settings)
        except SettingsError as error:
            problems.append(error.sentence)
    if problems:
        for sender in senders.values():
            sender.close()
        raise SettingsError(
            "; ".join(dict.fromkeys(problems)),
            f"Set it, or choose another sender in NOTIFY_SENDERS: {', '.join(BUILT_IN)}, or the path of a class.",
        )
    return senders


def _class_of(channel: str, name: str) -> type[Sender]:
    path = BUILT_IN.get(name, name)
    module_name, _, class_name = path.rpartition(".")
    if not module_name:
        raise SettingsError(f"NOTIFY_SENDERS has {channel}={name}, but there is no sender {name}")
    try:
        found: Any = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # the module of a plug-in may raise any error
        raise SettingsError(
            f"NOTIFY_SENDERS has {channel}={name}, which cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    abstract = getattr(found, "__abstractmethods__", ())  # of `Sender`, if it inherits from that
    lacking = [part for part in _SHAPE if part in abstract or not hasattr(found, part)]
    if not isinstance(found, type) or lacking:
        what = f"lacks {', '.join(lacking)}" if lacking else "is not a class"
        raise SettingsError(f"NOTIFY_SENDERS has {channel}={name}, which is not a sender: it {what}")
    sender: type[Sender] = found
    if sender.channels and channel not in sender.channels:
        raise SettingsError(
            f"NOTIFY_SENDERS has {channel}={name}, which sends over {', '.join(sorted(sender.channels))} only"
        )
    return sender
