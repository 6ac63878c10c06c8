"""Takes the screenshots in the README: the real dashboard with the summaries of a sample, in Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

_ROOT: Final = Path(__file__).parents[1]
_IMAGES: Final = _ROOT / "docs" / "images"
_BROWSERS: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_SIZE: Final = ViewportSize(width=1120, height=860)
_TIMEOUT_MS: Final = 30_000
_CHOSEN: Final = "range=last-90"
_JOBS: Final = (sys.executable, "-m", "jobs")


def main() -> None:
    """Write both pictures.

    :raises SystemExit: there is no browser.
    """
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        raise SystemExit(f"None of {', '.join(_BROWSERS)} is installed")
    _IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, _dashboard(Path(folder)) as origin, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        _take(browser, origin, "en-US", "light", _IMAGES / "dashboard-en-light.png")
        _take(browser, origin, "fa-IR", "dark", _IMAGES / "dashboard-fa-dark.png")
        browser.close()


@contextmanager
def _dashboard(folder: Path) -> Iterator[str]:
    """The address of a server over the summaries of a sample."""
    export, store = folder / "sample.archive.gz", f"sqlite:///{folder}/summaries.db"
    subprocess.run([*_JOBS, "sample", export, "--transactions", "500000"], cwd=_ROOT, check=True)
    subprocess.run([*_JOBS, "rebuild", export, "--truncate", "--store", store], cwd=_ROOT, check=True)
    command = [sys.executable, "-m", "api", "--port", "0", "--store", store]
    environment = os.environ | {"API_ACCESS": "open-loopback"}
    with subprocess.Popen(
        command, cwd=_ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = ""
        while not (found := re.search(r"served at (http://127\.0\.0\.1:\d+/)", said)):
            line = process.stderr.readline()
            if not line:
                raise SystemExit(f"the server did not start:\n{said}")
            said += line
        try:
            yield found[1]
        finally:
            process.terminate()


def _take(browser: Browser, origin: str, locale: str, theme: Literal["light", "dark"], file: Path) -> None:
    context = browser.new_context(locale=locale, color_scheme=theme, viewport=_SIZE)
    page = context.new_page()
    page.goto(f"{origin}#{_CHOSEN}")
    expect(page.locator("body")).to_have_attribute("data-view", "figures", timeout=_TIMEOUT_MS)
    expect(page.locator("#panels")).to_have_attribute("aria-busy", "false", timeout=_TIMEOUT_MS)
    expect(page.locator("#series-chart svg")).to_be_visible(timeout=_TIMEOUT_MS)
    page.screenshot(path=file)
    context.close()
    print(f"{file.relative_to(_ROOT)}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
