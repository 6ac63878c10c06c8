"""``python -m notifier contacts`` and ``send``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from announcing_cli import Notifier, key_of
from delivery_broker import RedisProcess
from gateway_http import closed_port

from core.settings import Settings
from core.stores import wall_clock_ms
from notifier.commands.queue import Queue

SEND = ("send", "sara", "--title", "سفارش ۶۶", "--body", "فرستاده شد.", "--channel", "sms", "--channel", "email")


@pytest.fixture
def notifier(tmp_path: Path) -> Notifier:
    return Notifier(tmp_path, CELERY_BROKER_URL=f"redis://127.0.0.1:{closed_port()}/0")


def test_addresses_are_normalized_and_other_channels_are_kept(notifier: Notifier) -> None:
    made = notifier("contacts", "set", "sara", "sms=۰۹۱۲ ۷۶۵ ۴۳۲۱", "email=Sara@Example.com")
    assert (made.code, made.out) == (0, "email  Sara@example.com\nsms    +989127654321\n")
    assert "Messages over sms, email are only logged" in made.err
    changed = notifier("contacts", "set", "sara", "telegram=@sara_shop", "--json", NOTIFY_SENDERS="telegram=telegram")
    assert changed.err == ""
    assert changed.json == {
        "tenant": "operator",
        "user_id": "sara",
        "contacts": {"email": "Sara@example.com", "sms": "+989127654321", "telegram": "@sara_shop"},
    }
    assert notifier("contacts", "show", "sara", "--json").json == changed.json


def test_some_or_all_addresses_can_be_removed(notifier: Notifier) -> None:
    notifier("contacts", "set", "sara", "sms=09127654321", "email=sara@example.com", "telegram=42")
    assert notifier("contacts", "remove", "sara", "sms", "webhook", "--json").json["contacts"] == {
        "email": "sara@example.com",
        "telegram": "42",
    }
    for _ in range(2):
        removed = notifier("contacts", "remove", "sara")
        assert (removed.code, removed.out) == (0, "")
        assert removed.err == "User sara of the tenant operator has no contacts.\n"
    assert notifier("contacts", "show", "sara", "--json").json["contacts"] == {}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sara", "sms"), "'sms' is not CHANNEL=ADDRESS"),
        (("sara", "fax=1"), "there is no channel fax"),
        (("sara", "sms=12"), "the address is not valid for sms: there is no such phone number"),
        (("sara", "sms="), "the address is not valid for sms: it is empty"),
        (("sara", "sms=09127654321", "sms=09127654322"), "a channel is named twice"),
        (("sara\n", "sms=09127654321"), "USER has line breaks or tabs"),
        (("sara", "sms=09127654321", "--tenant", "acme"), "there is no tenant 'acme'"),
    ],
)
def test_an_invalid_contact_is_refused_and_nothing_is_stored(
    notifier: Notifier, arguments: tuple[str, ...], sentence: str
) -> None:
    assert sentence in notifier("contacts", "set", *arguments).failure(2)
    with notifier.stores() as stores:
        assert stores.contacts.get("sara") == {}


def test_without_a_store_there_is_nothing_to_show(notifier: Notifier) -> None:
    assert "there is no store" in notifier("contacts", "show", "sara").failure(1)
    assert "there is no store" in notifier("contacts", "remove", "sara").failure(1)


def test_an_ambiguous_user_id_needs_a_tenant(
    notifier: Notifier,
) -> None:
    with notifier.stores() as stores:
        stores.keys.add(key_of("acme"))
        stores.contacts.replace("sara", {"sms": "+989121234567"}, tenant="acme")
    for arguments in (("contacts", "set", "sara", "sms=09127654321"), ("contacts", "remove", "sara"), SEND):
        assert "the tenant of user sara is ambiguous: acme, operator" in notifier(*arguments).failure(2)
    assert notifier("contacts", "show", "sara", "--json").json["tenant"] == "acme"  # which reveals nothing to others
    own = notifier("contacts", "set", "sara", "sms=09127654321", "--tenant", "operator", "--json").json
    assert own["contacts"] == {"sms": "+989127654321"}
    sent = notifier(*SEND, "--tenant", "acme", "--json").json
    assert sent["tenant"] == "acme"
    assert [warning["code"] for warning in sent["warnings"]] == ["channel-not-set-up"] * 2 + ["no-address"]
    assert "no address for email," in sent["warnings"][-1]["detail"]


def test_a_message_is_stored_even_while_the_queue_is_down(
    notifier: Notifier,
) -> None:
    before_ms = wall_clock_ms()
    result = notifier(*SEND, "--expires", "2h")
    assert result.code == 0
    assert "It is stored, and will be sent when the queue is back" in result.err
    assert "Warning: Messages over sms are only logged" in result.err
    with notifier.stores() as stores:
        stored = stores.notifications.get(result.out.strip())
        assert stored is not None
        assert stores.notifications.due(wall_clock_ms() + 60_000, 10) == [stored.notification.id]
    found = stored.notification
    assert (found.user_id, found.title, found.body) == ("sara", "سفارش ۶۶", "فرستاده شد.")
    assert (found.channels, found.locale, found.tenant) == (("sms", "email"), "fa", "operator")
    assert found.expires_at_ms is not None
    assert 7_200_000 <= found.expires_at_ms - before_ms <= 7_200_000 + wall_clock_ms() - before_ms


def test_a_message_is_queued_for_a_worker(
    notifier: Notifier, tmp_path: Path, missing: Callable[[str], NoReturn]
) -> None:
    redis = RedisProcess(tmp_path, missing)
    redis.start()
    try:
        result = notifier(*SEND, "--json", CELERY_BROKER_URL=redis.url(0))
        assert result.json["queued"] is True
        assert [log["status"] for log in result.json["logs"]] == ["pending", "pending"]
        assert Queue(Settings(celery_broker_url=redis.url(0))).length() == 1
    finally:
        redis.kill()


def test_an_idempotency_key_creates_a_message_once(notifier: Notifier) -> None:
    requested = (*SEND, "--idempotency-key", "order-66", "--expires", "1d")
    first, again = notifier(*requested), notifier(*requested)
    assert first.out == again.out
    with notifier.stores() as stores:
        assert len(stores.notifications.listed(limit=10)) == 1
    assert "another message was created with" in notifier(*requested, "--locale", "en").failure(2)
    assert notifier(*SEND).out != first.out


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (("--title", ""), "--title is empty"),
        (("--title", "a\nb"), "--title has line breaks or tabs"),
        (("--body", " "), "--body is blank"),
        (("--channel", "fax"), "there is no channel fax"),
        (("--channel", "sms"), "a channel is named twice"),
        (("--expires", "2020-01-01"), "is in the past"),
        (("--idempotency-key", "a b"), "--idempotency-key must be 1 to 255"),
        (("--body", "م" * 901), "the message is too long for sms: the text has"),
    ],
)
def test_an_invalid_message_is_refused_and_nothing_is_stored(
    notifier: Notifier, changes: tuple[str, ...], sentence: str
) -> None:
    senders = {"NOTIFY_SENDERS": "sms=kavenegar,email=smtp"}
    assert sentence in notifier(*SEND, *changes, **senders).failure(2)
    with notifier.stores() as stores:
        assert stores.notifications.listed(limit=1) == []
