"""Texts over the limit of a gateway are refused by the API and not at delivery."""

from __future__ import annotations

import pytest
from api_client import Api, wrong
from sending import NEW, send

pytest_plugins = ["notifications_fixtures"]

_SENDERS = "sms=kavenegar,telegram=telegram,email=smtp"


@pytest.fixture
def strict(url: str, queued: list[str]) -> Api:
    return Api(url, {"notify_senders": _SENDERS}, queue=queued.append)


def test_text_too_long_for_a_channel_is_refused_with_its_limit(strict: Api, queued: list[str]) -> None:
    long = NEW | {"title": "س" * 200, "body": "س" * 4000, "channels": ["sms", "email", "telegram"]}
    reported = send(strict, body=long)
    assert set(wrong(reported)) == {"body"}
    assert [error["detail"].partition(": ")[0] for error in reported.json["errors"]] == [
        "is too long for sms",
        "is too long for telegram",
    ]
    assert "at most 900 characters in 10 are sent" in reported.text
    assert "Telegram takes 4096" in reported.text
    assert (queued, strict.ask("/api/notifications").json["notifications"]) == ([], [])


@pytest.mark.parametrize(("channel", "length"), [("sms", 660), ("telegram", 4000), ("email", 4000)])
def test_text_within_the_limits_of_its_channels_is_accepted(strict: Api, channel: str, length: int) -> None:
    assert send(strict, body=NEW | {"body": "س" * length, "channels": [channel]}).status_code == 201


def test_an_idempotent_retry_works_although_the_sender_has_a_lower_limit(url: str, strict: Api) -> None:
    long = NEW | {"body": "س" * 4000, "channels": ["sms"]}
    first = send(Api(url), body=long, repeatable="a")
    assert first.status_code == 201
    assert send(strict, body=long, repeatable="a").json == first.json
    assert wrong(send(strict, body=long, repeatable="b"))
