"""SMS by Kavenegar: the outcome of a message for each response, time-out and status lookup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    gateway,
    hangs,
    resets,
    rubbish,
    timeout_for,
)
from gateway_messages import CREATED_AT_MS, PERSIAN_BODY, PERSIAN_TITLE, message_over

from notifier.senders.base import (
    Ambiguous,
    NotAskable,
    PermanentFailure,
    Receipt,
    Refused,
    TemporaryFailure,
    UnclearAnswer,
)
from notifier.senders.http import HttpGateway
from notifier.senders.kavenegar import KavenegarSender

KEY = "4D6172792068616420612073656372"
TIMEOUT_S = 0.6
HOUR_MS = 3_600_000


def answered(status: int, entries: Any = None, http_status: int | None = None) -> Behaviour:
    """An answer of the gateway itself."""
    body = {"return": {"status": status, "message": "پیام درگاه"}, "entries": entries}
    return answers(http_status or status, body, {"content-type": "application/json"})


def taken(message_id: int = 8792343, status: int = 1) -> Behaviour:
    return answered(200, [{"messageid": message_id, "status": status, "statustext": "در صف ارسال", "cost": 120}])


@contextmanager
def sender_at(*behaviours: Behaviour, age_ms: int = 0, line: str = "") -> Iterator[tuple[KavenegarSender, Gateway]]:
    with gateway(*behaviours) as server:
        http = HttpGateway("Kavenegar", timeout_for(*behaviours))
        sender = KavenegarSender(http, server.url, KEY, line, clock_ms=lambda: CREATED_AT_MS + age_ms)
        try:
            yield sender, server
        finally:
            sender.close()


def test_a_message_is_posted_with_its_persian_text_and_localid() -> None:
    message = message_over("sms")
    with sender_at(taken()) as (sender, server):
        assert sender.send(message) == Receipt("8792343", parts=1)
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", f"/v1/{KEY}/sms/send.json")
    assert request.form == {
        "receptor": "09123456789",
        "message": f"{PERSIAN_TITLE}\n{PERSIAN_BODY}",
        "localid": str(message.number_id),
    }


def test_the_configured_sender_line_is_sent() -> None:
    with sender_at(taken(), line="10004346") as (sender, server):
        sender.send(message_over("sms"))
    assert server.requests[0].form["sender"] == "10004346"


def test_a_foreign_number_is_written_with_the_dialling_prefix() -> None:
    with sender_at(taken()) as (sender, server):
        sender.send(message_over("sms", address="+4915123456789"))
    assert server.requests[0].form["receptor"] == "004915123456789"


def test_the_localid_of_a_message_is_stable_and_fits_64_bits() -> None:
    first, second = message_over("sms"), message_over("sms", id="bbbbbbbbbbbbbbbbbbbbbbbbbb:sms")
    assert first.number_id == message_over("sms", title="other").number_id
    assert first.number_id != second.number_id
    assert 0 < first.number_id < 2**63


def test_a_manually_retried_message_has_another_localid() -> None:
    editions = [message_over("sms", edition=edition) for edition in range(3)]
    with sender_at(taken(1, status=11), taken(2), answered(200, [{"messageid": 2, "status": 4}])) as (sender, server):
        with pytest.raises(PermanentFailure):
            sender.send(editions[0])
        assert sender.send(editions[1]) == Receipt("2", parts=1)
        assert sender.find(editions[1]) == Receipt("2")
    asked = [request.form["localid"] for request in server.requests]
    assert asked[0] != asked[1] == asked[2]
    assert message_over("sms").number_id == editions[0].number_id
    assert len({message.number_id for message in editions}) == 3


def test_two_messages_go_over_one_connection() -> None:
    with sender_at(taken()) as (sender, server):
        sender.send(message_over("sms"))
        sender.send(message_over("sms"))
    assert (len(server.requests), server.connections) == (2, 1)


def test_a_repeated_message_is_recognised_by_the_gateway() -> None:
    with sender_at(taken(77), taken(77, status=10)) as (sender, server):
        assert sender.send(message_over("sms")).reference == sender.send(message_over("sms")).reference == "77"
    assert server.requests[0].form["localid"] == server.requests[1].form["localid"]


@pytest.mark.parametrize("status", [400, 406, 411, 413, 414, 417, 419, 420, 422])
def test_a_status_caused_by_the_message_is_permanent(status: int) -> None:
    with sender_at(answered(status)) as (sender, _), pytest.raises(PermanentFailure, match=f"Kavenegar {status}: "):
        sender.send(message_over("sms"))


@pytest.mark.parametrize("status", [401, 403, 404, 405, 407, 412, 416, 418, 426, 427, 501])
def test_a_status_caused_by_the_account_is_a_refusal(status: int) -> None:
    with (
        sender_at(answered(status)) as (sender, _),
        pytest.raises(Refused, match="for the operator") as failed,
    ):
        sender.send(message_over("sms"))
    assert (failed.value.retry_after_s, failed.value.receiver_only) == (None, False)


@pytest.mark.parametrize("status", [409, 429, 451])
def test_a_status_that_affects_every_message_is_a_refusal_of_all(status: int) -> None:
    with sender_at(answered(status)) as (sender, _), pytest.raises(Refused) as failed:
        sender.send(message_over("sms"))
    assert (failed.value.retry_after_s, failed.value.receiver_only) == (None, False)


@pytest.mark.parametrize("status", [402, 599])
def test_a_temporary_status_is_retried(status: int) -> None:
    with sender_at(answered(status)) as (sender, _), pytest.raises(TemporaryFailure) as failed:
        sender.send(message_over("sms"))
    assert not isinstance(failed.value, Refused)


def test_http_200_is_no_success_when_the_gateways_own_status_is_not_200() -> None:
    with sender_at(answered(418, http_status=200)) as (sender, _), pytest.raises(TemporaryFailure, match="credit"):
        sender.send(message_over("sms"))


@pytest.mark.parametrize("status", [6, 11, 13, 14])
def test_a_message_the_gateway_gave_up_is_not_sent_again(status: int) -> None:
    with sender_at(taken(status=status)) as (sender, _), pytest.raises(PermanentFailure):
        sender.send(message_over("sms"))
    with sender_at(taken(status=status)) as (sender, _), pytest.raises(PermanentFailure):
        sender.find(message_over("sms"))


@pytest.mark.parametrize("entry", [{"messageid": 7, "status": [6]}, {"messageid": {"id": 7}, "status": {}}])
def test_a_success_with_a_strange_entry_is_a_success(entry: Any) -> None:
    with sender_at(answered(200, [entry])) as (sender, _):
        assert sender.send(message_over("sms")).reference in ("7", None)
        assert sender.find(message_over("sms")) is not None


def test_a_text_that_is_too_long_is_refused_before_sending() -> None:
    with sender_at(taken()) as (sender, server):
        for body in ("س" * 671, "x" * 901):
            with pytest.raises(PermanentFailure, match="at most"):
                sender.send(message_over("sms", title="", body=body))
        assert sender.send(message_over("sms", title="", body="س" * 670)).parts == 10
    assert len(server.requests) == 1


def test_an_invalid_address_is_refused_before_sending() -> None:
    with sender_at(taken()) as (sender, server), pytest.raises(PermanentFailure, match="address"):
        sender.send(message_over("sms", address="09123456789,09120000000"))
    assert server.requests == []


@pytest.mark.parametrize("behaviour", [hangs, cuts, resets, drips, rubbish])
def test_a_time_out_after_the_request_is_ambiguous(behaviour: Behaviour) -> None:
    with sender_at(behaviour) as (sender, server), pytest.raises(Ambiguous, match="after the request was sent"):
        sender.send(message_over("sms"))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        cuts_within(200, b'{"return":{"status":200'),
        answers(200, b"<html>login</html>"),
        answers(200, b"[]"),
        answers(200, {"return": {"status": True}}),
        answers(500, b"oops"),
        answers(502, b"<html>bad gateway</html>"),
        answers(504),
    ],
)
def test_a_response_without_an_outcome_is_ambiguous(behaviour: Behaviour) -> None:
    with sender_at(behaviour) as (sender, _), pytest.raises(UnclearAnswer):
        sender.send(message_over("sms"))


@pytest.mark.parametrize(("status", "retry_s"), [(408, None), (429, 7), (503, 7)])
def test_a_proxy_error_before_forwarding_is_retried(status: int, retry_s: float | None) -> None:
    headers = {"retry-after": "7"} if retry_s else {}
    with sender_at(answers(status, b"busy", headers)) as (sender, _), pytest.raises(TemporaryFailure) as failed:
        sender.send(message_over("sms"))
    assert failed.value.retry_after_s == retry_s
    assert isinstance(failed.value, Refused) == (retry_s is not None)


@pytest.mark.parametrize("status", [302, 403, 404, 410])
def test_a_url_that_is_no_gateway_is_a_refusal(status: int) -> None:
    elsewhere = answers(status, b"", {"location": "https://elsewhere.example/"})
    with sender_at(elsewhere) as (sender, server), pytest.raises(TemporaryFailure, match="for the operator"):
        sender.send(message_over("sms"))
    assert len(server.requests) == 1


def test_without_a_connection_nothing_was_sent() -> None:
    sender = KavenegarSender(HttpGateway("Kavenegar", TIMEOUT_S), f"http://127.0.0.1:{closed_port()}", KEY, "")
    with pytest.raises(TemporaryFailure, match="Connection refused"):
        sender.send(message_over("sms"))
    sender.close()


def test_after_an_ambiguous_send_the_status_is_looked_up_by_localid() -> None:
    message = message_over("sms")
    found = answered(200, [{"messageid": 85463238, "localid": str(message.number_id), "status": 4}])
    with sender_at(cuts, found) as (sender, server):
        with pytest.raises(Ambiguous):
            sender.send(message)
        assert sender.find(message) == Receipt("85463238")
    assert server.requests[1].path == f"/v1/{KEY}/sms/statuslocalmessageid.json"
    assert server.requests[1].form == {"localid": str(message.number_id)}


@pytest.mark.parametrize("entries", [None, [], [{"messageid": 0, "status": 100}], [{"messageid": 5, "status": 100}]])
def test_an_unknown_localid_means_the_message_was_not_sent(entries: Any) -> None:
    with sender_at(answered(200, entries), age_ms=12 * HOUR_MS - 1) as (sender, _):
        assert sender.find(message_over("sms")) is None


def test_after_the_retention_of_the_gateway_there_is_no_status_lookup() -> None:
    with sender_at(answered(200, []), age_ms=12 * HOUR_MS) as (sender, _), pytest.raises(NotAskable):
        sender.find(message_over("sms"))


def test_the_retention_of_the_gateway_starts_at_the_attempt() -> None:
    attempted = message_over("sms", attempted_at_ms=CREATED_AT_MS + 30 * HOUR_MS)
    with sender_at(answered(200, []), age_ms=42 * HOUR_MS - 1) as (sender, _):
        assert sender.find(attempted) is None
    with sender_at(answered(200, []), age_ms=42 * HOUR_MS) as (sender, _), pytest.raises(NotAskable):
        sender.find(attempted)


@pytest.mark.parametrize("status", [403, 451])
def test_a_refused_status_lookup_is_a_refusal_of_all(status: int) -> None:
    with sender_at(answered(status)) as (sender, _), pytest.raises(Refused):
        sender.find(message_over("sms"))


@pytest.mark.parametrize("behaviour", [hangs, cuts, answered(409), answered(403), answers(502), answers(200, b"{}")])
def test_a_failed_status_lookup_is_retried(behaviour: Callable[..., None]) -> None:
    with sender_at(behaviour) as (sender, _), pytest.raises(TemporaryFailure):
        sender.find(message_over("sms"))
