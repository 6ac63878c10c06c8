"""Access to the dashboard: sign-in links, API keys and their scopes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from api_client import add_key, revoke
from dashboard_legibility import found_by_axe
from dashboard_sales import DAYS, LARGEST, total
from dashboard_server import FRESHNESS_S, running_server
from dashboard_tabs import Language, Tabs, Theme
from playwright.sync_api import expect

from api.auth.sessions import new_link_token
from core.stores import open_stores, wall_clock_ms
from core.stores.api_keys import Scope

MONTH = DAYS[-30:]


@pytest.fixture
def store(store_file: Path) -> str:
    return f"sqlite:///{store_file}"


@pytest.fixture(scope="module")
def origin(store_file: Path) -> Iterator[str]:
    """A server that needs keys."""
    with running_server(f"sqlite:///{store_file}", store_file.parent, "keys") as running:
        yield running


def link_token(store: str) -> str:
    with open_stores(store, timeout_s=10) as stores:
        return new_link_token(stores.sessions, wall_clock_ms())


def test_a_sign_in_link_works_for_every_page_until_signing_out(tabs: Tabs, store: str) -> None:
    token = link_token(store)
    tab = tabs()
    tab.page.goto(f"{tabs.origin}/sign-in#{token}")
    tab.loaded()
    assert tab.page.url == f"{tabs.origin}/" or tab.page.url.startswith(f"{tabs.origin}/#")
    assert tab.page.evaluate("document.cookie") == ""
    second_tab = tabs.second_tab(tab.page.context)
    second_tab.page.goto(f"{tabs.origin}/notifications")
    expect(second_tab.at("#list-panel")).to_be_visible()
    tab.page.get_by_role("button", name="Sign out").click()
    expect(tab.at("dialog")).to_be_visible()
    second_tab.page.reload()
    expect(second_tab.at("#key-dialog")).to_be_visible()
    assert not any(token in url for url in tab.requested)


@pytest.mark.parametrize(
    ("language", "expected"),
    [pytest.param("en", "was used before", marks=pytest.mark.thorough), ("fa", "پیش‌تر به کار رفته")],
)
def test_an_expired_sign_in_link_is_reported(
    tabs: Tabs, store: str, language: Literal["en", "fa"], expected: str
) -> None:
    tab = tabs(language=language)
    tab.page.goto(f"{tabs.origin}/sign-in#tss_aaaaaaaaaa_{43 * 'A'}")
    expect(tab.at("#state")).to_contain_text(expected)
    expect(tab.at("#retry")).to_be_hidden()
    assert tab.refusals == ["403"]
    tab.page.goto(f"{tabs.origin}/sign-in#{link_token(store)}")  # of the same page, which is not loaded again
    tab.loaded()


@pytest.mark.thorough
@pytest.mark.parametrize(("language", "theme", "width"), [("en", "dark", 1280), ("fa", "light", 390)])
def test_axe_finds_no_violation_in_the_key_dialog(tabs: Tabs, language: Language, theme: Theme, width: int) -> None:
    tab = tabs(language=language, theme=theme, width=width)
    for path in ("/", "/notifications"):
        tab.page.goto(f"{tabs.origin}{path}")
        expect(tab.at("#key")).to_be_focused()
        assert found_by_axe(tab) == []
        tab.at("#key").fill("wrong")
        tab.page.keyboard.press("Enter")
        expect(tab.at("#key-error")).not_to_be_empty()
        assert found_by_axe(tab) == []


def test_an_api_key_is_requested_validated_and_stored_for_the_tab_only(tabs: Tabs, store: str) -> None:
    token = add_key(store, [Scope.SUMMARIES], name="books")
    tab = tabs().open("range=last-30")
    field = tab.page.get_by_label("Key", exact=True)
    expect(field).to_be_focused()
    field.fill("tss_mistyped")
    tab.page.keyboard.press("Enter")
    expect(tab.at("#key-error")).to_have_text("This key is not valid: it is mistyped, unknown or revoked.")
    field.fill(f"  {token}\n")
    tab.page.get_by_role("button", name="Use this key").click()
    tab.loaded()
    expect(tab.at("dialog")).to_be_hidden()
    tab.page.reload()
    tab.loaded()
    assert not any(token in url for url in tab.requested)
    assert token not in tab.page.url
    second_tab = tabs.second_tab(tab.page.context).open()
    expect(second_tab.at("dialog")).to_be_visible()
    tab.page.get_by_role("button", name="Forget key “books”").click()
    expect(tab.at("dialog")).to_be_visible()
    expect(tab.at("#panels")).to_be_hidden()
    assert tab.page.evaluate("sessionStorage.length") == 0


@pytest.mark.thorough
def test_a_revoked_key_is_requested_again(tabs: Tabs, store: str) -> None:
    token = add_key(store, [Scope.SUMMARIES])
    tab = tabs(language="fa", key=token).figures()
    revoke(store, token)
    time.sleep(2 * FRESHNESS_S)
    tab.page.get_by_text("ماه", exact=True).click()
    expect(tab.at("#key-error")).to_have_text("این کلید معتبر نیست: نادرست نوشته شده، ناشناخته یا باطل است.")
    assert {"401"} == set(tab.refusals)


def test_a_merchant_key_shows_only_that_merchant(tabs: Tabs, store: str) -> None:
    tab = tabs(key=add_key(store, merchants=[LARGEST])).figures("range=last-30")
    expect(tab.card(0)).to_have_text(f"{total([LARGEST], MONTH):,} IRR")
    tab.page.get_by_role("combobox", name="Merchant").click()
    expect(tab.at("#merchant-list [role=option]")).to_have_text([LARGEST])
    expect(tab.at("#panel-merchants")).to_be_hidden()
    expect(tab.at("#panel-status")).to_be_hidden()
    assert tab.refusals == []


@pytest.mark.thorough
def test_a_forbidden_merchant_is_reported_and_deselected(tabs: Tabs, store: str) -> None:
    tab = tabs(key=add_key(store, merchants=[LARGEST])).open("merchant=shop-2&range=last-30")
    expect(tab.at("#notice-title")).to_have_text("The key does not allow this")
    tab.page.get_by_role("button", name="Start over").click()
    expect(tab.card(0)).to_have_text(f"{total([LARGEST], MONTH):,} IRR")


@pytest.mark.thorough
def test_only_operators_see_the_status(tabs: Tabs, store: str) -> None:
    tab = tabs(key=add_key(store, [Scope.SUMMARIES, Scope.OPERATE])).figures()
    expect(tab.at("#panel-status")).to_contain_text("Needs attention")


@pytest.mark.thorough
def test_a_key_without_the_summaries_scope_is_reported(tabs: Tabs, store: str) -> None:
    tab = tabs(key=add_key(store, [Scope.NOTIFICATIONS])).open()
    expect(tab.at("#empty-title")).to_have_text("This key shows no summaries")
    expect(tab.at("#empty-command")).to_be_hidden()
    expect(tab.at("#panels")).to_be_hidden()


def test_the_csv_export_works_with_a_key_and_matches_the_page(tabs: Tabs, store: str) -> None:
    tab = tabs(key=add_key(store, [Scope.SUMMARIES])).figures(f"merchant={LARGEST}&range=last-30")
    with tab.page.expect_download() as saving:
        tab.page.get_by_role("button", name="Export CSV").click()
    assert saving.value.suggested_filename == "shop-1_daily_amount_1403-03-22_to_1403-04-20.csv"
    lines = saving.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0] == "\ufeffkey,value,label", "Excel reads Persian labels only after the UTF-8 mark"
    assert lines[1:] == [f"{day},{total([LARGEST], [day])},{_label(day)}" for day in MONTH]


def _label(key: str) -> str:
    months = {"03": "Khordad", "04": "Tir", "02": "Ordibehesht"}
    year, month, day = key.split("/")
    return f"{int(day)} {months[month]} {year}"
