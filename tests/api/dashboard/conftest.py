"""Fixtures of the dashboard's tests: a browser, and tabs that fail the test on forbidden actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from dashboard_sales import fill
from dashboard_server import running_server
from dashboard_tabs import NAMES, BrowserProfiles, Tabs, installed, running_browser


@pytest.fixture(scope="package")
def profiles(missing: Callable[[str], NoReturn]) -> Iterator[BrowserProfiles]:
    """Browser profiles for this folder, whose event loop would disturb other tests."""
    program = installed()
    if program is None:
        missing(f"None of {', '.join(NAMES)} is installed, which the tests of the dashboard need")
    with running_browser(program) as running:
        yield BrowserProfiles(running)


@pytest.fixture(scope="module")
def store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store with a publication."""
    file = tmp_path_factory.mktemp("dashboard") / "summaries.db"
    fill(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="module")
def origin(store_file: Path) -> Iterator[str]:
    """A server on `store_file`."""
    with running_server(f"sqlite:///{store_file}", store_file.parent) as running:
        yield running


@pytest.fixture
def tabs(profiles: BrowserProfiles, origin: str) -> Iterator[Tabs]:
    """Opens tabs; the test fails if one had an error or sent a request to another server."""
    opened = Tabs(profiles, origin)
    try:
        yield opened
        assert [fault for tab in opened.opened for fault in tab.faults] == []
        assert [url for tab in opened.opened for url in tab.foreign_requests()] == []
    finally:
        opened.close()
