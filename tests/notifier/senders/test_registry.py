"""Choosing senders: by name, by dotted path, and refused at the start with the variable named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gateway_messages import message_over

from core.errors import SettingsError
from core.settings import Settings
from notifier.senders.base import Receipt
from notifier.senders.kavenegar import KavenegarSender
from notifier.senders.printing import PrintSender
from notifier.senders.registry import BUILT_IN, senders_from
from notifier.senders.smtp import SmtpSender
from notifier.senders.telegram import TelegramSender
from notifier.senders.webhook import WebhookSender

WHOLE: dict[str, Any] = {
    "notify_senders": "sms=kavenegar,email=smtp,telegram=telegram,webhook=webhook,pager=print",
    "smtp_host": "mail.example",
    "smtp_from": "Summaries <no-reply@shop.example>",
    "kavenegar_api_key": "key",
    "telegram_bot_token": "1:token",
    "webhook_secret": "secret",
}


def test_every_channel_prints_by_default() -> None:
    senders = senders_from(Settings())
    assert set(senders) == {"sms", "email", "telegram", "webhook"}
    assert {type(sender) for sender in senders.values()} == {PrintSender}


def test_each_channel_uses_its_configured_sender() -> None:
    senders = senders_from(Settings(**WHOLE))
    assert {channel: type(sender) for channel, sender in senders.items()} == {
        "sms": KavenegarSender,
        "email": SmtpSender,
        "telegram": TelegramSender,
        "webhook": WebhookSender,
        "pager": PrintSender,
    }


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"smtp_host": ""}, ["SMTP_HOST is empty"]),
        ({"smtp_host": " ", "smtp_from": ""}, ["SMTP_HOST and SMTP_FROM are empty"]),
        ({"smtp_from": "nobody"}, ["SMTP_FROM"]),
        ({"smtp_user": "shop"}, ["SMTP_PASSWORD is empty"]),
        ({"smtp_user": "shop", "smtp_password": "گذرواژه"}, ["SMTP_PASSWORD"]),
        ({"smtp_security": "none"}, ["SMTP_SECURITY"]),
        ({"kavenegar_api_key": ""}, ["KAVENEGAR_API_KEY is empty"]),
        ({"kavenegar_url": "http://api.kavenegar.com"}, ["KAVENEGAR_URL", "https://"]),
        ({"kavenegar_url": "https://user:pw@api.kavenegar.com"}, ["KAVENEGAR_URL"]),
        ({"telegram_bot_token": ""}, ["TELEGRAM_BOT_TOKEN is empty"]),
        ({"webhook_secret": ""}, ["WEBHOOK_SECRET is empty"]),
        ({"webhook_secret": "", "kavenegar_api_key": ""}, ["WEBHOOK_SECRET", "KAVENEGAR_API_KEY"]),
        ({"notify_senders": "sms=smoke"}, ["sms=smoke", "there is no sender smoke"]),
        ({"notify_senders": "email=kavenegar"}, ["email=kavenegar", "sends over sms only"]),
        ({"notify_senders": "sms=no.such.Sender"}, ["sms=no.such.Sender", "No module named"]),
        ({"notify_senders": "sms=notifier.senders.base.NoSuch"}, ["NoSuch", "cannot be loaded"]),
        ({"notify_senders": "sms=notifier.senders.base.Message"}, ["is not a sender", "deduplicates"]),
        ({"notify_senders": "sms=os.path.join"}, ["is not a sender"]),
    ],
)
def test_missing_sender_settings_are_reported_at_start_up(changes: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(SettingsError) as refusal:
        senders_from(Settings(**{**WHOLE, **changes}))
    for words in named:
        assert words in refusal.value.sentence
    assert "NOTIFY_SENDERS" in refusal.value.hint
    assert "pw" not in refusal.value.sentence


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost/", "http://[::1]:1", "https://relay.example/x/"]
)
def test_a_gateway_url_needs_tls_or_loopback(url: str) -> None:
    assert isinstance(senders_from(Settings(**{**WHOLE, "kavenegar_url": url}))["sms"], KavenegarSender)


def test_a_plug_in_is_loaded_by_its_dotted_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pigeons.py").write_text(
        "from typing import ClassVar\n"
        "from notifier.senders.base import NotAskable, Receipt\n"
        "class PigeonSender:\n"
        "    channels: ClassVar = frozenset({'pigeon'})\n"
        "    needs_address: ClassVar = True\n"
        "    deduplicates: ClassVar = False\n"
        "    @classmethod\n"
        "    def from_settings(cls, settings): return cls()\n"
        "    def send(self, message): return Receipt('coo')\n"
        "    def find(self, message): raise NotAskable\n"
        "    def close(self): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    senders = senders_from(Settings(notify_senders="pigeon=pigeons.PigeonSender"))
    assert senders["pigeon"].send(message_over("sms")) == Receipt("coo")


def test_a_plug_in_that_cannot_be_loaded_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_plug_in.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match="ZeroDivisionError"):
        senders_from(Settings(notify_senders="pigeon=broken_plug_in.PigeonSender"))


@pytest.mark.parametrize(
    ("body", "lacking"),
    [
        ("    def send(self, message): return Receipt()\n", "from_settings"),
        ("    @classmethod\n    def from_settings(cls, settings): return cls()\n", "send"),
        ("    pass\n", "from_settings, send"),
    ],
)
def test_a_plug_in_must_implement_the_abstract_methods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, lacking: str
) -> None:
    module = f"owls_without_{lacking.replace(', ', '_')}"
    (tmp_path / f"{module}.py").write_text(
        "from notifier.senders.base import Receipt, Sender\n"
        "class OwlSender(Sender):\n"
        "    channels = frozenset({'owl'})\n" + body
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match=f"not a sender: it lacks {lacking}$"):
        senders_from(Settings(notify_senders=f"owl={module}.OwlSender"))


def test_the_print_sender_imports_no_gateway() -> None:
    code = (
        "import sys; from core.settings import Settings; from notifier.senders.registry import senders_from;"
        "senders_from(Settings()); print([name for name in sys.modules if name in ('httpcore', 'smtplib')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_every_built_in_sender_can_be_loaded() -> None:
    for name, path in BUILT_IN.items():
        channel = "sms" if name == "kavenegar" else "email" if name == "smtp" else name
        sender = senders_from(Settings(**{**WHOLE, "notify_senders": f"{channel}={name}"}))[channel]
        assert f"{type(sender).__module__}.{type(sender).__qualname__}" == path
