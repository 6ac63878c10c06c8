"""Whether all of a request is there must not depend on how it was cut up on its way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.serving.incoming import Incoming, Progress

GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nCONTENT-LENGTH:\t7 \r\nX: b\r\n\r\n"
BODY = b"\r\n\r\n\n01"
LIMIT = 100


@given(st.sampled_from([GET, POST + BODY, b"\r\n" + GET]), st.lists(st.integers(0, 80), max_size=6))
def test_a_request_is_whole_with_its_last_byte_and_not_before(request: bytes, cuts: list[int]) -> None:
    incoming = Incoming(LIMIT)
    edges = sorted({0, len(request), *(cut for cut in cuts if 0 < cut < len(request))})
    parts = [request[begin:end] for begin, end in pairwise(edges)]
    assert [incoming.add(part) for part in parts] == [Progress.PART] * (len(parts) - 1) + [Progress.WHOLE]
    assert incoming.take() == request
    assert len(incoming) == 0


def test_what_was_sent_ahead_is_taken_as_well_and_the_next_request_begins_anew() -> None:
    incoming = Incoming(LIMIT)
    assert incoming.add(POST + BODY + GET[:9]) is Progress.WHOLE
    assert incoming.take() == POST + BODY + GET[:9]
    assert incoming.add(POST) is Progress.PART


@pytest.mark.parametrize(
    "field",
    [b"Content-Length: 101", b"content-length:" + b"9" * 30, b"Transfer-Encoding: chunked", b"transfer-encoding:"],
)
def test_a_body_too_large_or_of_unknown_length_is_not_waited_for(field: bytes) -> None:
    assert Incoming(LIMIT).add(b"POST / HTTP/1.1\r\n" + field + b"\r\n\r\n") is Progress.HEAD_ONLY


def test_a_client_that_asks_first_is_told_once() -> None:
    incoming = Incoming(LIMIT)
    head = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n"
    assert [incoming.add(part) for part in (head, b"a", b"b")] == [
        Progress.ASKS_FIRST, Progress.PART, Progress.WHOLE,
    ]  # fmt: skip


def test_a_client_of_http_1_0_is_not_told_to_go_on() -> None:
    head = b"POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    assert Incoming(LIMIT).add(head) is Progress.PART


@pytest.mark.parametrize(
    ("line", "progress"), [(b"", Progress.LINE_TOO_LONG), (b"GET / HTTP/1.1\r\n", Progress.HEAD_TOO_LARGE)]
)
def test_a_head_without_end_is_not_collected_for_ever(line: bytes, progress: Progress) -> None:
    incoming = Incoming(LIMIT)
    assert incoming.add(line) is Progress.PART
    seen = [incoming.add(b"a" * 1000) for _ in range(40)]
    assert seen[20] is Progress.PART
    assert seen[-1] is progress
