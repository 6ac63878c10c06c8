"""Names of merchants on the dashboard, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from dashboard_sales import DAYS, LARGEST, PERSIAN, fill, total
from dashboard_tabs import Language, Tab, Tabs
from playwright.sync_api import expect

from core.calendar.periods import Locale
from core.stores import open_stores

NAMES: dict[str, dict[Locale, str]] = {
    LARGEST: {"fa": "چای‌خانهٔ یاس", "en": "Yas Tea House (Tehran)"},
    "shop-2": {"fa": "آبی"},
}
"""The third merchant has no name."""


@pytest.fixture(scope="module")
def store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store with a publication and names."""
    file = tmp_path_factory.mktemp("dashboard") / "summaries.db"
    fill(f"sqlite:///{file}")
    rename(file, NAMES)
    return file


def rename(file: Path, names: dict[str, dict[Locale, str]]) -> None:
    with open_stores(f"sqlite:///{file}", timeout_s=10) as stores:
        assert stores.merchant_names.replace(names, after=stores.merchant_names.version(), now_ms=5)


@pytest.mark.parametrize(
    ("language", "largest", "by_name", "order"),
    [
        pytest.param(
            "en", "Yas Tea House (Tehran)", "By name", [LARGEST, "shop-2", PERSIAN], marks=pytest.mark.thorough
        ),
        ("fa", "چای‌خانهٔ یاس", "به ترتیب نام", ["shop-2", LARGEST, PERSIAN]),
    ],
)
def test_merchants_are_shown_by_name_and_id_and_sorted_by_name(
    tabs: Tabs, language: Language, largest: str, by_name: str, order: list[str]
) -> None:
    tab = tabs(language=language).figures("range=last-30")
    names = tab.at("#merchants-body .bar-name")
    expect(names).to_have_text([f"{largest}{LARGEST}", PERSIAN, "آبیshop-2"])
    tab.page.get_by_role("button", name=by_name).click()
    shown = {LARGEST: f"{largest}{LARGEST}", "shop-2": "آبیshop-2", PERSIAN: PERSIAN}
    expect(names).to_have_text([shown[one] for one in order])
    expect(tab.at("#merchants-title")).to_have_text({"en": "Merchants", "fa": "پذیرنده‌ها"}[language])


def test_a_merchant_is_found_and_shown_by_its_name_in_either_language(tabs: Tabs) -> None:
    tab = tabs(language="fa").figures("range=last-30")
    merchant = tab.at("#merchant")
    for typed in ("tea house", "چاي خانه"):  # with an Arabic letter, and a blank for the joiner
        merchant.fill(typed)
        expect(tab.at("#merchant-list [role=option]")).to_have_text([f"چای‌خانهٔ یاس{LARGEST}"])
    tab.page.keyboard.press("Enter")
    expect(tab.card(0)).to_contain_text(persian(total([LARGEST], DAYS[-30:])))
    expect(merchant).to_have_value("\u2068چای‌خانهٔ یاس\u2069")
    expect(merchant).to_have_attribute("title", LARGEST)
    expect(tab.at("#live")).to_contain_text("\u2068چای‌خانهٔ یاس\u2069")


def test_a_link_to_a_merchant_shows_its_current_name_after_an_import(tabs: Tabs, store_file: Path) -> None:
    tab = tabs().figures(f"merchant={LARGEST}&range=last-30")
    expect(tab.at("#merchant")).to_have_value("\u2068Yas Tea House (Tehran)\u2069")
    before = version(tab)
    rename(store_file, {**NAMES, LARGEST: {"en": "Twin"}, "shop-2": {"en": "Twin"}})
    while version(tab) == before:  # the server sees it within its freshness
        tab.page.wait_for_timeout(50)
    tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(tab.at("#merchant")).to_have_value(f"\u2068Twin\u2069 (\u2068{LARGEST}\u2069)")
    rename(store_file, NAMES)


def version(tab: Tab) -> str:
    """The version of the data that the server of the tab shows."""
    return str(tab.page.request.get(f"{tab.origin}/api/me").json()["published"]["version"])


def persian(value: int) -> str:
    return f"{value:,}".translate(str.maketrans("0123456789,", "۰۱۲۳۴۵۶۷۸۹٬"))
