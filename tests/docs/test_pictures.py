"""The pictures of the README: small, of equal size, and with alternative text."""

from __future__ import annotations

import re
import struct

import make_screenshots
from pages import ROOT

MOST_BYTES = 250_000


def test_the_pictures_exist_and_are_small() -> None:
    shown = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert {ROOT / file for _, file in shown} == set((ROOT / "docs" / "images").iterdir())
    assert len(shown) == 2
    for words, file in shown:
        content = (ROOT / file).read_bytes()
        assert len(words) > 20
        assert len(content) < MOST_BYTES
        assert struct.unpack(">II", content[16:24]) == tuple(make_screenshots._SIZE.values())
