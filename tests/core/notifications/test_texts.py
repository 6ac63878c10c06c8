"""Limits of text lengths per sender."""

from __future__ import annotations

import pytest

from core.notifications.texts import chat_text, sms_text, too_long

SMS = "the text has {} characters in {} SMS parts; at most 900 characters in 10 are sent"
CHAT = "the text is {} UTF-16 units long, and Telegram takes 4096"


@pytest.mark.parametrize(
    ("sender", "title", "body", "why"),
    [
        ("kavenegar", "t", "x" * 898, None),
        ("kavenegar", "t", "x" * 899, SMS.format(901, 6)),
        ("kavenegar", "t", "س" * 668, None),
        ("kavenegar", "t", "س" * 669, SMS.format(671, 11)),
        ("telegram", "t", "س" * 4093, None),
        ("telegram", "t", "س" * 4094, CHAT.format(4097)),
        ("telegram", "t", "🙂" * 2046, None),
        ("telegram", "t", "🙂" * 2047, CHAT.format(4097)),
        ("smtp", "t", "x" * 100_000, None),
        ("print", "t", "x" * 100_000, None),
        ("my_package.PigeonSender", "t", "x" * 100_000, None),
    ],
)
def test_a_text_over_the_limit_of_its_gateway_is_too_long(sender: str, title: str, body: str, why: str | None) -> None:
    assert too_long(sender, title, body) == why


def test_a_text_is_its_title_above_its_body() -> None:
    assert sms_text("title", "body") == "title\nbody"
    assert chat_text("title", "body\n") == "title\n\nbody"
