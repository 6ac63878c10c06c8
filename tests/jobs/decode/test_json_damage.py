"""Invalid JSON is reported as damage with its offset."""

from __future__ import annotations

import pytest
from decoded import read_as_file, read_one_json

from core.errors import SourceDamaged


@pytest.mark.parametrize(
    "text",
    [
        '{"m":}', '{"m" "x"}', '{"m":"x",}', '{,}', "{m:1}", '{"m":01}', '{"m":1.}', '{"m":.5}', '{"m":1e}', '{"m":-}',
        '{"m":tru}', '{"m":nul}', '{"m":NaM}', '{"m":"\\x"}', '{"m":"\\u12g4"}', '{"m":"a\tb"}', '{"m":[1 2]}',
        '{"m":[1,]}', '{"m":[}', '{"m":{]}', '{"x":{"m"}}', '{"m":1}}', '{"m":1} {"m":2}', '[{"m":1}]', "x",
        '{"m":1}\0',
        '{"m":' + "[" * 1001 + "]" * 1001 + "}", '{"m":"x"', '{"m":"x', '{"m":"\\', '{"m":"\\u00', '{"m', "{", '{"m":',
        '{"m":[', '{"m":{"a"', '{"m":-Inf', '{"m":1', '{"m":t', '{"m":{"$date":', '{"m":{"$oid":"01', "\x0b",
    ],
)  # fmt: skip
def test_invalid_json_is_damage_with_its_offset(text: str) -> None:
    good = '{"m":"x","a":1,"t":{"$date":0}}\n'
    with pytest.raises(SourceDamaged) as caught:
        read_one_json(good + text)
    assert len(good) <= caught.value.offset <= len(good + text)


@pytest.mark.parametrize("end", range(1, 31))
def test_a_truncated_line_is_damage(end: int) -> None:
    line = '{"m":"x","a":1,"t":{"$date":0}}'
    with pytest.raises(SourceDamaged, match="at byte"):
        read_one_json(f"{line}\n{line[:end]}\n{line[end:]}\n")


def test_the_deepest_nesting_is_read() -> None:
    assert read_one_json('{"x":' + "[" * 1000 + "]" * 1000 + ',"m":"x","a":1,"t":{"$date":0}}').rows == [("x", 1, 0)]


@pytest.mark.parametrize(
    "text",
    [
        *('[{"m":1}', '[{"m":1},', '[{"m":1},]', "[,", "[", "[1]", '[{"m":1}{"m":2}]', '[{"m":1},,{"m":2}]'),
        *('[{"m":1}]]', '[{"m":1}] {"m":2}', '{\n"m":1},{"m":2}', '{\n"m":1}]', '{\n"m":[1 ', '{\n"m":1}\n{"m"'),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
def test_a_malformed_sequence_of_documents_is_damage_with_its_offset(text: str, chunk_bytes: int) -> None:
    with pytest.raises(SourceDamaged) as caught:
        read_as_file(text.encode(), chunk_bytes=chunk_bytes)
    assert 0 < caught.value.offset <= len(text)
