"""Log lines: JSON, one a line, and never a key."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.instants import iso_instant
from core.log_lines import LineWriter, log_line, looks_like_key, redacted

TOKEN = "tss_5yvgcq5hjq_GTL2gPyH8SpVMaXv7FXqkl3Yth4_lA1UCOEOeDZ5nmE"  # the same for all processes of the tests
SECRET = TOKEN.rpartition("_")[2] if TOKEN.count("_") == 2 else TOKEN[15:]


def percent_encoded(text: str, times: int) -> str:
    for _ in range(times):
        text = "".join(f"%{byte:02X}" for byte in text.encode()) if text == TOKEN else text.replace("%", "%25")
    return text


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        TOKEN.upper(),
        f"Bearer {TOKEN}",
        f"/api/{TOKEN}/more",
        f"a=1&key={TOKEN}&b=2",
        f"%74ss_{TOKEN[4:]}",
        f"tss%5F{TOKEN[4:]}",
        f"tss%5f{TOKEN[4:]}",
        percent_encoded(TOKEN, 1),
        percent_encoded(TOKEN, 3),
        TOKEN[:40],
    ],
)
def test_api_keys_in_any_form_are_redacted(text: str) -> None:
    line = log_line({"path": text, "other": {"query": [text]}}).decode()
    assert SECRET[5:15].lower() not in line.lower()
    assert "tss_[redacted]" in line
    assert looks_like_key(text)
    assert not looks_like_key(redacted(text).replace("tss_[redacted]", ""))


def test_text_around_a_redacted_key_stays() -> None:
    assert redacted(f"/a?key={TOKEN}&limit=5") == "/a?key=tss_[redacted]&limit=5"


def test_a_line_without_a_key_is_unchanged() -> None:
    fields = {"path": "/api/transactions/summary", "query": "mode=daily&merchant_id=فروشگاه", "status": 200}
    assert json.loads(log_line(fields)) == fields


@given(st.dictionaries(st.text(max_size=5), st.text(st.characters(), max_size=40), max_size=4))
def test_any_text_becomes_one_line_of_json(fields: dict[str, str]) -> None:
    line = log_line(fields | {"last": "\r\n\u2028\x00"})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    json.loads(line)


def test_invalid_unicode_is_written_as_question_marks() -> None:
    assert json.loads(log_line({"path": "/\udcff"})) == {"path": "/?"}


def test_an_instant_is_written_in_utc_with_milliseconds() -> None:
    assert iso_instant(1_719_230_400_007) == "2024-06-24T12:00:00.007Z"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Where to read, and where to write."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):  # the test has closed it
            os.close(end)


def read_until_closed(reader: int) -> list[bytes]:
    with open(reader, "rb", closefd=False) as file:
        return file.readlines()


def test_concurrent_log_lines_do_not_interleave(pipe: tuple[int, int]) -> None:
    write = LineWriter(pipe[1])
    lines = [f"{number:04d}\n".encode() * 50 for number in range(200)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, lines))
    write.close()
    os.close(pipe[1])
    assert sorted(read_until_closed(pipe[0])) == [line for piece in lines for line in piece.splitlines(keepends=True)]


def test_a_stalled_log_reader_blocks_no_writer_and_dropped_lines_are_counted(pipe: tuple[int, int]) -> None:
    write = LineWriter(pipe[1], most_bytes=200_000)
    for _ in range(4000):
        write(b"a" * 99 + b"\n")
    kept = lost = 0
    with open(pipe[0], "rb", closefd=False) as file:
        while kept + lost < 4000:  # some may have been lost before the thread wrote for the first time, and some after
            line = file.readline()
            if not line.startswith(b"{"):
                kept += 1
                continue
            loss = json.loads(line)
            assert (loss["level"], loss["event"]) == ("warning", "log-lines-lost")
            lost += loss["lines"]
    assert kept + lost == 4000
    assert lost > 0
    write.close()


@pytest.mark.parametrize("end", [0, 1], ids=["its reader has gone", "it is closed"])
def test_a_failing_log_file_does_not_fail_the_program(pipe: tuple[int, int], end: int) -> None:
    os.close(pipe[end])
    write = LineWriter(pipe[1])
    write(b"lost\n")
    write.close()
    write(b"lost as well\n")
