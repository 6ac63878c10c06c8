"""Redaction: no secret and no whole address in errors, tracebacks, logs or representations."""

from __future__ import annotations

import base64
import contextlib
import logging
import traceback
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from gateway_http import Behaviour, answers, closed_port, cuts, gateway, rubbish
from gateway_mail import mail_server
from gateway_messages import message_over
from gateway_tls import server_tls, trusting_tls

from core.settings import Settings
from notifier.senders.base import DeliveryFailure, Message, NotAskable, Sender
from notifier.senders.registry import senders_from
from notifier.senders.smtp import MailFrom, SmtpSender

KEY, TOKEN, SIGNING, PASSWORD = "kavenegar-KEY-1", "123:telegram-TOKEN-2", "webhook-SECRET-3", "smtp-PASSWORD-4"
IN_BASE64 = [base64.b64encode(output.encode()).decode() for output in (PASSWORD, f"\0shop\0{PASSWORD}")]
SECRETS = [KEY, TOKEN, SIGNING, PASSWORD, *IN_BASE64, "path-secret", "9123456789", "123456789", "reader@"]
ECHO = f"{KEY} {TOKEN} {SIGNING} 123456789 +989123456789"
BEHAVIOURS: Mapping[str, Behaviour] = {
    "cuts": cuts,
    "rubbish": rubbish,
    "refusal": answers(400, {"ok": False, "error_code": 400, "description": f"no {TOKEN} 123456789",
                             "return": {"status": 411, "message": ECHO}}),
    "stranger": answers(404, ECHO.encode()),
    "redirect": answers(302, b"", {"location": f"https://elsewhere.example/{KEY}/{TOKEN}"}),
    "success": answers(200, {"ok": True, "result": {"message_id": 1}, "return": {"status": 200}, "entries": []}),
}  # fmt: skip


@pytest.fixture
def output(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """The log lines of every logger and level, which are checked for secrets at the end of the test."""
    caplog.set_level(logging.DEBUG)
    words: list[str] = []
    yield words
    out, err = capfd.readouterr()
    everything = "\n".join([*words, caplog.text, *(repr(vars(record)) for record in caplog.records), out, err])
    for secret in SECRETS:
        assert secret not in everything, secret


def tried(sender: Sender, message: Message) -> list[str]:
    """The errors and representations of a send and a status lookup."""
    words = [repr(message), repr(sender)]
    for call in (sender.send, sender.find):
        try:
            words.append(repr(call(message)))
        except (DeliveryFailure, NotAskable) as failure:
            words += [str(failure), repr(failure), "".join(traceback.format_exception(failure))]
    return words


def senders_at(url: str) -> dict[str, Sender]:
    given: dict[str, Any] = {
        "notify_senders": "sms=kavenegar,telegram=telegram,webhook=webhook",
        "kavenegar_url": url,
        "kavenegar_api_key": KEY,
        "telegram_url": url,
        "telegram_bot_token": TOKEN,
        "webhook_secret": SIGNING,
        "webhook_allow_private": True,
        "webhook_ports": str(urlsplit(url).port),
    }
    return senders_from(Settings(**given))


@pytest.mark.parametrize("name", BEHAVIOURS)
@pytest.mark.parametrize("channel", ["sms", "telegram", "webhook"])
def test_errors_of_http_gateways_contain_no_secret(output: list[str], channel: str, name: str) -> None:
    with gateway(BEHAVIOURS[name]) as server:
        address = {"address": f"{server.url}/in/path-secret?key=path-secret"} if channel == "webhook" else {}
        sender = senders_at(server.url)[channel]
        output += tried(sender, message_over(channel, **address))
        sender.close()
        assert server.requests


@pytest.mark.parametrize("channel", ["sms", "telegram", "webhook"])
def test_errors_of_unreachable_gateways_contain_no_secret(output: list[str], channel: str) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    address = {"address": f"{url}/in/path-secret"} if channel == "webhook" else {}
    output += tried(senders_at(url)[channel], message_over(channel, **address))


@pytest.mark.parametrize(
    "script",
    [
        {},
        {"RCPT": f"550 <Reader@shop.example> is unknown to {PASSWORD}"},
        {"AUTH": "drop"},
        {"AUTH": f"535 not {PASSWORD}"},
        *({"AUTH": f"535 not {output}"} for output in IN_BASE64),
        {"end": "554 reader@shop.example wants no more"},
    ],
)
def test_errors_of_smtp_contain_no_secret(output: list[str], script: Mapping[str, str]) -> None:
    with mail_server(script, starttls=server_tls("127.0.0.1")) as server:
        mail_from = MailFrom("", "no-reply@shop.example")
        sender = SmtpSender("127.0.0.1", server.port, "starttls", "shop", PASSWORD, mail_from, 10.0, trusting_tls())
        with quiet("mail.log"):  # the server's own log, which is not ours
            output += tried(sender, message_over("email"))


@contextlib.contextmanager
def quiet(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False


def test_the_repr_of_settings_contains_no_secret() -> None:
    given: dict[str, Any] = {
        "kavenegar_api_key": KEY,
        "telegram_bot_token": TOKEN,
        "webhook_secret": SIGNING,
        "smtp_password": PASSWORD,
    }
    settings = Settings(**given)
    assert not [secret for secret in SECRETS if secret in repr(settings) + str(settings)]
