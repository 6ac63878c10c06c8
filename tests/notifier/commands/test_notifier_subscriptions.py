"""``python -m notifier subscriptions``."""

from __future__ import annotations

from pathlib import Path

import pytest
from announcing_cli import Notifier, key_of
from announcing_shop import SALES, Shop
from examples import NOW_MS

from core.calendar import Mode


@pytest.fixture
def notifier(tmp_path: Path) -> Notifier:
    return Notifier(tmp_path)


def test_adding_a_subscription_prints_only_its_id(
    notifier: Notifier,
) -> None:
    result = notifier(
        "subscriptions", "add", "کاربر ۱", "--merchant", "نیم\u200cفاصله", "--mode", "monthly", "--mode", "daily",
        "--channel", "email", "--channel", "sms", "--locale", "en",
    )  # fmt: skip
    assert result.code == 0
    with notifier.stores() as stores:
        (stored,) = stores.subscriptions.all()
    assert result.out == f"{stored.id}\n"
    assert (stored.user_id, stored.merchant_id) == ("کاربر ۱", "نیم\u200cفاصله")
    assert (stored.modes, stored.channels) == ((Mode.DAILY, Mode.MONTHLY), ("email", "sms"))
    assert (stored.locale, stored.ended_at_ms) == ("en", None)


def test_adding_an_active_subscription_again_returns_its_id(notifier: Notifier) -> None:
    requested = ("subscriptions", "add", "u1", "--all-merchants", "--channel", "sms", "--json")
    first, again = notifier(*requested), notifier(*requested)
    assert first.json == again.json
    assert (first.json["merchant_id"], first.json["all_merchants"]) == (None, True)
    assert (first.json["modes"], first.json["locale"]) == (["daily"], "fa")
    assert "This subscription already exists" in again.err
    assert notifier(*requested, "--mode", "weekly").json["id"] != first.json["id"]
    notifier("subscriptions", "end", first.json["id"])
    assert notifier(*requested).json["id"] != first.json["id"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("u1", "--channel", "sms"), "give either --merchant or --all-merchants"),
        (
            ("u1", "--channel", "sms", "--merchant", "m1", "--all-merchants"),
            "give either --merchant or --all-merchants",
        ),
        (("", "--channel", "sms", "--merchant", "m1"), "USER is empty"),
        (("u" * 129, "--channel", "sms", "--merchant", "m1"), "USER is longer than 128 characters"),
        (("u\n1", "--channel", "sms", "--merchant", "m1"), "USER has line breaks"),
        (("u1", "--channel", "sms", "--merchant", ""), "--merchant is empty"),
        (("u1", "--channel", "sms", "--merchant", "m" * 1025), "--merchant is longer than 1024"),
        (("u1", "--channel", "fax", "--merchant", "m1"), "there is no channel fax"),
        (("u1", "--channel", "sms", "--channel", "sms", "--merchant", "m1"), "named twice"),
    ],
)
def test_an_invalid_subscription_is_refused_and_nothing_is_stored(
    notifier: Notifier, arguments: tuple[str, ...], sentence: str
) -> None:
    assert sentence in notifier("subscriptions", "add", *arguments).failure(2)
    with notifier.stores() as stores:
        assert stores.subscriptions.all() == []


def test_a_subscriber_without_a_contact_gives_a_warning(notifier: Notifier) -> None:
    with notifier.stores() as stores:
        Shop(stores).rebuild(SALES, NOW_MS)
        stores.contacts.replace("reached", {"sms": "+989121234567"})
    senders = {"NOTIFY_SENDERS": "sms=kavenegar,email=print"}
    requested = ("--channel", "sms", "--channel", "email", "--merchant")
    quiet = notifier("subscriptions", "add", "reached", "--channel", "sms", "--merchant", "m1", **senders)
    assert "Warning" not in quiet.err
    warned = notifier("subscriptions", "add", "u1", *requested, "m2", "--channel", "webhook", "--json", **senders)
    assert warned.code == 0
    assert warned.json["warnings"] == [
        {
            "code": "unknown-merchant",
            "detail": "There are no summaries of merchant 'm2' yet, so nothing is announced.",
        },
        {
            "code": "channel-not-set-up",
            "detail": "Messages over email are only logged, and reach nobody: its sender in NOTIFY_SENDERS is print.",
        },
        {
            "code": "channel-not-set-up",
            "detail": "Nothing is sent over webhook until NOTIFY_SENDERS names a sender for it.",
        },
        {
            "code": "no-address",
            "detail": "User u1 has no address for sms, email, webhook, so these messages cannot be delivered yet.",
        },
    ]
    for warning in warned.json["warnings"]:
        assert f"Warning: {warning['detail']}\n" in warned.err


def test_the_list_can_be_filtered_by_activity_and_user(notifier: Notifier) -> None:
    assert notifier("subscriptions", "add", "u1", "--merchant", "m1", "--channel", "sms").code == 0
    first = notifier("subscriptions", "list", "--json").json["subscriptions"][0]["id"]
    second = notifier("subscriptions", "add", "u2", "--merchant", "m1", "--channel", "sms").out.strip()
    assert notifier("subscriptions", "end", first).err == f"Subscription {first} has ended.\n"

    def listed(*arguments: str) -> list[str]:
        return [found["id"] for found in notifier("subscriptions", "list", *arguments, "--json").json["subscriptions"]]

    assert listed() == [second]
    assert listed("--ended") == [first, second]
    assert listed("--user", "u1") == []
    assert listed("--user", "u1", "--ended") == [first]
    text = notifier("subscriptions", "list", "--ended").out
    assert "User u1 receives daily summaries of merchant m1 over sms (fa)" in text
    assert "It ended at" in text
    assert notifier("subscriptions", "list", "--user", "nobody").out == "There is no subscription.\n"


def test_ending_again_keeps_the_first_end(notifier: Notifier) -> None:
    made = notifier("subscriptions", "add", "u1", "--merchant", "m1", "--channel", "sms").out.strip()
    ended = notifier("subscriptions", "end", made, "--json").json
    again = notifier("subscriptions", "end", made, "--json")
    assert again.json == ended
    assert "had ended before" in again.err
    assert notifier("subscriptions", "end", "nosuch").failure(1) == "Error: there is no subscription nosuch."


def test_an_ambiguous_user_id_needs_a_tenant(
    notifier: Notifier,
) -> None:
    with notifier.stores() as stores:
        stores.keys.add(key_of("acme"))
        Shop(stores).rebuild(SALES, NOW_MS)
        stores.contacts.replace("u1", {"sms": "+989121234567"}, tenant="acme")
    requested = ("subscriptions", "add", "u1", "--merchant", "m1", "--channel", "sms")
    senders = {"NOTIFY_SENDERS": "sms=kavenegar"}

    assert "the tenant of user u1 is ambiguous: acme, operator" in notifier(*requested).failure(2)
    assert "there is no tenant 'acmee'" in notifier(*requested, "--tenant", "acmee").failure(2)
    made = notifier(*requested, "--tenant", "acme", **senders)
    own = notifier(*requested, "--tenant", "operator", "--json", **senders)

    assert "User u1 of the tenant acme receives daily" in made.err
    assert "Warning" not in made.err  # its contacts are of that tenant
    assert own.json["tenant"] == "operator"
    assert "User u1 has no address" in own.err
    with notifier.stores() as stores:
        assert {found.tenant for found in stores.subscriptions.all(user_id="u1")} == {"acme", "operator"}
    of_acme = notifier("subscriptions", "list", "--tenant", "acme", "--json").json["subscriptions"]
    assert [found["id"] for found in of_acme] == [made.out.strip()]
    assert "there is no tenant 'x'" in notifier("subscriptions", "list", "--tenant", "x").failure(2)
