"""The sender that only logs."""

from __future__ import annotations

import io
import json
import sys

import pytest
from gateway_messages import PERSIAN_BODY, PERSIAN_TITLE, message_over

from notifier.senders.base import NotAskable, Receipt, TemporaryFailure
from notifier.senders.printing import PrintSender


def test_a_message_is_printed_as_one_line_with_masked_address(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert PrintSender().send(message_over("sms")) == Receipt(printed=True)
    text = capsys.readouterr().out
    assert text.count("\n") == 1
    line = json.loads(text)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "notification",
        "id": "abcdefghijklmnopqrstuvwxyz:sms",
        "channel": "sms",
        "address": "+98912***6789",
        "locale": "fa",
        "title": PERSIAN_TITLE,
        "body": PERSIAN_BODY,
    }


def test_a_message_without_an_address_is_printed_too(capsys: pytest.CaptureFixture[str]) -> None:
    PrintSender().send(message_over("sms", address=""))
    assert json.loads(capsys.readouterr().out)["address"] is None


def test_a_full_output_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(TemporaryFailure, match="No space left"):
        PrintSender().send(message_over("sms"))


def test_print_has_no_status_lookup() -> None:
    with pytest.raises(NotAskable):
        PrintSender().find(message_over("sms"))
