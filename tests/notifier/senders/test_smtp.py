"""Mail by SMTP: the outcome for each response and each lost connection, by stage."""

from __future__ import annotations

import email
import email.policy
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import pytest
from gateway_http import closed_port, silent_port
from gateway_mail import MailServer, mail_server
from gateway_messages import PERSIAN_BODY, PERSIAN_TITLE, message_over
from gateway_tls import server_tls, trusting_tls
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import SettingsError
from notifier.senders.base import (
    Ambiguous,
    NotAskable,
    PermanentFailure,
    Receipt,
    Refused,
    TemporaryFailure,
    UnclearAnswer,
    Unreachable,
)
from notifier.senders.dialling import Deadline
from notifier.senders.smtp import MailFrom, SmtpSender, mail_of
from notifier.senders.smtp_session import Security, SmtpSession

FROM = MailFrom("فروشگاه", "no-reply@shop.example")
MESSAGE_ID = "<abcdefghijklmnopqrstuvwxyz.email@shop.example>"
LARGE = "x" * 8_000_000
"""More than the buffers of sockets hold, so that the end of the mail cannot have gone."""
REFUSING = ["greeting", "EHLO", "MAIL", "RCPT", "DATA"]


def smtp_sender(
    port: int, *, security: Security = "none", login: tuple[str, str] = ("", ""), timeout_s: float = 10.0,
    tls: ssl.SSLContext | None = None, host: str = "127.0.0.1",
) -> SmtpSender:  # fmt: skip
    return SmtpSender(host, port, security, *login, FROM, timeout_s, tls or trusting_tls())


@contextmanager
def sender_at(
    script: Mapping[str, str] | None = None, timeout_s: float = 10.0
) -> Iterator[tuple[SmtpSender, MailServer]]:
    with mail_server(script) as server:
        yield smtp_sender(server.port, timeout_s=timeout_s), server


def parsed(content: bytes) -> EmailMessage:
    found = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert isinstance(found, EmailMessage)
    return found


def test_a_mail_arrives_with_its_persian_intact() -> None:
    with sender_at() as (sender, server):
        assert sender.send(message_over("email")) == Receipt(MESSAGE_ID)
    (taken,) = server.mails
    mail = parsed(taken.content)
    assert (taken.sender, taken.receivers) == ("no-reply@shop.example", ["reader@shop.example"])
    assert mail["Subject"] == PERSIAN_TITLE
    assert mail.get_content().replace("\r\n", "\n").rstrip("\n") == PERSIAN_BODY
    assert mail["From"].addresses[0].display_name == "فروشگاه"
    assert str(mail["To"]) == "reader@shop.example"
    assert mail["Date"].datetime.timestamp() == 1_750_000_000
    assert mail["Message-ID"] == MESSAGE_ID
    assert mail["Auto-Submitted"] == "auto-generated"
    assert taken.content.isascii()
    assert max(map(len, taken.content.split(b"\r\n"))) <= 998


def test_a_retry_has_the_same_message_id() -> None:
    with sender_at() as (sender, server):
        sender.send(message_over("email"))
        sender.send(message_over("email"))
    assert [parsed(taken.content)["Message-ID"] for taken in server.mails] == [MESSAGE_ID, MESSAGE_ID]


@pytest.mark.parametrize("title", ["Sale\r\nBcc: thief@evil.example", "Sale\nX: y", "Sale\x00\u2028Bcc: x", "\r\n"])
def test_a_title_cannot_inject_a_header(title: str) -> None:
    with sender_at() as (sender, server):
        sender.send(message_over("email", title=title))
    mail = parsed(server.mails[0].content)
    assert mail["Bcc"] is None
    assert mail["X"] is None
    assert "\n" not in mail["Subject"]
    assert server.mails[0].receivers == ["reader@shop.example"]


@pytest.mark.parametrize(
    "title",
    [
        "=?utf-8?q?Sale=0D=0ABcc:thief@evil.example?=",
        "=?utf-8?b?U2FsZQ==?= of =?x",
        "فروش =?utf-8?q?=80?=",
        "a:b;" * 50,
        "Sales: all, of; " * 12 + "today",
        "😀" * 200,
    ],
)
def test_a_title_arrives_as_it_was_written(title: str) -> None:
    content = mail_of(message_over("email", title=title), FROM, "reader@shop.example")
    mail = parsed(content)
    assert (str(mail["Subject"]), mail["Bcc"], len(mail.keys())) == (title, None, 10)


@pytest.mark.parametrize("name", ["فروشگاه اینترنتی " * 9 + "ما", 'Shop, "the" (best)', "Shop " * 30 + "s", ""])
def test_every_name_of_a_sender_is_written_in_short_lines(name: str) -> None:
    content = mail_of(message_over("email"), MailFrom(name, "no-reply@shop.example"), "reader@shop.example")
    encoded, address = parseaddr(email.message_from_bytes(content)["From"])
    assert (str(make_header(decode_header(encoded))), address) == (name, "no-reply@shop.example")
    assert max(map(len, content.split(b"\r\n"))) <= 78


def test_an_address_that_looks_like_an_encoded_word_is_written_as_it_is() -> None:
    content = mail_of(message_over("email"), FROM, "=?utf-8?q?reader?=@shop.example")
    assert b"To: =?utf-8?q?reader?=@shop.example\r\n" in content


@pytest.mark.parametrize("to", ["a@example.com\r\nRCPT TO:<b@example.com>", "a@example.com, b@example.com", "", "<>"])
def test_an_invalid_address_is_refused_before_sending(to: str) -> None:
    with sender_at() as (sender, server), pytest.raises(PermanentFailure, match="the address is not valid"):
        sender.send(message_over("email", address=to))
    assert server.stages == []


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=80), st.text(st.characters(codec="utf-8"), max_size=120))
def test_any_text_becomes_a_mail_with_that_text(title: str, body: str) -> None:
    content = mail_of(message_over("email", title=title, body=body), FROM, "reader@shop.example")
    mail = parsed(content)
    assert content.isascii()
    assert set(mail.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language", "Content-Type",
        "Content-Transfer-Encoding", "MIME-Version",
    }  # fmt: skip
    assert mail.get_content().split() == body.split()


def test_a_line_that_is_a_dot_does_not_end_the_mail() -> None:
    mail = b"Subject: x\r\n\r\n.\r\nMAIL FROM:<x@y.example>\r\n..\r\n.end\r\n"
    talk = {"helo": "shop.example", "tls": trusting_tls(), "deadline": Deadline.after(10.0), "hidden": {}}
    with mail_server() as server, SmtpSession("127.0.0.1", server.port, "none", **talk) as talking:  # type: ignore[arg-type]
        talking.introduce("", "")
        talking.hand_over("a@shop.example", "b@shop.example", mail)
    assert server.mails[0].content == mail


@pytest.mark.parametrize("stage", [*REFUSING, "end"])
def test_a_4xx_at_any_stage_is_retried(stage: str) -> None:
    with sender_at({stage: "451 4.3.0 later"}) as (sender, _), pytest.raises(TemporaryFailure) as failed:
        sender.send(message_over("email"))
    assert failed.value.retry_after_s is None
    assert "451 4.3.0 later" in failed.value.reason


@pytest.mark.parametrize(
    ("stage", "reply"),
    [("RCPT", "550 5.1.1 no such user"), ("DATA", "554 no"), ("end", "554 spam"), ("MAIL", "552 large")],
)
def test_a_5xx_caused_by_the_mail_is_permanent(stage: str, reply: str) -> None:
    with sender_at({stage: reply}) as (sender, _), pytest.raises(PermanentFailure, match=re.escape(reply)):
        sender.send(message_over("email"))


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("greeting", "554 go away"),
        ("EHLO", "502 no"),
        ("MAIL", "550 5.7.1 not you"),
        ("RCPT", "530 5.7.0 log in first"),
    ],
)
def test_a_5xx_caused_by_the_settings_is_a_refusal(stage: str, reply: str) -> None:
    with sender_at({stage: reply}) as (sender, _), pytest.raises(Refused, match="for the operator") as failed:
        sender.send(message_over("email"))
    assert failed.value.retry_after_s is None


@pytest.mark.parametrize(
    ("script", "concerns_all"),
    [
        ({"greeting": "421 4.3.2 too busy"}, True),
        ({"EHLO": "421 4.7.0 too many connections"}, True),
        ({"EHLO": "451 4.3.0 later"}, True),
        ({"AUTH": "454 4.7.0 later"}, True),
        ({"AUTH": "535 5.7.8 no"}, True),
        ({"AUTH": "421 4.7.0 too many logins"}, True),
        ({"MAIL": "421 4.7.0 too many mails"}, True),
        ({"RCPT": "421 4.7.0 too many mails"}, True),
        ({"MAIL": "454 4.7.0 temporary authentication failure"}, True),
        ({"DATA": "454 4.7.0 throttled"}, True),
        ({"end": "454 Throttling failure: Maximum sending rate exceeded."}, True),
        ({"RCPT": "454 4.7.1 relay access denied"}, False),
        ({"RCPT": "450 4.2.1 greylisted"}, False),
        ({"RCPT": "452 4.2.2 mailbox full"}, False),
        ({"MAIL": "452 4.3.1 no room for so large a mail"}, False),
        ({"end": "451 4.3.0 later"}, False),
        ({"end": "421 4.3.2 shutting down"}, True),
    ],
)
def test_errors_before_the_mail_and_421_and_454_are_refusals_of_all(
    script: Mapping[str, str], concerns_all: bool
) -> None:
    with (
        mail_server(script, auth_require_tls=False) as server,
        pytest.raises(TemporaryFailure, match=next(iter(script.values()))[:3]) as failed,
    ):
        smtp_sender(server.port, login=("shop", "right-password")).send(message_over("email"))
    assert isinstance(failed.value, Refused) == concerns_all


@pytest.mark.parametrize("stage", [*REFUSING, "content"])
def test_a_connection_lost_before_the_end_of_the_mail_has_sent_nothing(stage: str) -> None:
    with sender_at({stage: "drop"}) as (sender, server):
        with pytest.raises(Unreachable, match="the connection was lost"):
            sender.send(message_over("email", body=LARGE if stage == "content" else PERSIAN_BODY))
        assert server.stages[-1] == stage


def test_a_disconnect_before_reading_a_small_mail_means_not_sent() -> None:
    with sender_at({"DATA": "421 4.3.2 shutting down"}) as (sender, _), pytest.raises(TemporaryFailure, match="421"):
        sender.send(message_over("email"))


@pytest.mark.parametrize("action", ["drop", "hang", "drip"])
def test_a_time_out_after_the_end_of_the_mail_is_ambiguous(action: str) -> None:
    with sender_at({"end": action}, timeout_s=10.0 if action == "drop" else 0.6) as (sender, server):
        with pytest.raises(Ambiguous, match="after the whole mail was sent"):
            sender.send(message_over("email"))
        assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("action", "stage"),
    [*(("hang", stage) for stage in [*REFUSING, "content"]), ("drip", "greeting"), ("drip", "EHLO"), ("drip", "RCPT")],
)
def test_a_slow_server_before_the_end_of_the_mail_times_out(action: str, stage: str) -> None:
    body = LARGE if stage == "content" else PERSIAN_BODY
    with sender_at({stage: action}, timeout_s=0.6) as (sender, _):
        began_s = time.monotonic()
        with pytest.raises(Unreachable, match="no answer in time"):
            sender.send(message_over("email", body=body))
        assert time.monotonic() - began_s < 10


def test_an_unclear_response_to_the_whole_mail_is_ambiguous_and_no_time_out() -> None:
    with sender_at({"end": "354 go on"}) as (sender, _), pytest.raises(UnclearAnswer):
        sender.send(message_over("email"))


def test_a_malformed_response_to_the_whole_mail_is_ambiguous() -> None:
    with sender_at({"end": "3fortytwo"}) as (sender, _), pytest.raises(Ambiguous):
        sender.send(message_over("email"))


def test_a_disconnect_after_accepting_the_mail_is_a_success() -> None:
    with sender_at({"QUIT": "drop"}) as (sender, _):
        assert sender.send(message_over("email")).reference == MESSAGE_ID


def test_without_a_connection_nothing_was_sent() -> None:
    with pytest.raises(Unreachable, match="Connection refused"):
        smtp_sender(closed_port()).send(message_over("email"))
    with pytest.raises(Unreachable, match="SMTP: no connection"):
        smtp_sender(25, host="no-such-host.invalid").send(message_over("email"))


def test_starttls_protects_the_login_and_the_mail() -> None:
    with mail_server(starttls=server_tls("127.0.0.1"), auth_required=True) as server:
        smtp_sender(server.port, security="starttls", login=("shop", "right-password")).send(message_over("email"))
    assert server.logins == [(b"shop", b"right-password")]
    assert server.mails[0].tls


def test_implicit_tls_is_supported() -> None:
    with mail_server(tls=server_tls("127.0.0.1")) as server:
        smtp_sender(server.port, security="tls").send(message_over("email"))
    assert len(server.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(("name", "reason"), [("mail.example", "mismatch"), (None, "not trusted")])
def test_an_invalid_certificate_gets_nothing(security: Security, name: str | None, reason: str) -> None:
    place: dict[str, Any] = {security: server_tls(name or "127.0.0.1")}
    trust = trusting_tls() if name else ssl.create_default_context()
    with mail_server(**place) as server, pytest.raises(TemporaryFailure, match=reason):
        smtp_sender(server.port, security=security, login=("shop", "p"), tls=trust).send(message_over("email"))
    assert (server.logins, server.mails) == ([], [])


def test_a_server_without_starttls_gets_neither_password_nor_mail() -> None:
    with mail_server(auth_require_tls=False) as server, pytest.raises(TemporaryFailure, match="SMTP_SECURITY"):
        smtp_sender(server.port, security="starttls", login=("shop", "right-password")).send(message_over("email"))
    assert (server.logins, server.mails) == ([], [])


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ({"STARTTLS": "454 not now"}, "454"),
        ({"STARTTLS": "drop"}, "lost"),
        ({"AUTH": "drop"}, "lost"),
        ({"AUTH": "454 4.7.0 later"}, "454"),
        ({"AUTH": "334 this is not base64"}, "not SMTP"),
    ],
)
def test_failures_before_the_mail_are_retried(script: Mapping[str, str], reason: str) -> None:
    with mail_server(script, starttls=server_tls("127.0.0.1")) as server, pytest.raises(TemporaryFailure, match=reason):
        smtp_sender(server.port, security="starttls", login=("shop", "right-password")).send(message_over("email"))
    assert server.mails == []


def test_tls_to_a_port_without_it_names_the_settings() -> None:
    with mail_server() as server, pytest.raises(Unreachable, match=r"\(wrong version number\); see SMTP_PORT"):
        smtp_sender(server.port, security="tls").send(message_over("email"))


def test_a_handshake_that_never_ends_times_out() -> None:
    with silent_port() as port, pytest.raises(Unreachable, match="no answer in time"):
        smtp_sender(port, security="tls", timeout_s=0.5).send(message_over("email"))


def test_a_wrong_password_is_a_refusal() -> None:
    with mail_server(starttls=server_tls("127.0.0.1")) as server, pytest.raises(TemporaryFailure, match="operator"):
        smtp_sender(server.port, security="starttls", login=("shop", "wrong")).send(message_over("email"))
    assert server.mails == []


def test_a_server_without_login_is_a_refusal() -> None:
    with (
        mail_server(auth_require_tls=True) as server,
        pytest.raises(TemporaryFailure, match="AUTH extension"),
    ):
        smtp_sender(server.port, login=("shop", "right-password")).send(message_over("email"))


def test_a_server_with_an_unknown_way_to_log_in_is_a_refusal() -> None:
    script = {"EHLO": "250-mail.example\r\n250 AUTH XOAUTH2"}
    with mail_server(script) as server, pytest.raises(Refused, match="No suitable authentication method"):
        smtp_sender(server.port, login=("shop", "right-password")).send(message_over("email"))


@pytest.mark.parametrize("text", ["", "nobody", "Shop <nobody>", "a@b.example\nBcc: c@d.ir", "a@b.example, c@d.ir"])
def test_an_invalid_sender_address_is_refused_at_start_up(text: str) -> None:
    with pytest.raises(SettingsError, match="SMTP_FROM"):
        MailFrom.parsed("SMTP_FROM", text)


def test_a_mail_server_has_no_status_lookup() -> None:
    with pytest.raises(NotAskable):
        smtp_sender(25).find(message_over("email"))
