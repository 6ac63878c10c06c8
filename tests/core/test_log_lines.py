"""Log lines: JSON, one a line, and never a key."""

from __future__ import annotations

import io
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.instants import iso_instant
from core.log_lines import lines_to, log_line, looks_like_key, redacted

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
def test_a_key_in_whatever_form_is_left_out(text: str) -> None:
    line = log_line({"path": text, "other": {"query": [text]}}).decode()
    assert SECRET[5:15].lower() not in line.lower()
    assert "tss_[redacted]" in line
    assert looks_like_key(text)
    assert not looks_like_key(redacted(text).replace("tss_[redacted]", ""))


def test_what_surrounds_a_key_is_kept() -> None:
    assert redacted(f"/a?key={TOKEN}&limit=5") == "/a?key=tss_[redacted]&limit=5"


def test_a_line_without_a_key_is_written_as_it_is() -> None:
    fields = {"path": "/api/transactions/summary", "query": "mode=daily&merchant_id=فروشگاه", "status": 200}
    assert json.loads(log_line(fields)) == fields


@given(st.dictionaries(st.text(max_size=5), st.text(st.characters(), max_size=40), max_size=4))
def test_any_text_becomes_one_line_of_json(fields: dict[str, str]) -> None:
    line = log_line(fields | {"last": "\r\n\u2028\x00"})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    json.loads(line)


def test_text_that_is_no_unicode_is_written_as_question_marks() -> None:
    assert json.loads(log_line({"path": "/\udcff"})) == {"path": "/?"}


def test_an_instant_is_written_in_utc_with_milliseconds() -> None:
    assert iso_instant(1_719_230_400_007) == "2024-06-24T12:00:00.007Z"


def test_lines_of_many_threads_do_not_mix() -> None:
    stream = io.BytesIO()
    write = lines_to(stream)
    lines = [f"{number:04d}" * 50 + "\n" for number in range(200)]
    threads = [threading.Thread(target=lambda part=part: [write(line.encode()) for line in part]) for part in
               (lines[::2], lines[1::2])]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(stream.getvalue().decode().splitlines(keepends=True)) == lines


def test_a_stream_that_fails_fails_nobody() -> None:
    stream = io.BytesIO()
    stream.close()
    lines_to(stream)(b"lost\n")
