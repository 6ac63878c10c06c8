"""Tabs of a real browser that record forbidden actions of the dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

Language = Literal["en", "fa"]
Theme = Literal["light", "dark"]

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The programs to look for: the first takes half the processor time of the others, for it draws no window."""
PATIENCE_MS = 60_000
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",  # what one tab compiled is there for the next
)
_REFUSED = re.compile(r"Failed to load resource: .*(status of (\d+)|ERR_INTERNET_DISCONNECTED)")

expect.set_options(timeout=PATIENCE_MS)


def installed() -> Path | None:
    """The browser of this machine, when it has one."""
    found = next(filter(None, map(which, NAMES)), None)
    return Path(found) if found else None


@contextmanager
def running_browser(program: Path) -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """A page with the dashboard.

    :param faults: errors of scripts and of the content security policy, and console output.
    :param refusals: the statuses of error responses, in order.
    :param requested: every requested URL.
    """

    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", lambda message: self._note(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.requested.append(request.url))

    def open(self, chosen: str = "") -> Tab:
        """Go to the dashboard with `chosen` after the ``#``."""
        self.page.goto(f"{self.origin}/#{chosen}")
        return self

    def figures(self, chosen: str = "") -> Tab:
        """Open the dashboard, and wait for the figures."""
        self.open(chosen)
        self.loaded()
        return self

    def loaded(self) -> None:
        """Wait until the figures are shown."""
        expect(self.at("body")).to_have_attribute("data-view", "figures")
        expect(self.at("#panels")).to_have_attribute("aria-busy", "false")

    def at(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def card(self, number: int) -> Locator:
        """The headline figure of that number, from 0."""
        return self.at(".card-value").nth(number)

    def foreign_requests(self) -> list[str]:
        """The requested URLs of other servers."""
        return [url for url in self.requested if _origin(url) != self.origin and not url.startswith("blob:")]

    def _note(self, text: str) -> None:
        if refused := _REFUSED.match(text):
            self.refusals.append(refused[2] or "offline")
        else:
            self.faults.append(text)


class BrowserProfiles:
    """Browser profiles, each with its own cache and storage; the browser closes them.

    Opening a tab in a used profile is quicker, because the files of the page are in its cache.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._known: dict[tuple[Language, Theme, int], BrowserContext] = {}

    def known(self, language: Language, theme: Theme, width: int) -> BrowserContext:
        """A profile with this language, theme and window width in pixels."""
        person = (language, theme, width)
        if person not in self._known:
            self._known[person] = self._browser.new_context(
                locale={"en": "en-US", "fa": "fa-IR"}[language],
                color_scheme=theme,
                viewport={"width": width, "height": 800},
                reduced_motion="reduce",  # a processor that draws pages should not draw them sixty times a second
            )
        return self._known[person]


class Tabs:
    """Opens tabs at `origin`, and closes them."""

    def __init__(self, profiles: BrowserProfiles, origin: str) -> None:
        self.origin = origin
        self.opened: list[Tab] = []
        self._profiles = profiles

    def __call__(
        self, *, language: Language = "en", theme: Theme = "light", width: int = 1280, key: str | None = None
    ) -> Tab:
        """A new tab.

        :param key: the key that the tab has already been given.
        """
        tab = self.second_tab(self._profiles.known(language, theme, width))
        if key is not None:
            tab.page.add_init_script(f"sessionStorage.setItem('key', {json.dumps(key)})")
        return tab

    def second_tab(self, person: BrowserContext) -> Tab:
        """Another tab of the same profile."""
        tab = Tab(person.new_page(), self.origin)
        self.opened.append(tab)
        return tab

    def close(self) -> None:
        """Close all tabs, and clear the storage of their profiles."""
        for tab in self.opened:
            tab.page.context.set_offline(False)
            tab.page.context.clear_cookies()
            if tab.page.url.startswith(self.origin):
                tab.page.evaluate("localStorage.clear()")
            tab.page.close()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
