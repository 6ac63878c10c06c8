"""The page of notifications: list, details with event history, retry, cancel, and failures."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from api_client import Api, add_key
from dashboard_legibility import found_by_axe, low_contrast, without_accessible_name
from dashboard_messages import (
    CANCELLED,
    DEAD,
    EXPIRED,
    HARMFUL,
    MARKUP,
    OLD,
    PRINTED,
    RETRIED,
    STORIES,
    UNDER_WAY,
    UNKNOWN,
    Story,
    append_events,
    notify_all,
    sent_in,
    tell,
)
from dashboard_server import running_server
from dashboard_tabs import BrowserProfiles, Language, Tab, Tabs, Theme
from playwright.sync_api import Locator, Route, expect
from sales import publish

from core.calendar.periods import Locale
from core.notifications.events import EventKind, LogStatus
from core.stores import open_stores
from core.stores.api_keys import Scope
from core.stores.notifications import StoredNotification

PAGE_SIZE = 25
FOLLOWED_MS = 8_000
PHONE = 360


@pytest.fixture(scope="module")
def store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store with notifications, and without summaries."""
    file = tmp_path_factory.mktemp("notifications") / "store.db"
    notify_all(f"sqlite:///{file}")
    return file


def go(tab: Tab, chosen: str = "") -> Tab:
    """Go to the page with `chosen` after the ``#``, and wait for the list."""
    tab.page.goto(f"{tab.origin}/notifications#{chosen}")
    loaded(tab)
    return tab


def loaded(tab: Tab) -> None:
    """Wait until the list is loaded."""
    expect(tab.at("body")).to_have_attribute("data-view", "list")
    expect(tab.at("#list-panel")).to_have_attribute("aria-busy", "false")


def opened(tab: Tab, story: Story, chosen: str = "") -> Tab:
    """Go to the page with `story` open."""
    go(tab, f"{chosen}&id={story.id}")
    expect(tab.at("#details .log")).to_have_count(len(story.histories))
    return tab


def rows(tab: Tab) -> Locator:
    return tab.at("#list a")


def left_of(one: Locator) -> float:
    box = one.bounding_box()
    assert box is not None
    return box["x"]


def log(tab: Tab, name: str) -> Locator:
    return tab.page.get_by_role("region", name=name)


def kept(store_file: Path, story: Story) -> StoredNotification:
    """The notification of `story` in the store."""
    with open_stores(f"sqlite:///{store_file}", timeout_s=10) as stores:
        found = stores.notifications.get(story.id)
    assert found is not None
    return found


def add(store_file: Path, story: Story) -> Story:
    """Store one more, for a test that changes it."""
    with open_stores(f"sqlite:///{store_file}", timeout_s=10) as stores:
        tell(stores, story)
    return story


@pytest.mark.thorough
def test_the_list_is_newest_first_and_paginated(tabs: Tabs) -> None:
    tab = go(tabs(), "user=old")
    expect(rows(tab)).to_have_count(PAGE_SIZE)
    expect(rows(tab).first).to_contain_text("Order 0")
    tab.page.get_by_role("link", name="Older").click()
    expect(rows(tab)).to_have_count(OLD - PAGE_SIZE)
    expect(rows(tab).last).to_contain_text(f"Order {OLD - 1}")
    expect(tab.page.get_by_role("link", name="Older")).to_have_count(0)
    tab.page.reload()
    expect(rows(tab)).to_have_count(OLD - PAGE_SIZE)
    tab.page.get_by_role("link", name="Newest").click()
    expect(rows(tab)).to_have_count(PAGE_SIZE)


@pytest.mark.thorough
def test_filters_by_status_and_user_are_stored_in_the_url(tabs: Tabs) -> None:
    tab = go(tabs())
    titles = rows(tab).locator(".row-title")
    field = tab.page.get_by_label("User", exact=True)
    field.fill("sara")
    field.press("Enter")
    expect(titles).to_have_text([DEAD.title, EXPIRED.title, CANCELLED.title, RETRIED.title])
    tab.page.get_by_label("Status", exact=True).select_option("failed")
    expect(titles).to_have_text([DEAD.title, EXPIRED.title])
    tab.page.reload()
    expect(titles).to_have_text([DEAD.title, EXPIRED.title])
    expect(field).to_have_value("sara")
    expect(tab.page.get_by_label("Status", exact=True)).to_have_value("failed")
    tab.page.go_back()
    expect(titles).to_have_count(4)
    tab.page.get_by_role("button", name="All users").click()
    expect(titles).to_have_count(PAGE_SIZE)


@pytest.mark.thorough
def test_a_filter_without_matches_is_reported_and_can_be_reset(tabs: Tabs) -> None:
    tab = go(tabs(), "status=cancelled&user=nobody")
    expect(tab.at("#list-none h3")).to_have_text("No notification matches")
    tab.page.get_by_role("link", name="Show all").click()
    expect(rows(tab)).to_have_count(PAGE_SIZE)


def test_the_detail_view_shows_each_channel_and_its_events(tabs: Tabs) -> None:
    tab = opened(tabs(), DEAD)
    expect(tab.at(".message")).to_have_text(DEAD.body)
    sms, email = log(tab, "SMS"), log(tab, "E-mail")
    expect(sms.locator(".badge")).to_have_text("Sent")
    expect(sms.locator(".facts")).to_contain_text("8792343")
    expect(email.locator(".badge")).to_have_text("Dead")
    expect(email.locator(".error")).to_have_text("550 5.1.1 there is no such mailbox")
    expect(email.locator(".facts > div").filter(has_text="Attempts")).to_have_text("Attempts2")
    expect(email.locator(".event-name")).to_have_text(["Attempt 1", "It failed", "Attempt 2", "Given up"])
    expect(email.locator(".event").nth(1)).to_contain_text("421 4.3.2 the service shuts down")
    expect(email.locator(".event").nth(1)).to_contain_text("next attempt")


@pytest.mark.thorough
def test_the_tenant_of_a_notification_is_shown(tabs: Tabs) -> None:
    expect(opened(tabs(), CANCELLED).at("#details .facts").first).to_contain_text("Tenantacme")
    expect(opened(tabs(), EXPIRED).at("#details .facts").first).not_to_contain_text("Tenant")


@pytest.mark.thorough
def test_the_due_time_is_shown(tabs: Tabs) -> None:
    tab = opened(tabs(), UNDER_WAY)
    expect(log(tab, "E-mail").locator(".badge")).to_have_text("Retrying")
    expect(log(tab, "E-mail").locator(".facts")).to_contain_text(re.compile(r"Next attempt.*\(in 1\d minutes\)"))
    expect(log(tab, "Webhook").locator(".facts")).to_contain_text("Attempt times out")
    expect(log(tab, "SMS").locator(".facts")).to_contain_text("due now")
    expect(log(tab, "SMS")).to_contain_text("Nothing has happened yet.")


@pytest.mark.thorough
def test_a_printed_message_is_shown_as_not_delivered(tabs: Tabs, store_file: Path) -> None:
    story = add(store_file, Story("printed", "Printed", {"sms": PRINTED, "email": sent_in(900)}, user_id="printed"))
    tab = go(tabs(), "user=printed")
    tab.page.get_by_label("Status", exact=True).select_option("printed")
    expect(rows(tab).locator(".badge")).to_have_text("Printed")
    tab = opened(tabs(), story)
    sms = log(tab, "SMS")
    expect(sms.locator(".badge")).to_have_text("Printed")
    expect(sms).to_contain_text("nobody received it")
    expect(sms.locator(".event-name")).to_have_text(["Attempt 1", "Only logged, not sent"])
    expect(sms.locator(".event").first).to_contain_text("Sender: print")
    expect(tab.page.get_by_role("button", name="Send \u2068SMS\u2069 again…")).to_be_visible()


def test_the_persian_page_is_right_to_left_with_persian_digits_and_dates(tabs: Tabs) -> None:
    tab = opened(tabs(language="fa"), RETRIED)
    expect(tab.at("html")).to_have_attribute("dir", "rtl")
    assert tab.page.title() == "اعلان‌ها"
    email = log(tab, "ایمیل")
    expect(email.locator(".event-name")).to_have_text(
        [
            "تلاش ۱",
            "پاسخی نرسید؛ شاید به درگاه رسیده باشد",
            "تلاش ۲",
            "شاید به درگاه رسیده باشد",
            "کسی ارسال دوباره را خواست",
            "تلاش ۳",
            "درگاه پذیرفت",
        ]
    )
    expect(email.locator(".event-at").first).to_have_text(re.compile(r"^[۰-۹]+ \S+ ۱۴[۰-۹]{2}، [۰-۹:]+$"))
    expect(rows(tab).first).to_contain_text("در انتظار")
    title, badge = rows(tab).first.locator(".row-title"), rows(tab).first.locator(".badge")
    assert left_of(badge) < left_of(title)
    tab.page.get_by_role("button", name="English").click()
    expect(log(tab, "E-mail").locator(".event-name").nth(1)).to_have_text("No answer; the gateway may have it")


def test_a_retry_asks_for_confirmation_and_warns_of_duplicates(tabs: Tabs, store_file: Path) -> None:
    story = add(store_file, Story("asked", "Asked", UNKNOWN.histories, user_id="asked"))
    tab = opened(tabs(), story, "user=asked")
    tab.page.get_by_role("button", name="Send all again…").click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog.locator("li")).to_have_text(["SMS: Unknown", "Telegram: Dead"])
    expect(dialog).to_contain_text("the user may receive it twice")
    expect(dialog.get_by_role("button", name="Leave it")).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert {one.state.status for one in kept(store_file, story).logs} == {LogStatus.UNKNOWN, LogStatus.DEAD}
    tab.page.get_by_role("button", name="Send all again…").click()
    dialog.get_by_role("button", name="Send again").click()
    expect(tab.at(".log .badge")).to_have_text(["Pending", "Pending"])
    expect(rows(tab).locator(".badge")).to_have_text("Pending")
    expect(log(tab, "SMS").locator(".event-name").last).to_have_text("Retry requested")
    assert {one.state.status for one in kept(store_file, story).logs} == {LogStatus.PENDING}


@pytest.mark.thorough
def test_a_retry_can_be_limited_to_one_channel(tabs: Tabs, store_file: Path) -> None:
    story = add(store_file, Story("one of two", "One of two", UNKNOWN.histories, user_id="two"))
    tab = opened(tabs(language="fa"), story)
    tab.page.get_by_role("button", name="ارسال دوبارهٔ \u2068تلگرام\u2069…").click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog.locator("li")).to_have_text(["تلگرام: کنارگذاشته"])
    expect(dialog.locator("#question-warning")).to_be_hidden()
    dialog.get_by_role("button", name="ارسال دوباره").click()
    expect(log(tab, "تلگرام").locator(".badge")).to_have_text("در انتظار")
    states = {one.channel: one.state.status for one in kept(store_file, story).logs}
    assert states == {"sms": LogStatus.UNKNOWN, "telegram": LogStatus.PENDING}


@pytest.mark.thorough
def test_an_expired_notification_cannot_be_retried(tabs: Tabs) -> None:
    tab = opened(tabs(), EXPIRED)
    expect(tab.at("#details .facts").first).to_contain_text("Expired")
    expect(tab.at("#details button")).to_have_count(0)


@pytest.mark.thorough
def test_cancelling_asks_for_confirmation_first(tabs: Tabs, store_file: Path) -> None:
    story = add(store_file, Story("to cancel", "To cancel", UNDER_WAY.histories, user_id="cancelled"))
    tab = opened(tabs(), story, "user=cancelled")
    tab.page.get_by_role("button", name="Cancel…").click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("A message that is being sent may still arrive")
    dialog.get_by_role("button", name="Cancel the message").click()
    expect(tab.at(".log .badge")).to_have_text(["Cancelled", "Sending", "Cancelled"])
    expect(log(tab, "Webhook")).to_contain_text("if this attempt fails, it is not retried")
    expect(tab.page.get_by_role("button", name="Cancel…")).to_have_count(0)
    expect(tab.at("#details-title")).to_be_focused()
    assert kept(store_file, story).log("webhook").state.cancelling


def test_a_refused_action_shows_the_reason_and_the_current_status(tabs: Tabs, store_file: Path) -> None:
    story = add(store_file, Story("too late", "Too late", {"sms": []}, user_id="late"))
    tab = opened(tabs(), story)
    tab.page.get_by_role("button", name="Cancel…").click()
    with open_stores(f"sqlite:///{store_file}", timeout_s=10) as stores:
        notification = kept(store_file, story).notification
        now_ms = int(time.time() * 1000)
        append_events(stores, notification, "sms", EventKind.ATTEMPT, now_ms)
        append_events(stores, notification, "sms", EventKind.SUCCESS, now_ms, "1")
    tab.page.get_by_role("button", name="Cancel the message").click()
    expect(tab.at("#question-error")).to_have_text("This is no longer possible. Check the current status.")
    expect(tab.at("#question-yes")).to_be_disabled()
    tab.page.get_by_role("button", name="Leave it").click()
    expect(log(tab, "SMS").locator(".badge")).to_have_text("Sent")
    assert tab.refusals == ["409"]


def test_a_message_in_progress_is_updated_without_a_reload(tabs: Tabs, store_file: Path) -> None:
    story = add(store_file, Story("followed", "Followed", {"sms": []}, user_id="followed"))
    tab = opened(tabs(), story, "user=followed")
    expect(tab.at("#follows")).to_have_text("Messages are being sent: this page updates automatically.")
    close = tab.page.get_by_role("link", name="Close")
    close.focus()
    with open_stores(f"sqlite:///{store_file}", timeout_s=10) as stores:
        now_ms = int(time.time() * 1000)
        append_events(stores, kept(store_file, story).notification, "sms", EventKind.ATTEMPT, now_ms)
        append_events(stores, kept(store_file, story).notification, "sms", EventKind.SUCCESS, now_ms, "77")
    expect(rows(tab).locator(".badge")).to_have_text("Sent", timeout=FOLLOWED_MS)
    expect(log(tab, "SMS").locator(".event-name")).to_have_text(["Attempt 1", "The gateway accepted it"])
    expect(tab.at("#follows")).to_have_text("This page updates automatically.")
    expect(tab.at("#live")).to_have_text("The notification that is open: Sent")
    expect(close).to_be_focused()


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.thorough), PHONE])
def test_user_text_is_escaped_and_isolated_from_text_direction(tabs: Tabs, width: int) -> None:
    tab = opened(tabs(width=width), HARMFUL)
    expect(tab.at(".message")).to_contain_text(MARKUP)
    expect(tab.at(".log .error")).to_contain_text(MARKUP)
    expect(tab.at("#details-title")).to_contain_text(MARKUP)
    assert tab.at("main img, main b").count() == 0
    assert tab.page.title() == "Notifications"
    tab.page.get_by_role("button", name=re.compile("Send .* again…")).click()
    expect(tab.page.get_by_role("dialog")).to_contain_text(MARKUP)
    output = tab.at("#question-text").evaluate(_WHERE, "to")
    assert output["left"] > left_of(tab.at("#question-text bdi").first)
    assert tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not any(url.endswith("/x") for url in tab.requested)


_WHERE = """(element, word) => {
  const node = [...element.childNodes].find((one) => one.nodeType === 3 && one.data.trim() === word);
  const range = document.createRange();
  range.selectNodeContents(node);
  return range.getBoundingClientRect().toJSON();
}"""


@pytest.mark.thorough
def test_on_a_phone_the_detail_view_replaces_the_list_until_closed(tabs: Tabs) -> None:
    tab = go(tabs(language="fa", width=PHONE))
    assert tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    row = rows(tab).filter(has_text=UNKNOWN.title)
    row.click()
    expect(tab.at("#details-title")).to_be_focused()
    expect(tab.at("#list")).to_be_hidden()
    expect(tab.at("#details .log")).to_have_count(2)
    assert tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    tab.page.get_by_role("link", name="بستن").click()
    expect(row).to_be_focused()


@pytest.mark.thorough
def test_the_detail_view_opens_and_closes_with_the_keyboard(tabs: Tabs) -> None:
    tab = go(tabs())
    rows(tab).first.focus()
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("Enter")
    expect(tab.at("#details-title")).to_have_text(UNDER_WAY.title)
    expect(tab.at("#details-title")).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(tab.at("#details")).to_be_hidden()
    expect(rows(tab).nth(1)).to_be_focused()


@pytest.mark.parametrize("theme", [pytest.param("light", marks=pytest.mark.thorough), "dark"])
def test_every_control_has_a_name_and_text_has_enough_contrast(tabs: Tabs, theme: Theme) -> None:
    tab = opened(tabs(theme=theme), UNDER_WAY)
    assert without_accessible_name(tab) == []
    assert low_contrast(tab) == []
    for story in (UNKNOWN, CANCELLED):
        opened(tab, story)
        assert low_contrast(tab) == []


@pytest.mark.parametrize(
    ("language", "theme", "width"),
    [
        ("fa", "light", 1280),
        *(
            pytest.param(*one, marks=pytest.mark.thorough)
            for one in (("en", "dark", 1280), ("en", "light", 390), ("fa", "dark", 390))
        ),
    ],
)
def test_axe_finds_no_violation_in_the_list_and_detail_view(
    tabs: Tabs, language: Language, theme: Theme, width: int
) -> None:
    tab = opened(tabs(language=language, theme=theme, width=width), UNDER_WAY)
    if width > 640:  # narrower, the details replace the list
        expect(tab.at("#counts table")).to_be_visible()
    assert found_by_axe(tab) == []


@pytest.mark.thorough
@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("fa", 390)])
def test_axe_finds_no_violation_in_any_status_dialog_or_form(tabs: Tabs, language: Language, width: int) -> None:
    tab = tabs(language=language, width=width)
    for story in STORIES:
        assert found_by_axe(opened(tab, story)) == []
    opened(tab, DEAD).at("#details .log button").first.click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    assert found_by_axe(tab) == []
    for path in ("subscriptions", "contacts"):
        tab.page.goto(f"{tab.origin}/{path}")
        loaded(tab)
        tab.at("#add").click()
        tab.at("#form-yes").click()
        expect(tab.at("#form-user_id-error")).not_to_be_empty()
        assert found_by_axe(tab) == []


@pytest.mark.thorough
def test_an_unknown_notification_is_reported_and_its_view_closed(tabs: Tabs) -> None:
    tab = go(tabs(), f"id={'a' * 26}")
    expect(tab.at("#details-title")).to_have_text("There is no such notification")
    tab.page.get_by_role("link", name="Close").click()
    expect(tab.at("#details")).to_be_hidden()
    assert set(tab.refusals) == {"404"}


@pytest.mark.thorough
def test_an_invalid_list_cursor_shows_the_first_page(tabs: Tabs) -> None:
    tab = tabs()
    tab.page.goto(f"{tab.origin}/notifications#cursor=wrong")
    expect(tab.at("#notice-title")).to_have_text("This list does not exist")
    tab.page.get_by_role("button", name="Start over").click()
    expect(rows(tab)).to_have_count(PAGE_SIZE)
    expect(tab.at("#notice")).to_be_hidden()


@pytest.mark.thorough
def test_the_list_stays_while_the_server_is_unreachable(tabs: Tabs) -> None:
    tab = opened(tabs(), DEAD)
    tab.page.context.set_offline(True)
    tab.page.get_by_role("button", name=re.compile("Send .*E-mail.* again…")).click()
    tab.page.get_by_role("button", name="Send again", exact=True).click()
    expect(tab.at("#question-error")).to_contain_text("it may or may not have been done")
    tab.page.get_by_role("button", name="Leave it").click()
    expect(tab.at("#notice-title")).to_have_text("The server cannot be reached")
    expect(tab.at(".log")).to_have_count(2)
    tab.page.context.set_offline(False)  # which the browser tells the page
    expect(tab.at("#notice")).to_be_hidden()


@pytest.mark.thorough
def test_an_older_response_does_not_replace_a_newer_one(tabs: Tabs) -> None:
    tab = go(tabs())
    held: list[Route] = []
    tab.page.route("**/api/notifications?*user_id=old*", lambda route: held.append(route))
    field = tab.page.get_by_label("User", exact=True)
    field.fill("old")
    field.press("Enter")
    field.fill("reza")
    field.press("Enter")
    expect(rows(tab)).to_have_count(1)
    for route in held:
        route.abort()
    expect(rows(tab)).to_have_count(1)
    expect(tab.at("#notice")).to_be_hidden()
    tab.faults.clear()


def test_counts_by_channel_and_status_link_to_the_filtered_list(tabs: Tabs) -> None:
    tab = go(tabs(), "user=sara")
    table = tab.page.get_by_role("table", name="Messages by channel and status")
    expect(table.get_by_role("row")).to_have_text(
        [
            re.compile(row)
            for row in (
                "ChannelAllSentDeadCancelled",
                "All channels5221",
                "E-mail2110",
                "SMS2101",
                "Telegram1010",
            )
        ]
    )
    expect(tab.at("#counts-note")).to_have_text("5 messages of 4 notifications")
    expect(tab.at("#list-title")).to_have_text("Notifications, newest first: 4")
    table.get_by_role("row", name="Telegram").get_by_role("link").last.click()
    expect(rows(tab).locator(".row-title")).to_have_text([EXPIRED.title])
    expect(tab.at("#list-title")).to_have_text("Notifications, newest first: 1")
    tab.page.reload()
    expect(rows(tab).locator(".row-title")).to_have_text([EXPIRED.title])
    expect(tab.page.get_by_label("Channel", exact=True)).to_have_value("telegram")
    expect(tab.at("#counts a[aria-current]")).to_have_count(1)
    assert (without_accessible_name(tab), low_contrast(tab)) == ([], [])
    tab.page.get_by_role("button", name="فارسی").click()
    expect(tab.at("#counts-note")).to_have_text("۵ پیام از ۴ اعلان")
    expect(tab.at("#counts tbody tr").first).to_have_text("همهٔ کانال‌ها۵۲۲۱")


def test_the_chosen_days_are_stored_in_the_url(tabs: Tabs) -> None:
    tab = go(tabs(width=PHONE), "user=old")
    before = datetime.now(UTC).date() - timedelta(days=400)
    tab.at("#controls-toggle").click()
    tab.page.get_by_label("Created").select_option("custom")
    first, last, apply = tab.at("#from"), tab.at("#to"), tab.page.get_by_role("button", name="Apply")
    for texts, output in (
        (["yesterday", str(before)], "“yesterday” is not valid"),
        (["2024-02-30", str(before)], "2024-02-30 does not exist in the calendar."),
        ([str(before), str(before - timedelta(days=1))], "The range ends before it begins"),
        (["1300/01/01", "1300/01/02"], "Choose days from"),
    ):
        first.fill(texts[0])
        last.fill(texts[1])
        apply.click()
        expect(tab.at("#range-error")).to_contain_text(output)
    first.fill(str(before - timedelta(days=1)))
    last.fill(str(before))
    apply.click()
    expect(tab.at("#list-none h3")).to_have_text("No notification matches")
    expect(tab.at("#counts-panel")).to_be_hidden()
    assert re.search(r"range=1[34]\d\d%2F\d\d%2F\d\d\.\.", tab.page.url)
    tab.page.reload()
    expect(tab.at("#list-none h3")).to_have_text("No notification matches")
    tab.page.goto(f"{tab.origin}/notifications#user=old&range=all")
    expect(rows(tab)).to_have_count(PAGE_SIZE)
    assert tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_bulk_retry_asks_for_confirmation_with_the_number_of_messages(tabs: Tabs, store_file: Path) -> None:
    dead, unknown = {"sms": DEAD.histories["email"]}, {"sms": UNKNOWN.histories["sms"]}
    stories = [
        add(store_file, Story(f"many {number}", f"Many {number}", histories, user_id="many"))
        for number, histories in enumerate((dead, dead, unknown))
    ]
    tab = go(tabs(), "user=many")
    tab.page.get_by_role("button", name="Send again…").click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog.get_by_role("checkbox")).to_have_count(2)
    expect(dialog.get_by_role("checkbox", name="Dead: 2")).to_be_checked()
    dialog.get_by_role("checkbox", name="Unknown: 1").check()
    expect(dialog.get_by_role("button", name="Send 3 messages again")).to_be_enabled()
    expect(dialog).to_contain_text("the user may receive it twice")
    assert without_accessible_name(tab) == []
    dialog.get_by_role("checkbox", name="Unknown: 1").uncheck()
    dialog.get_by_role("button", name="Send 2 messages again").click()
    expect(tab.at("#said-text")).to_have_text("Messages that will be sent again: 2.")
    expect(tab.at("#counts tbody tr").first).to_have_text("SMS321")
    states = [kept(store_file, story).log("sms").state.status for story in stories]
    assert states == [LogStatus.PENDING, LogStatus.PENDING, LogStatus.UNKNOWN]
    tab.page.get_by_label("Status", exact=True).select_option("pending")
    expect(rows(tab)).to_have_count(2)
    expect(tab.page.get_by_role("button", name="Send again…")).to_be_hidden()


def test_the_detail_view_shows_masked_addresses_and_the_sender(tabs: Tabs, store_file: Path) -> None:
    story = add(store_file, Story("masked", "Masked", {"sms": PRINTED, "email": sent_in(900)}, user_id="masked"))
    with open_stores(f"sqlite:///{store_file}", timeout_s=10) as stores:
        stores.contacts.replace("masked", {"sms": "+989121234567"})
    tab = opened(tabs(), story)
    expect(log(tab, "SMS").locator(".facts")).to_contain_text("To address+98912***4567Senderprint")
    expect(log(tab, "E-mail").locator(".facts")).to_contain_text("To addressno address now")


def test_a_slow_or_failed_request_is_reported_and_the_previous_list_dimmed(tabs: Tabs) -> None:
    tab = go(tabs(), "user=sara")
    held: list[Route] = []

    def fail(route: Route) -> None:
        body = '{"type":"/problems/store-unavailable"}'
        route.fulfill(status=503, content_type="application/problem+json", body=body)

    # The page retries automatically, on a busy machine before the expectations below are met.
    tab.page.route("**/api/notifications?*user_id=reza*", lambda route: fail(route) if held else held.append(route))
    tab.page.get_by_label("User", exact=True).fill("reza")
    tab.page.get_by_label("User", exact=True).press("Enter")
    expect(tab.at("#progress")).to_have_text("Loading…")
    expect(tab.at("body")).to_have_attribute("data-progress", "loading")
    fail(held[0])
    expect(tab.at("#notice-title")).to_have_text("The store does not answer")
    expect(tab.at("#progress")).to_have_text("Your selection did not load. The previous list is still shown.")
    expect(rows(tab)).to_have_count(4)
    tab.page.unroute_all(behavior="ignoreErrors")
    expect(tab.at("#notice")).to_be_hidden()  # it retries automatically
    expect(rows(tab)).to_have_count(1)
    expect(tab.at("#progress")).to_be_hidden()
    tab.faults.clear()


def test_a_subscription_is_created_with_errors_shown_per_field_and_ended(tabs: Tabs) -> None:
    tab = tabs()
    tab.page.goto(f"{tab.origin}/subscriptions")
    loaded(tab)
    expect(tab.at("#list-none h3")).to_have_text("No subscriptions yet")
    tab.page.get_by_role("button", name="New subscription…").click()
    dialog = tab.page.get_by_role("dialog")
    save = dialog.get_by_role("button", name="Save")
    save.click()
    for name, output in (
        ("user_id", "Enter the user."),
        ("merchant_id", "Enter the merchant."),
        ("modes", "Choose at least one."),
        ("channels", "Choose at least one."),
    ):
        expect(tab.at(f"#form-{name}-error")).to_have_text(output)
    expect(dialog.get_by_label("User")).to_be_focused()
    assert (without_accessible_name(tab), low_contrast(tab)) == ([], [])
    dialog.get_by_label("User").fill("sara")
    dialog.get_by_label("Tenant (empty: the operator)").fill("nobody")
    dialog.get_by_label("All merchants together").check()
    dialog.get_by_label("week").check()
    dialog.get_by_label("SMS").check()
    save.click()
    expect(tab.at("#form-tenant-error")).to_have_text("There is no such tenant.")
    expect(tab.at("#form-user_id-error")).to_have_text("")
    dialog.get_by_label("Tenant (empty: the operator)").fill("")
    save.click()
    expect(tab.at("#said-text p").first).to_have_text("The subscription is active.")
    expect(tab.at("#said-text")).to_contain_text("The user has no address for one of the channels")
    item = tab.at("#list li")
    expect(item).to_contain_text("All merchants together")
    expect(item).to_contain_text("week\u2069 · \u2068SMS\u2069 · English")
    assert tab.refusals == ["400"]
    tab.page.get_by_role("button", name="End… \u2068sara\u2069").click()
    dialog.get_by_role("button", name="End it").click()
    expect(tab.at("#list-none h3")).to_have_text("No subscriptions yet")
    expect(tab.at("#said-text")).to_have_text("The subscription has ended.")


@pytest.mark.thorough
def test_server_errors_are_translated_to_persian_or_shown_unchanged(tabs: Tabs) -> None:
    tab = tabs(language="fa")
    tab.page.goto(f"{tab.origin}/subscriptions")
    loaded(tab)
    tab.page.get_by_role("button", name="اشتراک تازه…").click()
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_label("کاربر").fill("ش" * 129)
    dialog.get_by_label("پذیرنده", exact=True).fill("p" * 1025)
    dialog.get_by_label("روز").check()
    dialog.get_by_label("پیامک").check()
    save = dialog.get_by_role("button", name="ذخیره")
    save.click()
    for name in ("user_id", "merchant_id"):
        expect(tab.at(f"#form-{name}-error")).to_have_text("این بیش از اندازه بلند است.")
    dialog.get_by_label("کاربر").fill("sara")
    dialog.get_by_label("پذیرنده", exact=True).fill("shop-1")
    dialog.get_by_label("مستأجر").fill("nobody")
    save.click()
    expect(tab.at("#form-tenant-error")).to_have_text("چنین مستأجری نیست.")
    error = {"parameter": "modes.0", "detail": "is too new for this page", "code": "of-a-later-version"}
    tab.page.route(
        "**/api/subscriptions?*", lambda route: route.fulfill(status=400, json={"errors": [error], "title": "x"})
    )
    save.click()
    expect(tab.at("#form-modes-error")).to_have_text("is too new for this page")
    tab.page.unroute_all(behavior="ignoreErrors")
    assert tab.refusals == ["400"] * 3


def test_subscriptions_find_and_show_merchants_by_name(tabs: Tabs, store_file: Path) -> None:
    names: dict[str, dict[Locale, str]] = {"shop-1": {"fa": "چای‌خانهٔ یاس", "en": "Yas Tea House"}}
    publish(f"sqlite:///{store_file}", {one: {"1403/04/04": (5, 1)} for one in ("shop-1", "shop-2")})
    with open_stores(f"sqlite:///{store_file}", timeout_s=10) as stores:
        assert stores.merchant_names.replace(names, after=stores.merchant_names.version(), now_ms=5)
    tab = tabs()
    while tab.page.request.get(f"{tab.origin}/api/me").json()["published"] is None:
        tab.page.wait_for_timeout(50)  # the server sees it within its freshness
    tab.page.goto(f"{tab.origin}/subscriptions")
    loaded(tab)
    tab.page.get_by_role("button", name="New subscription…").click()
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_label("User").fill("named")
    dialog.get_by_label("Merchant", exact=True).fill("چاي خانه")
    expect(tab.at("#form-merchants option")).to_have_count(1)
    expect(tab.at("#form-merchants option")).to_have_text("Yas Tea House")
    dialog.get_by_label("Merchant", exact=True).fill(str(tab.at("#form-merchants option").get_attribute("value")))
    dialog.get_by_label("day").check()
    dialog.get_by_label("SMS").check()
    dialog.get_by_role("button", name="Save").click()
    title = tab.at("#list li").filter(has_text="named").locator(".item-title")
    expect(title).to_have_text("Yas Tea Houseshop-1")
    tab.page.get_by_role("button", name="فارسی").click()
    expect(title).to_have_text("چای‌خانهٔ یاسshop-1")
    tab.page.get_by_role("button", name="پایان… \u2068named\u2069").click()
    expect(dialog.locator("#question-text")).to_have_text("named: چای‌خانهٔ یاسshop-1")
    dialog.get_by_role("button", name="پایان اشتراک").click()
    expect(title).to_have_count(0)


def test_contact_addresses_are_added_edited_and_removed_in_persian_on_a_phone(tabs: Tabs, store_file: Path) -> None:
    with open_stores(f"sqlite:///{store_file}", timeout_s=10) as stores:
        stores.contacts.replace("sara", {"email": "sara@example.com"})

    def reached(user_id: str) -> dict[str, str]:
        with open_stores(f"sqlite:///{store_file}", timeout_s=10) as stores:
            return stores.contacts.get(user_id)

    tab = tabs(language="fa", theme="dark", width=PHONE)
    tab.page.goto(f"{tab.origin}/contacts")
    loaded(tab)
    expect(tab.at("#list li").filter(has_text="sara@example.com")).to_be_visible()
    tab.page.get_by_role("button", name="کاربر تازه…").click()
    dialog = tab.page.get_by_role("dialog")
    save = dialog.get_by_role("button", name="ذخیره")
    dialog.get_by_label("کاربر").fill("sara")
    dialog.get_by_label("پیامک").fill("۱۲")
    save.click()
    expect(tab.at("#form-user_id-error")).to_have_text("این کاربر نشانی دارد: آن را در فهرست ویرایش کنید.")
    dialog.get_by_label("کاربر").fill("رضا/۱")
    save.click()
    expect(tab.at("[data-error='contacts.sms']")).to_have_text("در کشور این شماره چنین شماره‌ای نیست.")
    expect(dialog.get_by_label("پیامک")).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_label("پیامک")).to_be_focused()
    assert (without_accessible_name(tab), low_contrast(tab)) == ([], [])
    dialog.get_by_label("پیامک").fill("۰۹۱۲ ۱۲۳ ۴۵۶۷")
    save.click()
    item = tab.at("#list li").filter(has_text="رضا/۱")
    expect(item).to_contain_text("+989121234567")
    assert tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    item.get_by_role("button", name="ویرایش…").click()
    expect(dialog.get_by_label("پیامک")).to_have_value("+989121234567")
    dialog.get_by_label("پیامک").fill("")
    dialog.get_by_label("تلگرام").fill("@reza_shop")
    save.click()
    expect(item).to_contain_text("@reza_shop")
    assert reached("رضا/۱") == {"telegram": "@reza_shop"}
    item.get_by_role("button", name="حذف…").click()
    dialog.get_by_role("button", name="حذف نشانی‌ها").click()
    expect(item).to_have_count(0)
    assert (reached("رضا/۱"), reached("sara")) == ({}, {"email": "sara@example.com"})


@pytest.fixture
def closed(profiles: BrowserProfiles, tmp_path: Path) -> Iterator[tuple[Tabs, Path]]:
    """Opens tabs at a server that needs keys, over a store without notifications; its file."""
    file = tmp_path / "closed.db"
    with running_server(f"sqlite:///{file}", tmp_path, "keys") as origin:
        opened_tabs = Tabs(profiles, origin)
        try:
            yield opened_tabs, file
        finally:
            opened_tabs.close()


def test_an_api_key_with_the_notifications_scope_is_required(closed: tuple[Tabs, Path]) -> None:
    tabs, file = closed
    without = tabs(key=add_key(f"sqlite:///{file}", [Scope.SUMMARIES, Scope.OPERATE]))
    without.page.goto(f"{tabs.origin}/notifications")
    expect(without.page.get_by_role("heading", name="This key shows no notifications")).to_be_visible()
    expect(without.at("#list-panel")).to_be_hidden()
    expect(without.at("#controls")).to_be_hidden()
    expect(without.at("#retry-all")).to_be_hidden()
    for page in ("Subscriptions", "Contacts"):
        without.page.get_by_role("link", name=page).click()
        expect(without.page.get_by_role("heading", name=page)).to_be_visible()
        expect(without.page.get_by_role("heading", name="This key shows no notifications")).to_be_visible()
        expect(without.at("#add")).to_be_hidden()
    assert {url.partition("/api")[2] for url in without.requested if "/api/" in url} == {"/me"}

    tab = tabs()
    tab.page.goto(f"{tabs.origin}/notifications")
    field = tab.page.get_by_label("Key", exact=True)
    expect(field).to_be_focused()
    field.fill(add_key(f"sqlite:///{file}", [Scope.NOTIFICATIONS], name="desk"))
    tab.page.keyboard.press("Enter")
    expect(tab.at("#list-none h3")).to_have_text("No notifications on these days")
    tab.page.get_by_role("link", name="Show all").click()
    expect(tab.at("#list-none h3")).to_have_text("No notifications yet")
    add(file, DEAD)
    tab.page.get_by_label("Status", exact=True).select_option("dead")
    rows(tab).click()
    tab.page.get_by_role("button", name=re.compile("Send .* again…")).click()
    tab.page.get_by_role("button", name="Send again", exact=True).click()
    expect(log(tab, "E-mail").locator(".badge")).to_have_text("Pending")
    tab.page.get_by_role("link", name="Summaries").click()
    expect(tab.at("#empty-title")).to_have_text("This key shows no summaries")
    assert tab.faults == without.faults == []


@pytest.mark.thorough
def test_the_pages_link_to_each_other(tmp_path: Path) -> None:
    api = Api(f"sqlite:///{tmp_path / 'none.db'}")
    for path in ("/", "/notifications", "/subscriptions", "/contacts"):
        links = re.findall(r'<a href="(/[a-z]*)"', api.ask(path).text)
        about = ["/notifications", "/subscriptions", "/contacts"] if path != "/" else []
        assert links == ["/", "/notifications", "/docs", *about]
    assert (
        api.ask("/notifications").headers["content-security-policy"] == api.ask("/").headers["content-security-policy"]
    )
