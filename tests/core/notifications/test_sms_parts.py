"""Number of SMS parts of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.notifications.texts import SmsParts, sms_parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", SmsParts("gsm", 0, 0)),
        ("x", SmsParts("gsm", 1, 1)),
        ("x" * 160, SmsParts("gsm", 160, 1)),
        ("x" * 161, SmsParts("gsm", 161, 2)),
        ("x" * 306, SmsParts("gsm", 306, 2)),
        ("x" * 307, SmsParts("gsm", 307, 3)),
        ("é\n£", SmsParts("gsm", 3, 1)),
        ("€" * 80, SmsParts("gsm", 160, 1)),
        ("€" * 81, SmsParts("gsm", 162, 2)),
        # 153 is odd: the escape of the 77th sign would be cut from it, so it goes to the next message.
        ("€" * 152, SmsParts("gsm", 304, 2)),
        ("€" * 153, SmsParts("gsm", 306, 3)),
        ("س" * 70, SmsParts("ucs2", 70, 1)),
        ("س" * 71, SmsParts("ucs2", 71, 2)),
        ("س" * 134, SmsParts("ucs2", 134, 2)),
        ("س" * 135, SmsParts("ucs2", 135, 3)),
        ("x" * 70 + "س", SmsParts("ucs2", 71, 2)),
        ("🙂" * 35, SmsParts("ucs2", 70, 1)),
        ("🙂" * 66, SmsParts("ucs2", 132, 2)),
        ("🙂" * 67, SmsParts("ucs2", 134, 3)),
        ("`", SmsParts("ucs2", 1, 1)),
    ],
)
def test_sms_parts_are_counted_as_by_networks(text: str, expected: SmsParts) -> None:
    assert sms_parts(text) == expected


@given(st.text(max_size=400))
def test_the_sms_parts_hold_the_text_without_an_empty_part(text: str) -> None:
    found = sms_parts(text)
    single, joined = (160, 153) if found.encoding == "gsm" else (70, 67)
    capacity = single if found.parts == 1 else joined * found.parts
    assert found.units <= capacity
    if found.parts > 1:
        assert found.units > single
        assert found.units > (joined - 1) * (found.parts - 1)
