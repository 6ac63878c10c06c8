"""Accessibility of the dashboard: axe-core, themes, keyboard, screen reader."""

from __future__ import annotations

import json
import random
import re
from itertools import pairwise, product
from typing import get_args

import pytest
from dashboard_legibility import found_by_axe
from dashboard_tabs import Language, Tab, Tabs, Theme
from effort import THOROUGH
from playwright.sync_api import expect
from serving_server import ROOT

PAGES = ("/notifications", "/subscriptions", "/contacts", "/sign-in#none", "/problems/no-key", "/nothing")
READERS: list[tuple[Language, Theme, int]] = list(product(get_args(Language), get_args(Theme), (1280, 390)))


@pytest.mark.parametrize("reader", READERS if THOROUGH else [None])
def test_axe_finds_no_violation_in_the_figures(tabs: Tabs, reader: tuple[Language, Theme, int] | None) -> None:
    """For one reader, by chance, unless time does not matter."""
    language, theme, width = chosen = reader or random.choice(READERS)
    tab = tabs(language=language, theme=theme, width=width).figures("range=last-30")
    expect(tab.at("#status-body h3")).to_be_visible()
    tab.at("#series-toggle").click()
    tab.at("#days-toggle").click()
    tab.at("#days-map").focus()
    tab.page.keyboard.press("End")
    expect(tab.at("#tip")).to_be_visible()
    assert found_by_axe(tab) == [], chosen
    if width < 640:
        tab.at("#controls-toggle").click()
    tab.at("#merchant").click()
    expect(tab.at("#merchant-list [role=option]").first).to_be_visible()
    assert found_by_axe(tab) == [], chosen


def test_axe_finds_no_violation_in_a_year_and_in_errors(tabs: Tabs) -> None:
    tab = tabs().figures("range=all")
    tab.page.get_by_label("Range").select_option(label="From … to …")
    tab.page.get_by_label("From", exact=True).fill("soon")
    tab.page.get_by_role("button", name="Apply").click()
    expect(tab.at("#range-error")).not_to_be_empty()
    assert found_by_axe(tab) == []
    tab.open("merchant=nobody")
    expect(tab.at("#notice-title")).to_have_text("There is no such merchant")
    assert found_by_axe(tab) == []


def test_axe_finds_no_violation_in_the_other_pages(tabs: Tabs) -> None:
    """With half of them, by chance, unless time does not matter."""
    tab = tabs()
    for path in PAGES if THOROUGH else random.sample(PAGES, len(PAGES) // 2):
        tab.page.goto(f"{tab.origin}{path}")
        expect(tab.at("h1")).to_be_visible()
        expect(tab.at("body")).not_to_have_attribute("data-view", "loading")
        assert found_by_axe(tab) == [], path
    tab.refusals.clear()


def test_both_languages_have_the_same_texts_and_placeholders() -> None:
    texts = json.loads((ROOT / "api" / "dashboard" / "texts.json").read_text("utf-8"))
    for name, text in texts.items():
        assert list(text) == ["en", "fa"], name
        assert sorted(re.findall(r"\{\w+\}", text["en"])) == sorted(re.findall(r"\{\w+\}", text["fa"])), name


@pytest.mark.thorough
def test_headings_go_down_by_one_level_at_most(tabs: Tabs) -> None:
    tab = tabs().figures()
    script = "[...document.querySelectorAll('h1,h2,h3,h4')].filter((one) => one.checkVisibility())"
    expect(tab.at("#status-body h3")).to_be_visible()
    levels = [int(level) for level in tab.page.evaluate(f"{script}.map((one) => one.tagName[1])")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


@pytest.mark.thorough
def test_the_theme_follows_the_system_unless_chosen(tabs: Tabs) -> None:
    tab = tabs(theme="dark").figures()
    assert _brightness(tab) < 64
    theme = tab.at("#theme")
    theme.click()
    expect(theme).to_have_text("Theme: light")
    assert _brightness(tab) > 192
    tab.page.reload()
    expect(theme).to_have_text("Theme: light")
    assert _brightness(tab) > 192


@pytest.mark.thorough
def test_the_first_tab_stop_skips_the_controls(tabs: Tabs) -> None:
    tab = tabs().figures()
    tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_role("link", name="Skip to the figures")).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(tab.at("main")).to_be_focused()


def test_a_first_load_takes_few_requests_to_this_server_only(tabs: Tabs) -> None:
    tab = tabs().figures()
    expect(tab.at("#series-chart svg")).to_be_visible()
    expect(tab.at("#status-body h3")).to_be_visible()
    assert 8 <= len(tab.requested) <= 12
    assert tab.foreign_requests() == []
    assert tab.faults == []


def _brightness(tab: Tab) -> int:
    color = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    return max(int(part) for part in re.findall(r"\d+", color)[:3])
