"""Whether everyone can read the dashboard: by eye, in light and dark, by keyboard, with a screen reader."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from dashboard_legibility import nameless, too_pale
from dashboard_tabs import Language, Tab, Tabs, Theme
from playwright.sync_api import expect

pytest_plugins = ["dashboard_fixtures"]


@pytest.mark.parametrize("language", ["en", "fa"])
def test_every_control_and_drawing_has_a_name(tabs: Tabs, language: Language) -> None:
    tab = tabs(language=language).figures("range=last-30")
    tab.at("#merchant").click()
    expect(tab.at("#merchant-list [role=option]").first).to_be_visible()
    assert nameless(tab) == []
    snapshot = tab.at("body").aria_snapshot()
    assert "combobox" in snapshot
    assert "slider" in snapshot


def test_both_languages_have_the_same_texts_with_the_same_places(tabs: Tabs) -> None:
    script = """async () => {
      const { MESSAGES } = await import("/assets/messages.js");
      const places = (text) => typeof text === "string" ? text.match(/\\{\\w+\\}/g)?.sort() ?? [] : Object.keys(text);
      return Object.values(MESSAGES).map((texts) =>
        Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, places(text)])));
    }"""
    english, persian = tabs().figures().page.evaluate(script)
    assert english == persian


def test_headings_go_down_by_one_level_at_most(tabs: Tabs) -> None:
    tab = tabs().figures()
    script = "[...document.querySelectorAll('h1,h2,h3,h4')].filter((one) => one.checkVisibility())"
    expect(tab.at("#status-body h3")).to_be_visible()
    levels = [int(level) for level in tab.page.evaluate(f"{script}.map((one) => one.tagName[1])")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_text_is_too_pale(tabs: Tabs, theme: Theme) -> None:
    tab = tabs(theme=theme).figures("range=last-30")
    expect(tab.at("#status-body h3")).to_be_visible()
    tab.at("#series-toggle").click()
    tab.at("#days-map").focus()
    tab.page.keyboard.press("End")
    assert too_pale(tab) == []


def test_the_theme_follows_the_system_until_one_is_chosen(tabs: Tabs) -> None:
    tab = tabs(theme="dark").figures()
    assert _brightness(tab) < 64
    theme = tab.at("#theme")
    theme.click()
    expect(theme).to_have_text("Theme: light")
    assert _brightness(tab) > 192
    tab.page.reload()
    expect(theme).to_have_text("Theme: light")
    assert _brightness(tab) > 192


def test_the_first_key_press_leads_past_the_controls(tabs: Tabs) -> None:
    tab = tabs().figures()
    tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_role("link", name="Skip to the figures")).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(tab.at("main")).to_be_focused()


def test_what_is_shown_is_announced(tabs: Tabs) -> None:
    tab = tabs().figures("range=last-30&merchant=shop-2")
    expect(tab.at("[role=status]")).to_have_text(
        re.compile(r"Amount of shop-2, 22 Khordad 1403 to 20 Tir 1403 \(incomplete\): .* IRR")
    )


def test_nothing_is_asked_of_another_server(tabs: Tabs) -> None:
    tab = tabs().figures()
    expect(tab.at("#series-chart svg")).to_be_visible()
    assert len(tab.requested) > 20
    assert tab.elsewhere() == []
    assert tab.faults == []


def _brightness(tab: Tab) -> int:
    color = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    return max(int(part) for part in re.findall(r"\d+", color)[:3])
