"""The dashboard during failures: no summaries yet, no store, no network, and retries."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dashboard_sales import DAYS, SHOP_SALES, fill, total
from dashboard_server import FRESHNESS_S, running_server
from dashboard_tabs import BrowserProfiles, Tab, Tabs
from playwright.sync_api import Route, expect
from sales import publish

TRIED_AGAIN_MS = 20_000


@contextmanager
def gone(store_file: Path) -> Iterator[None]:
    """Move the store's file away, and wait until the server has detected it."""
    moved = store_file.rename(store_file.with_suffix(".away"))
    try:
        time.sleep(2 * FRESHNESS_S)
        yield
    finally:
        moved.rename(store_file)
    time.sleep(2 * FRESHNESS_S)


def test_figures_stay_during_a_store_outage_and_update_after_it(tabs: Tabs, store_file: Path) -> None:
    tab = tabs().figures("range=last-30")
    shown = tab.card(0).inner_text()
    with gone(store_file):
        tab.page.get_by_text("Month", exact=True).click()
        expect(tab.at("#notice-title")).to_have_text("The store does not answer")
        expect(tab.card(0)).to_have_text(shown)
        still = "Still shown: Amount of All merchants, 22 Khordad 1403 – 20 Tir 1403 (incomplete)."
        expect(tab.at("#progress")).to_have_text(f"Your selection did not load. {still}")
        _everything_is(tab, dimmed=True)
    expect(tab.at("#notice")).to_be_hidden(timeout=TRIED_AGAIN_MS)
    expect(tab.at("#progress")).to_be_empty()
    _everything_is(tab, dimmed=False)
    expect(tab.at("#series-title")).to_have_text("Amount per month")
    assert set(tab.refusals) == {"503"}


def test_the_page_is_dimmed_while_it_loads(tabs: Tabs) -> None:
    tab = tabs().figures("range=last-30")
    held: list[Route] = []
    tab.page.route("**/api/transactions/summary?*mode=monthly*", lambda route: held.append(route))
    tab.page.get_by_text("Month", exact=True).click()
    expect(tab.at("#progress")).to_have_text("Loading…")
    _everything_is(tab, dimmed=True)
    expect(tab.at("#series-title")).to_have_text("Amount per day")
    assert held
    tab.page.unroute_all()  # which lets them go on
    expect(tab.at("#series-title")).to_have_text("Amount per month")
    _everything_is(tab, dimmed=False)


def _everything_is(tab: Tab, *, dimmed: bool) -> None:
    """Require this state of controls, cards and panels; the export matches the selection."""
    for part in (".controls", ".cards", ".panel-series", ".panel-days"):
        expect(tab.at(part)).to_have_css("filter", "grayscale(1)" if dimmed else "none")
    expect(tab.at("#export")).to_be_enabled(enabled=not dimmed)


@pytest.mark.thorough
def test_a_failed_request_can_be_retried_with_a_click(tabs: Tabs, store_file: Path) -> None:
    tab = tabs(language="fa").figures()
    with gone(store_file):
        tab.page.get_by_text("هفته", exact=True).click()
        expect(tab.at("#notice-title")).to_have_text("انبار داده پاسخ نمی‌دهد")
    tab.page.get_by_role("button", name="تلاش دوباره").click()
    expect(tab.at("#notice")).to_be_hidden(timeout=4_000)  # before the automatic retry


def test_an_unreachable_server_is_reported(tabs: Tabs) -> None:
    tab = tabs().figures()
    tab.page.context.set_offline(True)
    tab.page.get_by_text("Count", exact=True).click()
    expect(tab.at("#notice-title")).to_have_text("The server cannot be reached")
    tab.page.context.set_offline(False)  # which the browser tells the page
    expect(tab.at("#series-title")).to_have_text("Count per day")
    expect(tab.at("#notice")).to_be_hidden()


@pytest.mark.thorough
def test_an_unknown_merchant_is_reported_and_another_chosen(tabs: Tabs) -> None:
    tab = tabs().open("merchant=nobody&range=last-30")
    expect(tab.at("#notice-title")).to_have_text("There is no such merchant")
    tab.page.get_by_role("combobox", name="Merchant").click()
    tab.page.get_by_role("option", name="shop-2").click()
    expect(tab.card(0)).to_have_text(f"{total(['shop-2'], DAYS[-30:]):,} IRR")
    expect(tab.at("#notice")).to_be_hidden()


def test_a_missing_or_empty_store_is_reported_until_the_first_figures_appear(
    profiles: BrowserProfiles, tmp_path: Path
) -> None:
    store = tmp_path / "new.db"
    with running_server(f"sqlite:///{store}", tmp_path) as origin:
        tabs = Tabs(profiles, origin)
        try:
            notifications = tabs(language="fa")
            notifications.page.goto(f"{origin}/notifications?lang=en")
            expect(notifications.at("#list-none h3")).to_have_text("No notifications on these days")
            expect(notifications.at("#notice")).to_be_hidden()
            tab = _empty(tabs())
            publish(f"sqlite:///{store}", {})
            expect(tab.at("#empty-title")).to_have_text("No transactions were counted", timeout=TRIED_AGAIN_MS)
            fill(f"sqlite:///{store}", generation=2)
            expect(tab.at("body")).to_have_attribute("data-view", "figures", timeout=TRIED_AGAIN_MS)
            assert tab.faults == []
        finally:
            tabs.close()


def _empty(tab: Tab) -> Tab:
    tab.open("range=last-30")
    expect(tab.at("#empty-title")).to_have_text("Nothing is published yet")
    expect(tab.at("#empty-command")).to_contain_text("python -m jobs rebuild")
    return tab


@pytest.mark.thorough
def test_responses_of_different_publications_are_requested_again_and_not_shown(tabs: Tabs) -> None:
    tab = tabs()
    stale: list[str] = []

    def of_the_publication_before_at_first(route: Route) -> None:
        answer = route.fetch()
        if len(stale) < 2:
            stale.append(route.request.url)
            route.fulfill(response=answer, headers=answer.headers | {"etag": '"0-0-0"'}, body="[]")
        else:
            route.fulfill(response=answer)

    tab.page.route("**/api/transactions/summary?*type=count*", of_the_publication_before_at_first)
    tab.figures("range=last-30&type=count")
    assert len(stale) == 2
    transactions = sum(SHOP_SALES[merchant].get(day, (0, 0))[1] for merchant in SHOP_SALES for day in DAYS[-30:])
    expect(tab.card(0)).to_have_text(f"{transactions:,}")
