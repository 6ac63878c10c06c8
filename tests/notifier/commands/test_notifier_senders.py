"""``python -m notifier senders test``: exit codes and messages for each outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from announcing_cli import Notifier
from gateway_http import Behaviour, answers, closed_port, cuts, gateway

TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
SENT = answers(200, {"ok": True, "result": {"message_id": 4711, "chat": {"id": 123456789}}})


@pytest.fixture
def notifier(tmp_path: Path) -> Notifier:
    return Notifier(tmp_path, CELERY_BROKER_URL=f"redis://127.0.0.1:{closed_port()}/0")


def refused(code: int, description: str) -> Behaviour:
    return answers(code, {"ok": False, "error_code": code, "description": description})


def telegram(url: str) -> dict[str, Any]:
    # That SMTP lacks its variables does not matter to a message over Telegram.
    senders = "telegram=telegram,email=smtp"
    return {"NOTIFY_SENDERS": senders, "TELEGRAM_URL": url, "TELEGRAM_BOT_TOKEN": TOKEN, "NOTIFY_SEND_TIMEOUT_S": "5"}


def test_a_test_message_is_sent_without_a_store(notifier: Notifier) -> None:
    with gateway(SENT) as server:
        output = notifier("senders", "test", "telegram", "123456789", "--body", "سلام", **telegram(server.url))
        (request,) = server.requests
    assert output.code == 0
    assert output.out == "Sent; reference of the gateway: 4711.\n"
    assert request.json["chat_id"] == 123456789
    assert request.json["text"].endswith("سلام")
    assert output.err.splitlines()[0] == "Sending over telegram with telegram to 123***:"
    assert list(notifier.folder.iterdir()) == []


def test_json_output_has_only_the_outcome(notifier: Notifier) -> None:
    output = notifier("senders", "test", "sms", "0912 123 4567", "--locale", "en", "--json")
    assert output.code == 0
    assert output.json.items() >= {"sent": False, "printed": True, "reference": None, "workers": []}.items()
    assert "No worker has answered" in output.err
    assert "+98912***4567" in output.err
    assert "The sender print only logs" in output.err
    logged = json.loads(next(line for line in output.err.splitlines() if line.startswith("{")))
    assert (logged["title"], logged["body"]) == ("Test message", "The sender works.")


@pytest.mark.parametrize(
    ("behaviour", "code", "sentence"),
    [
        (refused(403, "Forbidden: bot was blocked by the user"), 1, "not sent: "),
        (refused(503, "Service Unavailable"), 1, "not sent: "),
        (refused(500, "Internal Server Error"), 3, "it may have been sent: "),
        (cuts, 3, "it may have been sent: "),
    ],
)
def test_the_exit_code_is_the_outcome_of_the_test_message(
    notifier: Notifier, behaviour: Behaviour, code: int, sentence: str
) -> None:
    with gateway(behaviour) as server:
        output = notifier("senders", "test", "telegram", "123456789", "--json", **telegram(server.url))
        assert len(server.requests) == 1
    assert sentence in output.failure(code)
    assert output.json["error"]["exit_code"] == code
    assert TOKEN not in output.out + output.err
    assert "123456789" not in output.out + output.err


def test_an_unreachable_gateway_has_sent_nothing(notifier: Notifier) -> None:
    output = notifier("senders", "test", "telegram", "1", **telegram(f"http://127.0.0.1:{closed_port()}"))
    assert "not sent" in output.failure(1)


@pytest.mark.parametrize(
    ("arguments", "senders", "sentence"),
    [
        (("fax", "1"), "sms=print", "there is no channel fax"),
        (("sms", "12"), "sms=print", "ADDRESS is not valid for sms"),
        (("email", "a@b.example"), "email=smtp", "SMTP_HOST"),
        (("sms", "09121234567"), "sms=nosuch.module.Sender", "cannot be loaded"),
    ],
)
def test_an_invalid_test_message_is_refused(
    notifier: Notifier, arguments: tuple[str, str], senders: str, sentence: str
) -> None:
    assert sentence in notifier("senders", "test", *arguments, NOTIFY_SENDERS=senders).failure(2)


class BrokenSender:
    """A plug-in with a defect, whose error has a secret in it."""

    channels = frozenset({"sms"})
    needs_address = True
    deduplicates = False

    @classmethod
    def from_settings(cls, settings: object) -> BrokenSender:
        return cls()

    def send(self, message: object) -> None:
        raise ValueError("https://gateway.example/?key=secret-word")

    find = send

    def close(self) -> None:
        pass


def test_an_internal_error_of_a_plug_in_gives_unknown(notifier: Notifier) -> None:
    path = f"{__name__}.{BrokenSender.__name__}"
    output = notifier("senders", "test", "sms", "09121234567", NOTIFY_SENDERS=f"sms={path}")
    assert "the sender failed with ValueError" in output.failure(3)
    assert "secret-word" not in output.out + output.err
