"""Telegram messages: the outcome for each response of the Bot API, and for time-outs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from gateway_http import (
    Behaviour,
    Gateway,
    answers,
    closed_port,
    cuts,
    cuts_within,
    drips,
    endless,
    gateway,
    hangs,
    timeout_for,
)
from gateway_messages import PERSIAN_BODY, PERSIAN_TITLE, message_over

from notifier.senders.base import (
    Ambiguous,
    NotAskable,
    PermanentFailure,
    Receipt,
    Refused,
    TemporaryFailure,
    UnclearAnswer,
)
from notifier.senders.dialling import Deadline
from notifier.senders.http import GatewayResponse, HttpGateway
from notifier.senders.telegram import TelegramSender

TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
TIMEOUT_S = 0.6


def refused(code: int, description: str, **parameters: Any) -> Behaviour:
    body = {"ok": False, "error_code": code, "description": description}
    return answers(code, {**body, "parameters": parameters} if parameters else body)


SENT = answers(200, {"ok": True, "result": {"message_id": 4711, "chat": {"id": 123456789}}})


@contextmanager
def sender_at(*behaviours: Behaviour) -> Iterator[tuple[TelegramSender, Gateway]]:
    with gateway(*behaviours) as server:
        sender = TelegramSender(HttpGateway("Telegram", timeout_for(*behaviours)), server.url, TOKEN)
        try:
            yield sender, server
        finally:
            sender.close()


def test_a_message_is_posted_as_plain_text_with_its_persian_intact() -> None:
    with sender_at(SENT) as (sender, server):
        assert sender.send(message_over("telegram")) == Receipt("4711")
    (request,) = server.requests
    assert request.path == f"/bot{TOKEN}/sendMessage"
    assert request.json == {"chat_id": 123456789, "text": f"{PERSIAN_TITLE}\n\n{PERSIAN_BODY}"}


def test_a_channel_is_addressed_by_its_username() -> None:
    with sender_at(SENT) as (sender, server):
        sender.send(message_over("telegram", address="@shop_news"))
    assert server.requests[0].json["chat_id"] == "@shop_news"


@pytest.mark.parametrize("retry_s", [1, 34])
def test_retry_after_of_the_api_is_returned(retry_s: int) -> None:
    behaviour = refused(429, f"Too Many Requests: retry after {retry_s}", retry_after=retry_s)
    with sender_at(behaviour) as (sender, _), pytest.raises(Refused, match="Too Many Requests") as failed:
        sender.send(message_over("telegram"))
    assert (failed.value.retry_after_s, failed.value.receiver_only) == (retry_s, True)


@pytest.mark.parametrize("asked", ["soon", -5, 10**12, True, None])
def test_an_invalid_retry_after_is_limited(asked: Any) -> None:
    behaviour = refused(429, "Too Many Requests", retry_after=asked)
    with sender_at(behaviour) as (sender, _), pytest.raises(TemporaryFailure) as failed:
        sender.send(message_over("telegram"))
    assert failed.value.retry_after_s is None or 0 <= failed.value.retry_after_s <= 86_400


@pytest.mark.parametrize(
    ("code", "description"),
    [
        (400, "Bad Request: chat not found"),
        (400, "Bad Request: message is too long"),
        (400, "Bad Request: group chat was upgraded to a supergroup chat"),
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: bot can't initiate conversation with a user"),
        (413, "Request Entity Too Large"),
    ],
)
def test_a_refusal_of_the_message_is_permanent(code: int, description: str) -> None:
    with sender_at(refused(code, description)) as (sender, _), pytest.raises(PermanentFailure) as failed:
        sender.send(message_over("telegram"))
    assert failed.value.reason == f"Telegram {code}: {description}"


def moved_to(chat: Any) -> Behaviour:
    return refused(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=chat)


def test_a_message_to_a_migrated_group_follows_it_to_the_new_chat() -> None:
    with sender_at(moved_to(-1001234567890), SENT) as (sender, server):
        assert sender.send(message_over("telegram")) == Receipt("4711", moved_to="-1001234567890")
    assert [request.json["chat_id"] for request in server.requests] == [123456789, -1001234567890]
    assert len({request.json["text"] for request in server.requests}) == 1


def test_a_moved_chat_is_followed_only_once() -> None:
    with sender_at(moved_to(-1001), moved_to(123456789)) as (sender, server), pytest.raises(PermanentFailure):
        sender.send(message_over("telegram"))
    assert len(server.requests) == 2


@pytest.mark.parametrize("chat", ["-1001", 0, 2**60, True, None, 1.5])
def test_an_invalid_new_chat_is_not_followed(chat: Any) -> None:
    with sender_at(moved_to(chat)) as (sender, server), pytest.raises(PermanentFailure, match="upgraded"):
        sender.send(message_over("telegram"))
    assert len(server.requests) == 1


@pytest.mark.parametrize(("second", "failure"), [(cuts, Ambiguous), (refused(429, "later"), Refused)])
def test_the_response_of_the_new_chat_decides_the_outcome(second: Behaviour, failure: type[Exception]) -> None:
    with sender_at(moved_to(-1001), second) as (sender, _), pytest.raises(failure):
        sender.send(message_over("telegram"))


def test_both_requests_share_one_time_out() -> None:
    deadlines: list[Deadline | None] = []

    class Watched(HttpGateway):
        def post(
            self, url: str, content: bytes, headers: Mapping[str, str], deadline: Deadline | None = None
        ) -> GatewayResponse:
            deadlines.append(deadline)
            return super().post(url, content, headers, deadline)

    with gateway(moved_to(-1001), cuts) as server:
        sender = TelegramSender(Watched("Telegram", 30), server.url, TOKEN)
        with pytest.raises(Ambiguous):
            sender.send(message_over("telegram"))
        sender.close()
    first, second = deadlines
    assert first is second is not None


@pytest.mark.parametrize(("code", "description"), [(401, "Unauthorized"), (404, "Not Found")])
def test_a_wrong_token_is_a_refusal(code: int, description: str) -> None:
    with sender_at(refused(code, description)) as (sender, _), pytest.raises(Refused, match="BOT_TOKEN") as failed:
        sender.send(message_over("telegram"))
    assert not failed.value.receiver_only


@pytest.mark.parametrize(("code", "description"), [(409, "Conflict"), (503, "Service Unavailable")])
def test_an_api_error_before_sending_is_retried(code: int, description: str) -> None:
    with sender_at(refused(code, description)) as (sender, _), pytest.raises(TemporaryFailure, match=description):
        sender.send(message_over("telegram"))


def test_an_api_error_with_retry_after_is_retried() -> None:
    behaviour = refused(500, "Internal Server Error", retry_after=5)
    with sender_at(behaviour) as (sender, _), pytest.raises(TemporaryFailure) as failed:
        sender.send(message_over("telegram"))
    assert failed.value.retry_after_s == 5


@pytest.mark.parametrize("code", [500, 502, 504])
def test_an_internal_api_error_is_ambiguous(code: int) -> None:
    with sender_at(refused(code, "Bad Gateway")) as (sender, server), pytest.raises(UnclearAnswer, match="Bad Gateway"):
        sender.send(message_over("telegram"))
    assert len(server.requests) == 1


def test_http_200_is_no_success_when_ok_is_false() -> None:
    behaviour = answers(200, {"ok": False, "error_code": 403, "description": "Forbidden"})
    with sender_at(behaviour) as (sender, _), pytest.raises(PermanentFailure):
        sender.send(message_over("telegram"))


def test_an_error_code_that_is_no_number_is_not_shown() -> None:
    behaviour = answers(400, {"ok": False, "error_code": {TOKEN: "\n"}, "description": "Bad Request"})
    with sender_at(behaviour) as (sender, _), pytest.raises(PermanentFailure, match=r"^Telegram 400: Bad Request$"):
        sender.send(message_over("telegram"))


def test_an_overloaded_proxy_has_not_sent_the_message() -> None:
    busy = answers(503, b"busy", {"retry-after": "3"})
    with sender_at(busy) as (sender, _), pytest.raises(TemporaryFailure) as failed:
        sender.send(message_over("telegram"))
    assert failed.value.retry_after_s == 3


@pytest.mark.parametrize(
    "behaviour",
    [
        hangs,
        cuts,
        drips,
        endless,
        cuts_within(200, b'{"ok":true,"resu'),
        answers(200, b"<html></html>"),
        answers(502, b"<html>bad gateway</html>"),
        answers(504, b""),
        answers(500, b"oops"),
    ],
)
def test_an_unclear_response_is_ambiguous(behaviour: Behaviour) -> None:
    with sender_at(behaviour) as (sender, server), pytest.raises(Ambiguous):
        sender.send(message_over("telegram"))
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 404, 403])
def test_a_url_that_is_no_bot_api_is_a_refusal(status: int) -> None:
    elsewhere = answers(status, b"<html></html>", {"location": "https://elsewhere.example/"})
    with sender_at(elsewhere) as (sender, server), pytest.raises(TemporaryFailure, match="TELEGRAM_URL"):
        sender.send(message_over("telegram"))
    assert len(server.requests) == 1


def test_text_over_4096_utf_16_units_is_refused() -> None:
    with sender_at(SENT) as (sender, server):
        sender.send(message_over("telegram", title="", body="🙂" * 2048))
        with pytest.raises(PermanentFailure, match="4098 UTF-16 units"):
            sender.send(message_over("telegram", title="", body="🙂" * 2049))
    assert len(server.requests) == 1


def test_without_a_connection_nothing_was_sent() -> None:
    sender = TelegramSender(HttpGateway("Telegram", TIMEOUT_S), f"http://127.0.0.1:{closed_port()}", TOKEN)
    with pytest.raises(TemporaryFailure):
        sender.send(message_over("telegram"))
    sender.close()


def test_the_api_has_no_status_lookup() -> None:
    sender = TelegramSender(HttpGateway("Telegram", TIMEOUT_S), "http://127.0.0.1", TOKEN)
    with pytest.raises(NotAskable):
        sender.find(message_over("telegram"))
