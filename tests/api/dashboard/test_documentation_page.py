"""The API documentation in a browser: requests with a key or session, and the content security policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_client import add_key
from dashboard_legibility import found_by_axe
from dashboard_sales import LARGEST, SHOP_SALES
from dashboard_server import running_server
from dashboard_tabs import BrowserProfiles, Tab, Tabs, Theme
from playwright.sync_api import Locator, expect

from api.auth.sessions import new_link_token
from core.stores import open_stores, wall_clock_ms
from core.stores.api_keys import Scope

PATIENCE_MS = 60_000  # the script of Swagger UI is large, and the machine may be busy
OF_SWAGGER_UI = {
    "color-contrast": "its grey and coloured texts",
    "heading-order": "it goes from the title to the groups of operations, h1 to h3",
    "nested-interactive": "the row of an operation is a button with a link in it",
    "scrollable-region-focusable": "its examples scroll, and browsers let the keyboard do so by themselves",
    "select-name": "its fields have their names in the cell before, without a label",
}
"""The rules of axe-core that the markup of Swagger UI itself breaks, and how."""
NOTIFICATION = '{"user_id": "sara", "title": "Order 66", "body": "It is on its way.", "channels": ["sms"]}'


@pytest.fixture(scope="module")
def origin(store_file: Path) -> Iterator[str]:
    """A server that needs keys."""
    with running_server(f"sqlite:///{store_file}", store_file.parent, "keys") as running:
        yield running


@pytest.fixture
def store(store_file: Path) -> str:
    return f"sqlite:///{store_file}"


def shown(tab: Tab, operation: str) -> Locator:
    """An operation of the page, such as ``Summaries/getSummary``, opened by the address."""
    tab.page.set_default_timeout(PATIENCE_MS)
    tab.page.goto(f"{tab.origin}/docs#/{operation}")
    found = tab.at(f"[id='operations-{operation.replace('/', '-')}']")
    expect(found).to_contain_class("is-open", timeout=PATIENCE_MS)
    return found


def executed(operation: Locator) -> tuple[str, str]:
    """The status and the body of the response to the request that the page sends."""
    operation.get_by_role("button", name="Execute").click()
    response = operation.locator(".live-responses-table .response")
    expect(response).to_be_visible(timeout=PATIENCE_MS)
    body = response.locator(".microlight, .highlight-code").first.inner_text()
    return response.locator(".response-col_status").inner_text().strip(), body


def choose(operation: Locator, **parameters: str) -> None:
    for name, value in parameters.items():
        field = operation.locator(f"[data-param-name='{name}']")
        choices = field.locator("select")
        if choices.count():
            choices.select_option(value)
            continue
        for adding in field.get_by_role("button", name="Add").all():  # an item of a parameter that may be repeated
            adding.click()
        field.locator("input").fill(value)


def test_an_operation_is_tried_with_a_key_and_shows_integers_exactly(tabs: Tabs, store: str) -> None:
    tab = tabs(width=390)

    def fits_and_leads_on() -> None:
        assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
        expect(tab.at(".pages a")).to_have_text(["Summaries", "Notifications", "API"])

    for path in ("/nothing", "/problems/stale-cursor"):
        tab.page.goto(f"{tab.origin}{path}")
        fits_and_leads_on()
    assert tab.refusals.pop() == "404"
    series = shown(tab, "Summaries/getSummary")
    fits_and_leads_on()
    sales = dict(list(SHOP_SALES[LARGEST].items())[-5:])  # the page takes seconds to color many
    choose(series, mode="daily", type="amount", merchant_id=LARGEST, **{"from": min(sales), "to": max(sales)})
    assert executed(series)[0] == "401"
    series.get_by_role("button", name="Clear").click()

    tab.at(".scheme-container").get_by_role("button", name="Authorize").click()
    tab.at(".modal-ux input").fill(add_key(store, [Scope.SUMMARIES]))
    tab.at(".modal-ux").get_by_role("button", name="Apply credentials").click()
    tab.at(".modal-ux .close-modal").click()
    status, body = executed(series)

    assert status == "200"
    assert all(f'{{"key":"{key}","value":{amount}}}' in body for key, (amount, _) in sales.items())
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
    assert tab.refusals == ["401"]


@pytest.mark.thorough
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_no_violation_outside_the_markup_of_swagger_ui(tabs: Tabs, theme: Theme, width: int) -> None:
    tab = tabs(theme=theme, width=width)
    shown(tab, "Summaries/getSummary")
    assert found_by_axe(tab, left_out="#docs") == []
    assert found_by_axe(tab, rules_left_out=OF_SWAGGER_UI) == []


@pytest.mark.thorough
def test_a_write_is_tried_with_the_session_of_a_signed_in_person(tabs: Tabs, store: str) -> None:
    with open_stores(store, timeout_s=10) as stores:
        token = new_link_token(stores.sessions, wall_clock_ms())
    tab = tabs()
    page = {"Sec-Fetch-Site": "same-origin"}  # what the page of the link sends
    tab.page.request.post(f"{tabs.origin}/api/session", data={"token": token}, headers=page)
    creation = shown(tab, "Notifications/createNotification")
    creation.locator("textarea").fill(NOTIFICATION)

    status, body = executed(creation)

    assert status == "201"
    assert '"status": "pending"' in body
    assert tab.refusals == []


@pytest.mark.thorough
def test_an_open_server_shows_every_operation_and_accepts_a_bodyless_write(
    profiles: BrowserProfiles, store_file: Path
) -> None:
    with running_server(f"sqlite:///{store_file}", store_file.parent) as origin:
        tabs = Tabs(profiles, origin)
        tab = tabs()
        status, body = executed(shown(tab, "Account/signOut"))
        document = tab.page.request.get(f"{origin}/openapi.json").json()
        shown_ids = {element.get_attribute("id") for element in tab.at(".opblock").all()}
        tabs.close()

    described = [operation for item in document["paths"].values() for operation in item.values()]
    assert (status, tab.faults, tab.foreign_requests()) == ("200", [], [])
    assert '"signed_in": false' in body
    assert shown_ids == {f"operations-{found['tags'][0]}-{found['operationId']}" for found in described}
