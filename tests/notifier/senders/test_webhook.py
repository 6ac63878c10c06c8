"""Webhooks: signatures, idempotency keys, time-outs, and no requests to private addresses (SSRF)."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
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
    resets,
    rubbish,
    silent_port,
    timeout_for,
    unread,
)
from gateway_messages import PERSIAN_BODY, PERSIAN_TITLE, message_over
from gateway_tls import server_tls, trusting_tls

from core.calendar import Mode
from core.notifications.model import AnnouncedTotals
from notifier.senders.base import (
    Ambiguous,
    NotAskable,
    PermanentFailure,
    Receipt,
    Refused,
    TemporaryFailure,
    Unreachable,
)
from notifier.senders.dialling import anywhere, is_public
from notifier.senders.http import HttpGateway
from notifier.senders.webhook import WebhookSender

SECRET = "webhook-signing-secret"
NOW_S = 1_750_000_100.75
TIMEOUT_S = 0.6


def webhook_sender(timeout_s: float = 10.0, **options: Any) -> WebhookSender:
    http = HttpGateway("webhook", timeout_s, **{"may_connect": anywhere, **options})
    return WebhookSender(http, SECRET, clock_s=lambda: NOW_S)


@contextmanager
def sender_at(*behaviours: Behaviour) -> Iterator[tuple[WebhookSender, Gateway]]:
    sender = webhook_sender(timeout_for(*behaviours))
    with gateway(*behaviours) as server:
        try:
            yield sender, server
        finally:
            sender.close()


def send_to(sender: WebhookSender, url: str, **changes: object) -> Receipt:
    return sender.send(message_over("webhook", address=url, **changes))


def test_a_message_is_posted_as_json_with_its_persian_intact() -> None:
    with sender_at(answers(204)) as (sender, server):
        assert send_to(sender, f"{server.url}/in?key=1") == Receipt()
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/in?key=1")
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.json == {
        "version": 1,
        "id": "abcdefghijklmnopqrstuvwxyz:webhook",
        "title": PERSIAN_TITLE,
        "body": PERSIAN_BODY,
        "created_at": "2025-06-15T15:06:40.123Z",
        "announcement": None,
    }


@pytest.mark.parametrize("merchant_id", ["فروشگاه ۱۲", None])
def test_an_announcement_carries_its_figures_for_programs(merchant_id: str | None) -> None:
    totals = AnnouncedTotals(Mode.DAILY, "1403/04/04", 1_719_174_600_000, 1_719_261_000_000, -(2**63), 34, "IRR", 2)
    with sender_at(answers(204)) as (sender, server):
        send_to(sender, server.url, announced=totals, merchant_id=merchant_id)
    assert server.requests[0].json["announcement"] == {
        "merchant_id": merchant_id,
        "mode": "daily",
        "key": "1403/04/04",
        "period_start": "2024-06-23T20:30:00.000Z",
        "period_end": "2024-06-24T20:30:00.000Z",
        "amount": -(2**63),
        "count": 34,
        "currency": "IRR",
        "scale": 2,
    }


def test_the_documented_example_is_what_is_posted() -> None:
    page = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text()
    found = re.search(r"## Webhooks\n.*?```json\n(.*?)```", page, re.DOTALL)
    assert found is not None
    example = json.loads(found[1])
    told = example["announcement"]
    bounds_ms = (_ms(told["period_start"]), _ms(told["period_end"]))
    figures = told["amount"], told["count"], told["currency"], told["scale"]
    totals = AnnouncedTotals(Mode(told["mode"]), told["key"], *bounds_ms, *figures)
    with sender_at(answers(204)) as (sender, server):
        send_to(
            sender, server.url, id=example["id"], title=example["title"], body=example["body"],
            created_at_ms=_ms(example["created_at"]), announced=totals, merchant_id=told["merchant_id"],
        )  # fmt: skip
    assert server.requests[0].json == example


def _ms(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


def test_a_message_is_signed_for_its_receiver() -> None:
    with sender_at(answers(200)) as (sender, server):
        send_to(sender, server.url)
    (request,) = server.requests
    expected = hmac.new(SECRET.encode(), b"1750000100." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-signature"] == f"t=1750000100,v1={expected}"


def test_a_retry_has_the_same_idempotency_key() -> None:
    with sender_at(cuts, answers(200)) as (sender, server):
        with pytest.raises(Ambiguous):
            send_to(sender, server.url)
        send_to(sender, server.url)
    assert {request.headers["idempotency-key"] for request in server.requests} == {"abcdefghijklmnopqrstuvwxyz:webhook"}
    assert sender.deduplicates


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 422])
def test_a_refusal_is_permanent(status: int) -> None:
    with sender_at(answers(status)) as (sender, server), pytest.raises(PermanentFailure, match=f"answer {status}"):
        send_to(sender, server.url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with gateway(answers(200)) as other:
        moved = answers(status, b"", {"location": other.url})
        with sender_at(moved) as (sender, server), pytest.raises(PermanentFailure, match="redirects are not followed"):
            send_to(sender, server.url)
        assert other.connections == 0


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_temporary_failure_is_retried(status: int) -> None:
    with sender_at(answers(status)) as (sender, server), pytest.raises(TemporaryFailure) as failed:
        send_to(sender, server.url)
    assert failed.value.retry_after_s is None
    assert isinstance(failed.value, Refused) == (status == 429)


@pytest.mark.parametrize(
    ("asked", "retry_s"),
    [
        ("120", 120),
        ("Sun, 15 Jun 2025 15:10:00 GMT", 99.25),
        ("Sunday, 15-Jun-25 15:10:00 GMT", 99.25),
        ("Sun, 15 Jun 2020 15:10:00 GMT", 0),
        ("99999999", 86_400),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1.5", None),
        ("9" * 400, None),
        ("Wed, 31 Dec 99999999999999999999 23:59:59 GMT", None),
        ("Wed, 31 Dec 2026 23:59:59 +99999999999999", None),
    ],
)
def test_retry_after_of_a_receiver_is_returned(asked: str, retry_s: float | None) -> None:
    busy = answers(503, b"", {"retry-after": asked})
    with sender_at(busy) as (sender, server), pytest.raises(TemporaryFailure) as failed:
        send_to(sender, server.url)
    assert failed.value.retry_after_s == retry_s
    assert isinstance(failed.value, Refused) == (retry_s is not None)


@pytest.mark.parametrize("behaviour", [hangs, cuts, resets, drips, rubbish])
def test_a_time_out_after_the_request_is_ambiguous(behaviour: Behaviour) -> None:
    with sender_at(behaviour) as (sender, server), pytest.raises(Ambiguous, match="after the request was sent"):
        send_to(sender, server.url)


def test_a_dripping_server_times_out() -> None:
    with sender_at(drips) as (sender, server):
        began_s = time.monotonic()
        with pytest.raises(Ambiguous):
            send_to(sender, server.url)
        assert time.monotonic() - began_s < TIMEOUT_S + 10


@pytest.mark.parametrize("behaviour", [endless, cuts_within(200, b"thank")])
def test_a_2xx_is_a_success_whatever_its_body(behaviour: Behaviour) -> None:
    with sender_at(behaviour) as (sender, server):
        assert send_to(sender, server.url) == Receipt()


def test_a_partly_read_request_was_not_sent() -> None:
    sender = webhook_sender()
    with gateway(unread) as server, pytest.raises(Unreachable):
        send_to(sender, server.url, body="x" * 30_000_000)
    sender.close()


def test_without_a_connection_nothing_was_sent() -> None:
    sender = webhook_sender()
    with pytest.raises(Unreachable, match="Connection refused"):
        send_to(sender, f"http://127.0.0.1:{closed_port()}/")
    with pytest.raises(Unreachable, match="webhook: no connection"):
        send_to(sender, "http://no-such-host.invalid/")
    sender.close()


def test_a_valid_certificate_is_accepted() -> None:
    sender = webhook_sender(tls=trusting_tls())
    with gateway(answers(200), tls=server_tls("127.0.0.1")) as server:
        assert send_to(sender, server.url) == Receipt()
    sender.close()


@pytest.mark.parametrize(("name", "reason"), [("127.0.0.2", "mismatch"), ("localhost", "mismatch")])
def test_a_certificate_of_another_host_is_refused(name: str, reason: str) -> None:
    sender = webhook_sender(tls=trusting_tls())
    with gateway(answers(200), tls=server_tls(name)) as server, pytest.raises(TemporaryFailure, match=reason):
        send_to(sender, server.url)
    assert server.requests == []
    sender.close()


def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    sender = webhook_sender()
    with gateway(answers(200), tls=server_tls("127.0.0.1")) as server, pytest.raises(TemporaryFailure, match="trusted"):
        send_to(sender, server.url)
    assert server.requests == []
    sender.close()


def test_a_server_that_never_finishes_the_handshake_gets_nothing() -> None:
    sender = webhook_sender(TIMEOUT_S)
    with silent_port() as port, pytest.raises(Unreachable, match="no connection in time"):
        send_to(sender, f"https://127.0.0.1:{port}/")
    sender.close()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[::]",
     "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255",
     "[fe80::1]", "[fc00::1]", "[ff02::1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::1]",
     "192.0.0.9", "192.0.0.10", "192.88.99.1", "168.63.129.16", "[3fff::1]", "[::ffff:168.63.129.16]",
     "[64:ff9b::a83f:8110]"],
)  # fmt: skip
def test_a_private_address_is_never_connected_to(host: str) -> None:
    sender = webhook_sender(may_connect=is_public)
    with gateway(answers(200)) as server, pytest.raises(PermanentFailure):
        send_to(sender, f"http://{host}:{server.port}/")
    assert server.connections == 0
    sender.close()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:22/", "https://127.0.0.1:6379/", "http://127.0.0.1/", "https://[::1]:80/"]
)
def test_a_port_that_is_not_allowed_is_never_connected_to(url: str) -> None:
    sender = WebhookSender(HttpGateway("webhook", TIMEOUT_S), SECRET, ports={443})
    with pytest.raises(PermanentFailure, match=r"port \d+ is not one of WEBHOOK_PORTS"):
        send_to(sender, url)
    sender.close()


def test_the_default_port_of_the_scheme_is_used() -> None:
    sender = WebhookSender(HttpGateway("webhook", TIMEOUT_S), SECRET, ports={443})
    with pytest.raises(Unreachable):
        send_to(sender, "https://127.0.0.1/")
    sender.close()


def test_the_validated_address_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that changes between two look-ups (DNS rebinding) gains nothing: there is only one."""
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, port: int, *rest: Any, **options: Any) -> Any:
        if host != "rebinding.example":
            return real(host, port, *rest, **options)
        looked_up.append(host)
        address = "127.0.0.2" if len(looked_up) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    sender = webhook_sender(may_connect=lambda address: str(address) == "127.0.0.2")
    with gateway(answers(200)) as server, pytest.raises(Unreachable, match="Connection refused"):
        send_to(sender, f"http://rebinding.example:{server.port}/")
    assert looked_up == ["rebinding.example"]
    assert server.connections == 0
    sender.close()


def test_a_host_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("203.0.114.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    sender = webhook_sender(may_connect=is_public)
    with pytest.raises(PermanentFailure, match="WEBHOOK_ALLOW_PRIVATE"):
        send_to(sender, "http://mixed.example/")
    sender.close()


def test_the_host_name_is_kept_in_the_host_header_and_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def local(host: str, port: int, *rest: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host == "hooks.example" else host, port, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", local)
    sender = webhook_sender(tls=trusting_tls())
    with gateway(answers(200), tls=server_tls("hooks.example")) as server:
        assert send_to(sender, f"https://hooks.example:{server.port}/") == Receipt()
    assert server.requests[0].headers["host"] == f"hooks.example:{server.port}"
    sender.close()


def test_a_hanging_resolver_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def slow(*_: Any, **__: Any) -> list[Any]:
        over.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    sender = webhook_sender(TIMEOUT_S)
    began_s = time.monotonic()
    with pytest.raises(Unreachable, match="no connection in time"):
        send_to(sender, "http://slow-dns.example/")
    assert time.monotonic() - began_s < TIMEOUT_S + 10
    over.set()
    sender.close()


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with sender_at(answers(200)) as (sender, server):
        assert send_to(sender, server.url) == Receipt()


def test_cookies_of_a_receiver_are_not_stored() -> None:
    with sender_at(answers(200, b"", {"set-cookie": "a=b"})) as (sender, server):
        send_to(sender, server.url)
        send_to(sender, server.url)
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize("url", ["ftp://hooks.example/", "https://user:pw@hooks.example/", "http://127.0.0.1:0/", ""])
def test_an_invalid_webhook_url_is_refused(url: str) -> None:
    sender = webhook_sender()
    with pytest.raises(PermanentFailure, match="the address is not valid"):
        send_to(sender, url)


def test_a_receiver_has_no_status_lookup() -> None:
    with pytest.raises(NotAskable):
        webhook_sender().find(message_over("webhook"))
