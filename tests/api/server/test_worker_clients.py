"""Slow, unusual and hostile HTTP clients: time-outs, body limits, slowloris, keep-alive."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sales import publish
from serving_server import PATIENCE_S, Answer, Server, eventually, request, serving, sqlite_url

SOON_S = PATIENCE_S + 40
"""Within which a client is closed that is too slow: the event loop looks once a second, on a noisy machine."""
AT_ONCE_S = PATIENCE_S * 0.8
"""Less than any waiting for a client would take."""

JSON = "Content-Type: application/json"
WRITING = "/api/notifications"
LARGE = "/api/transactions/summary?mode=daily&type=amount&fill=zero&from=1340/01/01&to=1440/01/01"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("worker")
    publish(sqlite_url(folder))
    # One worker of two threads: what holds up two requests holds up everything.
    with serving(folder, API_THREADS="2") as running:
        eventually(lambda: running.workers() and running.ask().status == 200)
        yield running


@pytest.fixture(autouse=True)
def _the_same_worker_goes_on(server: Server) -> Iterator[None]:
    before = server.workers()
    yield
    assert server.workers() == before
    assert server.ask().status == 200


def problem(answer: Answer) -> str:
    """The slug of the problem document that `answer` must be."""
    assert answer.header("Content-Type") == "application/problem+json"
    assert answer.json["status"] == answer.status
    return str(answer.json["type"].removeprefix("/problems/"))


def test_a_keep_alive_connection_serves_one_request_after_another(server: Server) -> None:
    with server.client() as client:
        for _ in range(3):
            answer = client.send(request()).answer()
            assert (answer.status, answer.header("Connection")) == (200, None)


def test_a_pipelined_request_closes_the_connection_after_the_response(
    server: Server,
) -> None:
    for ahead in (request("/readyz") * 5000, request(WRITING, "Content-Length: 10", JSON, method="POST") + b"["):
        with server.client() as client:
            answer = client.send(request(LARGE) + ahead).answer()
            assert (answer.status, answer.header("Connection")) == (200, "close")
            assert len(answer.json) > 30_000
            assert client.is_closed()


def test_a_partly_pipelined_request_is_answered_when_complete(server: Server) -> None:
    whole = request()
    with server.client() as client:
        client.send(whole + whole[:20])
        assert client.answer().status == 200
        assert client.send(whole[20:]).answer().status == 200


def test_a_request_may_arrive_byte_by_byte(server: Server) -> None:
    with server.client() as client:
        for byte in request("/readyz"):
            client.send(bytes([byte]))
        assert client.answer().status == 200


@pytest.mark.parametrize("headers", [(), ("Accept-Encoding: gzip",), ("If-None-Match: *",)], ids=str)
def test_a_fast_path_response_has_the_headers_of_falcon(server: Server, headers: tuple[str, ...]) -> None:
    sent = request(LARGE, f"X-Test: {headers}", *headers)  # so that Falcon answers the first
    with server.client() as client:
        answers = [client.send(sent).answer() for _ in range(3)]
    first, *others = [
        sorted(re.sub("(?im)^(x-request-id|date): .*", "", answer.head).splitlines()) for answer in answers
    ]
    assert others == [first, first]
    assert answers[0].status == (304 if "If-None-Match: *" in headers else 200)
    assert len({answer.body for answer in answers}) == 1
    assert len({answer.header("X-Request-Id") for answer in answers}) == 3


def test_http_1_0_is_answered_and_closed(server: Server) -> None:
    with server.client() as client:
        answer = client.send(request(version="HTTP/1.0")).answer()
        assert (answer.status, answer.header("Connection")) == (200, "close")
        assert client.is_closed()


def test_connection_close_closes_the_connection(server: Server) -> None:
    with server.client() as client:
        assert client.send(request("/healthz", "Connection: close")).answer().header("Connection") == "close"
        assert client.is_closed()


def test_a_half_closed_client_is_answered(server: Server) -> None:
    with server.client() as client:
        client.send(request(LARGE))
        client.socket.shutdown(1)
        assert len(client.answer().json) > 30_000
        assert client.is_closed()


def test_no_response_has_a_server_header(server: Server) -> None:
    with server.client() as client:
        answers = [client.send(request()).answer(), client.send(b"nonsense\r\n\r\n").answer()]
    assert [answer.header("Server") for answer in answers] == [None, None]


def test_expect_100_continue_is_answered(server: Server) -> None:
    with server.client() as client:
        head = request(WRITING, "Content-Length: 5", "Expect: 100-continue", JSON, method="POST")
        assert client.send(head).answer().status == 100
        assert client.send(b"[1,2]").answer().status == 400
        assert client.send(request()).answer().status == 200


def test_expect_100_continue_is_not_answered_for_an_unused_body(server: Server) -> None:
    with server.client() as client:
        head = request("/healthz", "Content-Length: 5", "Expect: 100-continue", JSON, method="POST")
        assert client.send(head).answer().status == 405
        assert client.is_closed()


def test_a_too_large_body_with_expect_100_continue_is_refused(server: Server) -> None:
    head = ("Content-Length: 104857600", "Expect: 100-continue")
    with server.client() as client:
        assert problem(client.send(request("/healthz", *head, method="POST")).answer()) == "body-too-large"
        assert client.is_closed()


@pytest.mark.parametrize("length", ["104857600", "9" * 18])
def test_a_too_large_body_is_refused_by_its_content_length(server: Server, length: str) -> None:
    began = time.monotonic()
    with server.client() as client:
        head = request("/healthz", f"Content-Length: {length}", method="POST")
        answer = client.send(head + b"x" * 100_000).answer()
        assert (answer.status, problem(answer)) == (413, "body-too-large")
        assert client.is_closed()
    assert time.monotonic() - began < AT_ONCE_S


@pytest.mark.parametrize("digits", [20, 5000])
def test_an_enormous_content_length_is_refused(server: Server, digits: int) -> None:
    with server.client() as client:
        answer = client.send(request("/healthz", f"Content-Length: {'9' * digits}", method="POST")).answer()
        assert (answer.status, problem(answer)) == (400, "bad-request")


def test_a_client_that_keeps_sending_a_too_large_body_gets_the_response(server: Server) -> None:
    with server.client() as client:
        client.send(request("/healthz", "Content-Length: 104857600", method="POST"))
        for _ in range(40):
            client.send(b"x" * 100_000)
        assert client.answer().status == 413


def test_a_chunked_body_is_accepted_up_to_the_limit(server: Server) -> None:
    head = request(WRITING, "Transfer-Encoding: chunked", JSON, method="POST")
    with server.client() as client:
        for _ in range(2):
            answer = client.send(head + b"3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n").answer()
            assert answer.json["detail"] == "The body is not a JSON object in UTF-8."
        chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
        answer = client.send(head + chunk * 17).answer()
        assert (answer.status, problem(answer)) == (413, "body-too-large")
        assert client.is_closed()


@pytest.mark.parametrize("sent", [b"", b"2\r\n{}\r\n"])
def test_a_truncated_chunked_body_is_refused(server: Server, sent: bytes) -> None:
    path = f"{WRITING}/{'a' * 26}/cancel"
    head = request(path, "Transfer-Encoding: chunked", JSON, f"X-Request-Id: break-off-{len(sent)}", method="POST")
    client = server.client()
    assert client.send(request()).answer().status == 200
    client.send(head + sent).reset()
    eventually(lambda: any(line["request_id"] == f"break-off-{len(sent)}" for line in server.log()))
    (line,) = (line for line in server.log() if line["request_id"] == f"break-off-{len(sent)}")
    assert line["status"] == 400  # and not 404, as there is no such notification


def test_a_client_that_resets_its_connection_after_a_request_does_not_hide_its_address(server: Server) -> None:
    def of_resets() -> list[str]:
        return [line["remote"] for line in server.log() if line["request_id"] == "reset"]

    def reset() -> int:
        client = server.client()
        time.sleep(0.01)  # the server has accepted it
        client.send(request("/healthz", "X-Request-Id: reset")).reset()
        return len(of_resets())

    eventually(lambda: reset() >= 10)
    assert set(of_resets()) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n", 400),
        (b"GET /healthz HTTP/9.9\r\n\r\n", 400),
        (b"GET /healthz\r\n\r\n", 505),
        (b"GET /healthz HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n", 505),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (request("/healthz", "Host: another.example"), 400),
        (b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\nHost: another.example\r\n\r\n", 400),
        (request("/healthz?a=\u0641"), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (request("/a b"), 400),
        (request("/healthz", "Content-Length: -5"), 400),
        (request("/healthz", "Content-Length: 5", "Content-Length: 6") + b"123456", 400),
        (request("/healthz", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
        (request("/healthz", "Transfer-Encoding: gzip, unheard-of"), 400),
        (request("/healthz", "X: a", " folded"), 400),
        (request("/" + "a" * 8200), 414),
        (b"GET /" + b"a" * 40_000, 431),
        (request("/healthz", *["X: a"] * 100), 431),
        (request("/healthz", *["X: " + "a" * 8000] * 5), 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000, 431),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_invalid_request_is_refused_with_a_problem_document(server: Server, sent: bytes, status: int) -> None:
    with server.client() as client:
        answer = client.send(sent).answer()
        assert (answer.status, problem(answer)) == (status, "bad-request")
        assert client.is_closed()


def test_slowloris_clients_do_not_delay_others(server: Server) -> None:
    slow = [server.client() for _ in range(60)]
    waited_s = []
    for sent in b"GET /hea":
        for client in slow:
            client.send(bytes([sent]))
        began = time.monotonic()
        assert server.ask("/readyz").status == 200
        waited_s.append(time.monotonic() - began)
    assert max(waited_s) < AT_ONCE_S
    for client in slow:
        client.close()


def test_a_slow_request_times_out_with_an_error(server: Server) -> None:
    began = time.monotonic()
    with server.client() as client:
        answer = client.send(request()[:-1]).answer()
        assert (answer.status, problem(answer)) == (408, "bad-request")
        assert client.is_closed()
    assert PATIENCE_S <= time.monotonic() - began < SOON_S


def test_a_slow_body_times_out_with_an_error(server: Server) -> None:
    with server.client() as client:
        assert client.send(request(WRITING, "Content-Length: 5", JSON, method="POST") + b"[1").answer().status == 408
        assert client.is_closed()


@pytest.mark.parametrize(
    "framing", [b"0\r\n" + b"a: b\r\n" * 8000, b"1;" + b"a" * 48_000], ids=["trailers", "extension"]
)
def test_chunk_headers_and_trailers_are_limited(server: Server, framing: bytes) -> None:
    with server.client() as client:
        client.send(request(WRITING, "Transfer-Encoding: chunked", JSON, method="POST"))
        for _ in range(20):  # each read of up to 256 kB is taken whole
            client.send(framing)
            framing = framing.removeprefix(b"0\r\n").removeprefix(b"1;")
        assert client.answer().status == 431
        assert client.is_closed()


@pytest.mark.parametrize("trailer", ["Authorization: Bearer invented", "Content-Type: text/plain"], ids=str)
def test_trailers_are_not_headers(server: Server, trailer: str) -> None:
    heads = [request(WRITING, "Transfer-Encoding: chunked", JSON, method="POST") for _ in range(2)]
    bodies = [b"2\r\n{}\r\n0\r\n\r\n", f"2\r\n{{}}\r\n0\r\n{trailer}\r\n\r\n".encode()]
    answers = []
    for head, body in zip(heads, bodies, strict=True):
        with server.client() as client:
            answers.append(client.send(head + body).answer())
    without, with_trailer = ({**answer.json, "request_id": ""} for answer in answers)
    assert with_trailer == without
    assert without["errors"]


def test_an_upgrade_to_http_2_is_ignored(server: Server) -> None:
    before = server.err
    assert server.ask("/healthz", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c").status == 200
    assert server.err == before


def test_a_silent_client_is_closed_without_a_response(server: Server) -> None:
    began = time.monotonic()
    with server.client() as client:
        assert client.is_closed()
    assert PATIENCE_S <= time.monotonic() - began < SOON_S


def test_clients_that_never_read_do_not_delay_others_and_are_disconnected(server: Server) -> None:
    deaf = [server.client(receive_buffer=4096) for _ in range(4)]
    for requests in (4, 8):  # two responses are more than the system keeps for a connection
        for client in deaf:
            client.send(request(f"{LARGE}&locale=fa"))
        eventually(lambda: server.out.count("locale=fa") == requests)  # noqa: B023
    began = time.monotonic()
    assert server.ask("/readyz").status == 200
    assert time.monotonic() - began < AT_ONCE_S
    eventually(lambda: _connections(server) == 0)
    for client in deaf:
        client.close()


def test_a_slow_reader_gets_a_complete_large_response(server: Server) -> None:
    began = time.monotonic()
    received = b""
    with server.client(receive_buffer=4096) as client, client.socket.makefile("rb") as reader:
        client.send(request(LARGE, "Connection: close"))
        while part := reader.read(200_000):
            received += part
            time.sleep(PATIENCE_S / 4)
    assert len(json.loads(received.partition(b"\r\n\r\n")[2])) > 30_000
    assert time.monotonic() - began > PATIENCE_S


def test_disconnected_clients_leak_no_resources(server: Server) -> None:
    def break_off() -> None:
        for sent in (
            b"",
            b"GET",
            request(),
            request(LARGE),
            b"nonsense\r\n\r\n",
            request("/healthz", "Content-Length: 5", "Expect: 100-continue", method="POST"),
            request("/healthz", "Content-Length: 104857600", method="POST") + b"x" * 1000,
        ):
            server.client().send(sent).reset()
            server.client().send(sent).close()

    def wait_for_their_end() -> None:
        assert server.ask().status == 200  # those before it are no longer waiting to be accepted
        eventually(lambda: _connections(server) == 0)

    break_off()
    wait_for_their_end()
    before = _open_files(server)
    for _ in range(10):
        break_off()
    wait_for_their_end()
    assert _open_files(server) == before


def test_an_idle_server_uses_no_cpu_time(server: Server) -> None:
    with server.client() as kept, server.client() as half_closed:
        assert kept.send(request()).answer().status == 200
        half_closed.send(b"GET /").socket.shutdown(1)
        before_s = _processor_seconds(server)
        time.sleep(0.5)
        assert _processor_seconds(server) - before_s <= 0.05


def _connections(server: Server) -> int:
    """How many connections of clients the worker has."""
    (worker,) = server.workers()
    sockets = psutil.Process(worker).net_connections("tcp")
    return sum(bool(socket.raddr) and socket.laddr.port == server.port for socket in sockets)


def _open_files(server: Server) -> list[str]:
    (worker,) = server.workers()
    names = []
    for descriptor in Path(f"/proc/{worker}/fd").iterdir():
        try:
            names.append(str(descriptor.readlink()))
        except FileNotFoundError:  # closed just now
            continue
    return sorted(name.partition("[")[0] if name.startswith("socket:") else name for name in names)


def _processor_seconds(server: Server) -> float:
    (worker,) = server.workers()
    fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
