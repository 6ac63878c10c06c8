"""The figures of the dashboard, in both languages, and the controls that select them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from dashboard_legibility import found_by_axe
from dashboard_sales import DAYS, FAILURE, LARGEST, PERSIAN, REASON, SHOP_SALES, total
from dashboard_server import running_server
from dashboard_tabs import BrowserProfiles, Language, Tab, Tabs
from effort import THOROUGH
from examples import FINGERPRINT
from playwright.sync_api import expect
from sales import JALALI, publish

from core.calendar import Mode
from core.stores.summaries import DayRange

CONSTANT: Sequence[str] = [f"1402/{month:02}/{day:02}" for month in range(1, 6) for day in range(1, 32)] + [
    f"1402/06/{day:02}" for day in range(1, 11)
]
ALL: Sequence[str] = (LARGEST, "shop-2", PERSIAN)
MONTH = DAYS[-30:]
_PERSIAN_DIGITS = str.maketrans("0123456789,", "۰۱۲۳۴۵۶۷۸۹٬")


def persian(number: int) -> str:
    return f"{number:,}".translate(_PERSIAN_DIGITS)


@pytest.mark.thorough
def test_a_sum_beyond_two_to_the_53_is_shown_exactly(tabs: Tabs) -> None:
    tab = tabs().figures("range=last-30")
    exact = total(ALL, MONTH)
    assert int(float(exact)) != exact
    expect(tab.card(0)).to_have_text(f"{exact:,} IRR")


@pytest.fixture
def in_cents(profiles: BrowserProfiles, tmp_path: Path) -> Iterator[Tabs]:
    """Tabs of a server on a store whose amounts have two decimals."""
    store_url = f"sqlite:///{tmp_path / 'summaries.db'}"
    publish(store_url, SHOP_SALES, fingerprint=replace(FINGERPRINT, currency="USD", amount_scale=2))
    with running_server(store_url, tmp_path) as origin:
        opened = Tabs(profiles, origin)
        try:
            yield opened
        finally:
            opened.close()


def test_amounts_are_shown_in_major_units_with_their_decimals(in_cents: Tabs) -> None:
    exact = total(ALL, MONTH)
    assert exact > 2**53
    shown = f"{exact // 100:,}.{exact % 100:02}"
    tab = in_cents().figures("range=last-30")
    expect(tab.card(0)).to_have_text(f"{shown} USD")
    tab.page.get_by_role("button", name="فارسی").click()
    expect(tab.card(0)).to_have_text(f"{shown} USD".translate(_PERSIAN_DIGITS).replace(".", "٫"))
    written = tab.page.evaluate(
        """async () => {
            const { Locale } = await import("/assets/locale.js");
            const CENTS = { currency: "USD", scale: 2, time_zone: "UTC", calendar: "jalali" };
            return ["en", "fa"].map((language) => new Locale(language, CENTS).exact(-5n, "amount"));
        }"""
    )
    assert written == ["-0.05", "\u200e\u2212۰٫۰۵"]


@pytest.mark.thorough
def test_the_persian_page_is_right_to_left_with_persian_digits(tabs: Tabs) -> None:
    tab = tabs(language="fa").figures("range=last-30")
    expect(tab.at("html")).to_have_attribute("dir", "rtl")
    expect(tab.at("html")).to_have_attribute("lang", "fa")
    expect(tab.at("h1")).to_have_text("خلاصهٔ تراکنش‌ها")
    expect(tab.card(0)).to_have_text(f"{persian(total(ALL, MONTH))} ریال")
    expect(tab.at(".leaf-name").last).to_have_text("تیر ۱۴۰۳")
    expect(tab.at("#series-chart svg")).to_contain_text("۲۰ تیر")
    tab.page.get_by_role("button", name="English").wait_for()
    latin = tab.at("main").inner_text().replace(LARGEST, "").replace("shop-2", "")
    assert re.findall(r"[0-9]", latin) == []


@pytest.mark.thorough
def test_the_language_is_switched_by_a_click_and_stored(tabs: Tabs) -> None:
    tab = tabs().figures()
    tab.page.get_by_role("button", name="فارسی").click()
    expect(tab.at("#merchants-title")).to_have_text("پذیرنده‌های برتر")
    tab.page.reload()
    expect(tab.at("html")).to_have_attribute("dir", "rtl")


def test_a_merchant_is_chosen_by_keyboard_and_announced_to_screen_readers(tabs: Tabs) -> None:
    tab = tabs().figures("range=last-30")
    tab.page.get_by_role("combobox", name="Merchant").focus()
    tab.page.keyboard.press("ArrowDown")
    expect(tab.page.get_by_role("option", name=LARGEST)).to_be_visible()
    tab.page.keyboard.type("SHOP-2")
    expect(tab.at("#merchant-list [role=option]")).to_have_text(["shop-2"])
    tab.page.keyboard.press("Enter")
    expect(tab.card(0)).to_have_text(f"{total(['shop-2'], MONTH):,} IRR")
    expect(tab.page.get_by_role("combobox", name="Merchant")).to_have_value("shop-2")
    assert "merchant=shop-2" in tab.page.url
    expect(tab.at("[role=status]")).to_have_text(
        re.compile(r"Amount of shop-2, 22 Khordad 1403 to 20 Tir 1403 \(incomplete\): .* IRR")
    )


@pytest.mark.thorough
def test_escape_keeps_the_chosen_merchant(tabs: Tabs) -> None:
    tab = tabs().figures()
    merchant = tab.page.get_by_role("combobox", name="Merchant")
    merchant.fill("nobody")
    expect(tab.at("#merchant-more")).to_have_text("No merchant matches")
    tab.page.keyboard.press("Escape")
    expect(merchant).to_have_value("All merchants")


@pytest.mark.thorough
def test_a_top_merchant_is_chosen_by_a_click(tabs: Tabs) -> None:
    tab = tabs().figures("range=last-30")
    top = tab.page.get_by_role("button", name=LARGEST)
    expect(top).to_contain_text(f"{total([LARGEST], MONTH):,}")
    top.click()
    expect(tab.card(0)).to_have_text(f"{total([LARGEST], MONTH):,} IRR")


def test_mode_figure_and_range_are_stored_in_the_url(tabs: Tabs) -> None:
    tab = tabs().figures()
    tab.page.get_by_text("Month", exact=True).click()
    tab.page.get_by_text("Count", exact=True).click()
    tab.page.get_by_label("Range").select_option(label="Everything")
    expect(tab.at("#series-title")).to_have_text("Count per month")
    expect(tab.at("#series-note")).to_have_text("Esfand 1402 – Tir 1403 (incomplete)")
    other = tabs.second_tab(tab.page.context)
    other.page.goto(tab.page.url)
    expect(other.at("#series-note")).to_have_text("Esfand 1402 – Tir 1403 (incomplete)")
    tab.page.go_back()
    expect(tab.at("#series-note")).to_have_text("Esfand 1402 – Tir 1403 (incomplete)")
    tab.page.go_back()
    expect(tab.at("#series-title")).to_have_text("Amount per month")


_READ = """async ([texts, keys, months, first]) => {
  const { Days, readPeriod } = await import("/assets/periods.js");
  const days = new Days(keys, first, "gregorian");
  return texts.map((text) => [readPeriod(text, "daily", keys, days), readPeriod(text, "monthly", months, days)]);
}"""


def test_jalali_dates_are_accepted_for_gregorian_summaries(tabs: Tabs) -> None:
    first = date(2020, 3, 20)
    keys = [str(first + timedelta(days=number)) for number in range(2 * 1461)]
    begin = JALALI.parse(Mode.DAILY, "1399/01/01").first_day
    tried = range(0, len(keys), 1 if THOROUGH else 13)
    jalali = [JALALI.period_of(Mode.DAILY, begin + number).key for number in tried]
    months = list(dict.fromkeys(key[:7] for key in keys))
    wrong = {
        "1403/12/31": "Impossible", "1402/12/30": "Impossible", "1403/13/01": "Impossible", "1403/00/01": "Impossible",
        "1398/12/29": "Outside", "1500/01/01": "Outside", "1403/4/4": "Malformed", "1403/04": "Malformed",
    }  # fmt: skip
    found = tabs().figures().page.evaluate(_READ, [[*jalali, *wrong], keys, months, keys[0]])
    assert found[: len(jalali)] == [[{"key": keys[number]}, {"key": keys[number][:7]}] for number in tried]
    assert found[len(jalali) :] == [[{"wrong": why}] * 2 for why in wrong.values()]


@pytest.mark.parametrize(("language", "width"), [("fa", 1280), pytest.param("en", 390, marks=pytest.mark.thorough)])
def test_a_day_is_chosen_from_a_calendar_by_keyboard_and_by_pointer(tabs: Tabs, language: Language, width: int) -> None:
    tab = tabs(language=language, width=width).figures("range=last-30")
    if width < 640:
        tab.at("#controls-toggle").click()
    tab.at("#range").select_option("custom")
    persian = language == "fa"
    digits = _PERSIAN_DIGITS if persian else {}
    first, last = tab.at("#from"), tab.at("#to")
    expect(first).to_have_value("1403/03/22".translate(digits))
    first.press("Tab")
    tab.page.keyboard.press("Enter")
    calendar = tab.page.get_by_role("dialog", name="برگزیدن روز" if persian else "Choose a day")
    expect(calendar.get_by_role("columnheader").first).to_have_text("ش" if persian else "Sat")
    day = calendar.locator(":focus")
    expect(day).to_have_accessible_name("۲۲ خرداد ۱۴۰۳" if persian else "22 Khordad 1403")
    assert found_by_axe(tab) == []
    for key in ("PageUp", "ArrowLeft" if persian else "ArrowRight", "ArrowDown", "End"):
        tab.page.keyboard.press(key)
    # 22 Ordibehesht, a Saturday; 23; 30; Friday 4 Khordad
    expect(day).to_have_accessible_name("۴ خرداد ۱۴۰۳" if persian else "4 Khordad 1403")
    tab.page.keyboard.press("Escape")
    expect(calendar).to_be_hidden()
    expect(first).to_have_value("1403/03/22".translate(digits))
    tab.page.keyboard.press("Enter")
    tab.page.keyboard.press("Home")
    tab.page.keyboard.press("Enter")
    expect(first).to_have_value("1403/03/19".translate(digits))
    tab.at("#to + .calendar-open").click()
    calendar.get_by_role("button", name="ماه پیش" if persian else "Month before").click()
    calendar.get_by_role("button", name="۳۱ خرداد ۱۴۰۳" if persian else "31 Khordad 1403").click()
    expect(last).to_have_value("1403/03/31".translate(digits))
    assert tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    tab.at("#custom button[type=submit]").click()
    tab.loaded()
    expected = "۱۹ خرداد ۱۴۰۳ – ۳۱ خرداد ۱۴۰۳" if persian else "19 Khordad 1403 – 31 Khordad 1403"
    expect(tab.at("#series-note")).to_have_text(expected)


def test_a_custom_range_accepts_dates_of_both_calendars_and_reports_each_error(
    tabs: Tabs,
) -> None:
    tab = tabs().figures()
    tab.page.get_by_label("Range").select_option(label="From … to …")
    first, last = tab.page.get_by_label("From", exact=True), tab.page.get_by_label("To", exact=True)
    places = [tab.at(one).bounding_box() for one in ("#merchant", "#range", "#from", "#to", "#export")]
    assert len({place["y"] for place in places if place}) == 1, "the controls stay in one row"
    for begin, end, sentence in (
        ("1403/02/01", "", "Enter both ends"),
        ("1403/02/01", "soon", "“soon” is not valid"),
        ("۱۴۰۳/۰۲/۰۱", "1403/02/32", "1403/02/32 does not exist"),
        ("2024-02-30", "1403/02/05", "2024-02-30 does not exist"),
        ("1399/13/01", "1403/02/05", "1399/13/01 does not exist"),
        ("1403/02/05", "1403/02/01", "1403/02/05 is after 1403/02/01"),
        ("1399/01/01", "1399/02/01", "Figures exist from 1402/12/01 to 1403/04/20"),
        ("2019-01-01", "1403/02/05", "Figures exist from 1402/12/01 to 1403/04/20"),
    ):
        first.fill(begin)
        last.fill(end)
        tab.page.get_by_role("button", name="Apply").click()
        expect(tab.at("#range-error")).to_contain_text(sentence)
    first.fill("۱۴۰۳/۰۲/۰۱")
    last.fill("2024-04-24")
    tab.page.keyboard.press("Enter")
    expect(tab.at("#series-note")).to_have_text("1 Ordibehesht 1403 – 5 Ordibehesht 1403")
    expect(tab.at("#range-error")).to_be_empty()
    tab.page.get_by_text("Month", exact=True).click()
    expect(tab.at("#series-note")).to_have_text("Ordibehesht 1403")
    first.fill("2024-03-19")
    last.fill("1403/03/31")
    tab.page.keyboard.press("Enter")
    expect(tab.at("#series-note")).to_have_text("Esfand 1402 – Khordad 1403")


@pytest.mark.thorough
def test_the_top_merchants_of_every_mode_add_up_to_the_total(tabs: Tabs) -> None:
    tab = tabs().figures("range=last-30")
    for mode, days in (("", MONTH), ("Week", DAYS[-89:]), ("Month", DAYS)):
        if mode:
            tab.page.get_by_text(mode, exact=True).click()
        expect(tab.card(0)).to_have_text(f"{total(ALL, days):,} IRR")
        expect(tab.at(".bar-value")).to_have_text(_ranked(days))


@pytest.mark.parametrize(
    ("language", "mark", "only"),
    [
        ("en", "(incomplete)", "complete days only: 29"),
        pytest.param("fa", "(ناتمام)", "روزهای کامل: ۲۹", marks=pytest.mark.thorough),
    ],
)
def test_the_incomplete_day_is_marked_everywhere_and_left_out_of_the_change(
    tabs: Tabs, language: Language, mark: str, only: str
) -> None:
    tab = tabs(language=language).figures("range=last-30")
    now, before = total(ALL, MONTH[:-1]), total(ALL, DAYS[-60:-31])
    permille = round((now - before) * 1000 / before)
    written = f"{before:,}" if language == "en" else persian(before)
    expect(tab.at(".card").nth(3)).to_contain_text(written)
    expect(tab.at(".card").nth(3)).to_contain_text(only)
    if language == "en":
        expect(tab.at(".change")).to_have_text(f"+{permille / 10:.1f}%" if permille else "0.0%")
    expect(tab.at("#series-note")).to_contain_text(mark)
    expect(tab.at("#series-legend li")).to_have_count(4)
    tab.at("#series-toggle").click()
    tab.at("#days-toggle").click()
    for table in ("#series-table", "#days-table"):
        expect(tab.at(f"{table} tbody th").filter(has_text=mark)).to_have_count(1)
        expect(tab.at(f"{table} tbody th").last).to_contain_text(mark)
    expect(tab.at(".cell.incomplete")).to_have_count(1)
    status = {"en": "1 Esfand 1402 – 20 Tir 1403", "fa": "۱ اسفند ۱۴۰۲ – ۲۰ تیر ۱۴۰۳"}[language]
    expect(tab.at("#panel-status")).to_contain_text(status)
    expect(tab.at("#panel-status")).to_contain_text(
        {"en": "3 runs failed in a row. The latest, run 4,", "fa": "۳ اجرا پیاپی شکست خورد"}[language]
    )
    expect(tab.at("#series-chart svg .incomplete")).to_have_count(1)


def test_constant_sales_show_no_change_by_month_and_by_days(profiles: BrowserProfiles, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'constant.db'}"
    publish(store, {"shop": dict.fromkeys(CONSTANT, (1_000, 1))}, complete_days=(DayRange(CONSTANT[0], CONSTANT[-2]),))
    with running_server(store, tmp_path) as origin:
        tabs = Tabs(profiles, origin)
        try:
            tab = tabs().figures("range=last-30")
            expect(tab.at(".change")).to_have_text("0.0%")
            status = tab.at("#panel-status")  # nothing failed, but the data is old
            expect(status).to_contain_text("Needs attention")
            expect(status).to_contain_text(
                re.compile(r"The latest transactions are from 10 Shahrivar 1402, \d+ years? ago\.")
            )
            tab.figures("mode=monthly&range=1402/04..1402/06")
            expect(tab.at(".card").nth(3)).to_contain_text("complete months only: 2")
            expect(tab.at(".change")).to_have_text("0.0%")
            tab.figures("mode=monthly&range=1402/06..1402/06")
            expect(tab.at(".card").nth(3)).to_contain_text("Only complete periods are compared")
            expect(tab.at(".card").first).to_contain_text("in 1 month, incomplete: 1")
            expect(tab.at("#series-note")).to_have_text("Shahrivar 1402 (incomplete)")
        finally:
            tabs.close()


def test_a_completely_published_previous_period_is_compared(tabs: Tabs) -> None:
    tab = tabs().figures("range=1403/03/01..1403/03/30")
    at = DAYS.index("1403/03/01")
    expect(tab.at(".card").nth(3)).to_contain_text(f"before: {total(ALL, DAYS[at - 30 : at]):,} IRR")
    expect(tab.at("#series-legend li")).to_have_count(3)
    tab.figures("range=all")
    expect(tab.at(".card").nth(3)).to_contain_text("Not all previous periods are published")
    expect(tab.at("#series-legend li")).to_have_text(
        [re.compile(f"^{start}") for start in ("This range", "Not all previous periods", "Average", "Incomplete")]
    )


def test_the_heatmap_has_a_cell_per_day_darkest_for_the_highest(tabs: Tabs) -> None:
    tab = tabs().figures(f"merchant={PERSIAN}&range=last-30")
    cells = tab.at(".leaf .cell")
    expect(cells).to_have_count(30)
    expect(cells.last).to_have_class(re.compile("level-5"))
    expect(tab.at(".leaf .cell.below")).to_have_count(len([day for day in MONTH if total([PERSIAN], [day]) < 0]))
    expect(tab.at(".leaf-name")).to_have_text(["Khordad 1403", "Tir 1403"])


def test_arrow_keys_read_the_values_of_both_charts(tabs: Tabs) -> None:
    tab = tabs().figures("range=last-30")
    expect(tab.at("#series-chart svg")).to_be_visible()
    for drawing, key in (("#series-chart", "ArrowLeft"), ("#days-map", "ArrowUp")):
        tab.at(drawing).focus()
        tab.page.keyboard.press("End")
        tab.page.keyboard.press(key)
        day = DAYS[-2] if drawing == "#series-chart" else DAYS[-8]
        expect(tab.at(drawing)).to_have_attribute("aria-valuetext", re.compile(f"{total(ALL, [day]):,}"))
        expect(tab.at("#tip")).to_contain_text(f"{total(ALL, [day]):,} IRR")


def test_a_period_opens_its_days_and_merchants_and_back_returns(tabs: Tabs) -> None:
    tab = tabs().figures("mode=monthly&range=all")
    expect(tab.at("#series-chart svg")).to_be_visible()
    expect(tab.at(".levels")).to_contain_text("from ")
    tab.at("#series-chart").focus()
    tab.page.keyboard.press("End")
    tab.page.keyboard.press("ArrowLeft")
    tab.page.keyboard.press("Enter")
    khordad = [day for day in DAYS if day.startswith("1403/03")]
    expect(tab.at("#series-title")).to_have_text("Amount per day")
    expect(tab.at("#series-note")).to_have_text("1 Khordad 1403 – 31 Khordad 1403")
    tab.at("#days-map .leaf .cell").nth(4).click()
    day = total(ALL, khordad[4:5])
    expect(tab.at("#series-note")).to_have_text("5 Khordad 1403")
    expect(tab.card(0)).to_have_text(f"{day:,} IRR")
    expect(tab.at(".bar-value")).to_have_text(_ranked(khordad[4:5]))
    expect(tab.at(".bar-share").first).to_have_text(f"{total([LARGEST], khordad[4:5]) / day:.1%}")
    tab.page.go_back()
    expect(tab.at("#series-note")).to_have_text("1 Khordad 1403 – 31 Khordad 1403")
    tab.page.go_back()
    expect(tab.at("#series-title")).to_have_text("Amount per month")


def _ranked(days: Sequence[str]) -> list[str]:
    sums = sorted((total([one], days) for one in ALL if total([one], days)), reverse=True)
    return [f"{one:,}" for one in sums]


@pytest.mark.thorough
def test_the_tables_have_every_exact_value(tabs: Tabs) -> None:
    tab = tabs().figures(f"merchant={LARGEST}&range=last-30")
    toggle = tab.page.get_by_role("button", name="Show as table").first
    toggle.click()
    values = tab.at("#series-table tbody td:nth-child(2)")
    expect(values).to_have_text([f"{total([LARGEST], [day]):,}" for day in MONTH])
    expect(tab.at("#series-toggle")).to_have_attribute("aria-expanded", "true")


def test_the_status_shows_rejects_the_balance_failures_and_missed_refreshes(tabs: Tabs) -> None:
    status = tabs().figures().at("#panel-status")
    expect(status).to_contain_text("Needs attention")
    expect(status).to_contain_text("The numbers add up")
    expect(status).to_contain_text(REASON)
    expect(status).to_contain_text(FAILURE)
    expect(status).to_contain_text(re.compile(r"Refreshes were missed: [\d,]{3,}\. The next was due .+ ago\."))


@pytest.mark.parametrize("language", [pytest.param("en", marks=pytest.mark.thorough), "fa"])
def test_on_a_phone_nothing_overflows_the_screen(tabs: Tabs, language: Language) -> None:
    tab = tabs(language=language, width=360)
    for chosen in ("range=last-30", "range=all&mode=weekly&type=count"):
        tab.figures(chosen)
        expect(tab.at("#series-chart svg")).to_be_visible()
        assert tab.page.evaluate("document.querySelector('#series-chart').getBoundingClientRect().bottom") <= 800
        sizes = "[...new Set([...document.querySelectorAll('.card')].map((one) => one.getBoundingClientRect().height))]"
        assert len(tab.page.evaluate(sizes)) == 1, "cards are of one size"
        expect(tab.at("#merchant")).to_be_hidden()
        tab.at("#series-toggle").click()
        _nothing_wider_than_the_screen(tab)
        tab.at("#series-toggle").click()

    tab.at("#controls-toggle").click()
    expect(tab.at("#controls-toggle")).to_have_attribute("aria-expanded", "true")
    expect(tab.at("#merchant")).to_be_visible()
    _nothing_wider_than_the_screen(tab)


def _nothing_wider_than_the_screen(tab: Tab) -> None:
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 360
    outside = """() => [...document.querySelectorAll('.panel, .card, .controls > *, button, select, input')]
        .filter((one) => one.checkVisibility() && !one.closest('.segments'))
        .map((one) => [one.id || one.className, one.getBoundingClientRect()])
        .filter(([, box]) => box.left < 0 || box.right > 360).map(([name]) => name)"""
    assert tab.page.evaluate(outside) == []
