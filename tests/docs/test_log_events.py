"""The table in docs/watching.md has every event that the programs log, and no other."""

from __future__ import annotations

import re
from typing import Final

from command_line import ROOT

from core.notifications.events import EventKind

EVENT: Final = re.compile(r'(?:log_event\(|_log_run\(|"event":)\s*"([a-z-]+)"')
NOT_LOGGED: Final = {EventKind.CANCEL, EventKind.RETRY}
"""The events of a message that the API records, and not a worker."""


def test_the_page_has_every_event_that_the_programs_log() -> None:
    folders = ("api", "core", "jobs", "notifier")
    texts = [path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py")]
    # Without the examples in docstrings, which are JSON without a blank after the colon.
    logged = {event for text in texts for event in EVENT.findall(text.replace('"event":"', ""))}
    table = (ROOT / "docs/watching.md").read_text().partition("\n### Events\n")[2]
    cells = re.findall(r"(?m)^\| (`[^|]+) \|", table)
    assert logged | set(EventKind) - NOT_LOGGED == {event for cell in cells for event in re.findall(r"`(.+?)`", cell)}
