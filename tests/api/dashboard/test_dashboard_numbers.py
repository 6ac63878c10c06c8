"""Every figure of the page, compared with expected values: in both languages, on desktop and phone widths."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any, Final

import pytest
from dashboard_tabs import Language, Tab, Tabs
from dashboard_years import (
    DAYS,
    MERCHANTS,
    SPANS,
    STEADY,
    ExpectedFigures,
    Figure,
    change,
    fill,
    ranked,
    rounded,
    series,
)
from effort import THOROUGH
from playwright.sync_api import expect

from core.calendar import Mode

LANGUAGES: Final[tuple[Language, ...]] = ("en", "fa")
FIGURES: Final[tuple[Figure, ...]] = ("amount", "count")
DESK, PHONE = 1280, 390
READERS: Final = list(product(LANGUAGES, (DESK, PHONE)))
"""Languages, and widths of windows."""
PAGE = 50
LEVELS = 5
PRESETS: Final = {Mode.DAILY: 30, Mode.WEEKLY: 26, Mode.MONTHLY: 6}
_PERSIAN: Final = str.maketrans("0123456789,.%-", "۰۱۲۳۴۵۶۷۸۹٬٫٪\u2212")
_READ = """() => {
  const texts = (selector) => [...document.querySelectorAll(selector)].map((one) => one.textContent);
  const cells = (row) => [...row.children].map((one) => one.textContent);
  const rows = (selector) => [...document.querySelectorAll(`${selector} tbody tr`)].map(cells);
  return {
    cards: [...document.querySelectorAll(".card")].map(cells),
    legend: texts("#series-legend li"),
    series: rows("#series-table"),
    days: rows("#days-table"),
    merchants: [...document.querySelectorAll(".bar-row")].map((row) =>
      [".bar-share", ".bar-value"].map((part) => row.querySelector(part).textContent)),
    cells: [...document.querySelectorAll(".cell:not(.levels *)")].map((cell) =>
      [...cell.classList].filter((name) => !["cell", "incomplete", "read"].includes(name)).join()),
    bars: document.querySelectorAll("#series-chart rect.now").length,
    axis: texts("#series-chart .name").length,
  };
}"""


@dataclass(frozen=True)
class Case:
    """What is chosen on the page."""

    mode: Mode
    figure: Figure
    merchant: str | None
    range_: str
    compare: str = "before"

    @property
    def address(self) -> str:
        """What the address has after the ``#``."""
        merchant = f"&merchant={self.merchant}" if self.merchant else ""
        return f"mode={self.mode}&type={self.figure}&range={self.range_}&compare={self.compare}{merchant}"

    def positions(self) -> tuple[int, int]:
        """Of the first and the last period."""
        keys = [span.key for span in SPANS[self.mode]]
        if self.range_ == "all":
            return 0, len(keys) - 1
        if self.range_.startswith("last-"):
            return len(keys) - int(self.range_[5:]), len(keys) - 1
        first, last = self.range_.split("..")
        return keys.index(first), keys.index(last)


def _ranges(mode: Mode) -> tuple[str, ...]:
    keys = [span.key for span in SPANS[mode]]
    return "all", f"last-{PRESETS[mode]}", f"{keys[-5]}..{keys[-2]}"


ALL_CASES: Final = [
    Case(mode, figure, merchant, range_, compare)
    for mode in Mode
    for figure, merchant, range_, compare in product(FIGURES, (None, STEADY), _ranges(mode), ("before", "year", "none"))
]
SAMPLE: Final = [
    Case(Mode.MONTHLY, "amount", None, "last-6", "year"),
    Case(Mode.DAILY, "count", STEADY, "last-30"),
    Case(Mode.WEEKLY, "amount", STEADY, "all", "none"),
]


@pytest.fixture(scope="module")
def store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the store."""
    file = tmp_path_factory.mktemp("years") / "summaries.db"
    fill(f"sqlite:///{file}")
    return file


def written(number: int, language: Language) -> str:
    return f"{number:,}" if language == "en" else f"{number:,}".translate(_PERSIAN)


def percent(permille: int, language: Language, sign: str = "") -> str:
    text = f"{permille / 10:{sign}.1f}%" if permille else "0.0%"
    return text if language == "en" else text.translate(_PERSIAN)


def show(tab: Tab, case: Case) -> dict[str, Any]:
    """Choose `case`, and read all of the page; without marks of direction."""
    tab.open(case.address)
    tab.page.wait_for_function(
        """(address) => location.hash.slice(1).includes(address) && document.body.dataset.progress === "current"
            && document.getElementById("merchants-body").getAttribute("aria-busy") === "false" """,
        arg=f"mode={case.mode}&type={case.figure}",
    )
    return {name: _plain(found) for name, found in tab.page.evaluate(_READ).items()}


def _plain(found: Any) -> Any:
    if isinstance(found, list):
        return [_plain(each) for each in found]
    return re.sub("[\u200e\u2066-\u2069]", "", found) if isinstance(found, str) else found


@pytest.mark.parametrize("reader", READERS if THOROUGH else [None])
def test_every_figure_matches_the_chosen_periods(tabs: Tabs, reader: tuple[Language, int] | None) -> None:
    """For one reader, by chance, unless time does not matter."""
    language, width = reader or random.choice(READERS)
    tab = tabs(language=language, width=width).figures()
    for toggle in ("#series-toggle", "#days-toggle"):
        tab.at(toggle).click()
    for case in ALL_CASES if THOROUGH else SAMPLE:
        _check(case, show(tab, case), language)


def _check(case: Case, read: dict[str, Any], language: Language) -> None:
    def text(number: int) -> str:
        return written(number, language)

    def money(number: int, figure: Figure = case.figure) -> str:
        return text(number) + ({"en": " IRR", "fa": " ریال"}[language] if figure == "amount" else "")

    first, last = case.positions()
    length = last - first + 1
    known = series(case.mode, case.figure, case.merchant)
    points = known[first : last + 1]
    total = sum(point.value for point in points)
    count = sum(point.value for point in series(case.mode, "count", case.merchant)[first : last + 1])
    amount = sum(point.value for point in series(case.mode, "amount", case.merchant)[first : last + 1])
    whole = sum(point.value for point in series(case.mode, case.figure, None)[first : last + 1])
    cards = [dict(enumerate(card)) for card in read["cards"]]

    if case.figure == "amount":
        assert cards.pop(0)[1] == money(total)
        assert money(rounded(Fraction(amount, count)), "amount") in " ".join(cards[0].values())
    assert cards[0][1] == text(count)
    assert money(max(point.value for point in points)) in cards[1].values()

    before = known[first - length : first] if first >= length else None
    by_key = {point.key: point for point in known}
    year = [by_key.get(f"{int(point.key[:4]) - 1}{point.key[4:]}") for point in points]
    for card, earlier in ((cards[2], before), (cards[3], year)):
        compared = change(list(zip(points, earlier, strict=True))) if earlier else None
        if compared is None:
            assert card[1] == "—", (case, card)
        else:
            assert card[1] == percent(compared[2], language, "+"), (case, card)
            assert money(compared[1]) in " ".join(card.values())
    if case.merchant:
        assert percent(rounded(Fraction(total * 1000, whole)), language) in " ".join(read["cards"][0])

    complete = [point.value for point in points if point.complete]
    average = money(rounded(Fraction(sum(complete), len(complete))))
    assert [entry for entry in read["legend"] if average in entry], (case, average, read["legend"])
    references: dict[str, Sequence[ExpectedFigures | None] | None] = {"before": before, "year": year, "none": None}
    reference = references[case.compare]
    if reference is not None and not any(reference):
        reference = None
    expected = [
        [text(point.value), percent(rounded(Fraction(point.value * 1000, total)), language)] for point in points
    ]
    for row, then in zip(expected, reference or [], strict=False):
        row.append("—" if then is None else text(then.value))
    assert [[row[1], row[2], *row[4:]] for row in read["series"]] == expected, case

    days = _days(case, first, last)
    of_days = [point.value for point in series(Mode.DAILY, case.figure, case.merchant) if point.key in set(days)]
    assert [row[1] for row in read["days"]] == [text(value) for value in of_days]
    assert sorted(read["cells"]) == sorted(_levels(of_days)), case
    highest = ranked(case.figure, days)[:PAGE]
    shares = [percent(rounded(Fraction(value * 1000, whole)), language) for value in highest]
    assert read["merchants"] == [list(row) for row in zip(shares, map(text, highest), strict=True)], case
    assert read["bars"] in (0, length)
    assert read["axis"] >= min(2, length)


def _days(case: Case, first: int, last: int) -> list[str]:
    spans = SPANS[case.mode]
    return DAYS[DAYS.index(spans[first].first) : DAYS.index(spans[last].last) + 1]


def _levels(values: list[int]) -> list[str]:
    """The shade of each day: fifths of the days above zero, by rank."""
    above = sorted(value for value in values if value > 0)
    bounds = [above[len(above) * level // LEVELS] for level in range(1, LEVELS)] if above else []
    shades = {-1: "below", 0: "none"}
    return [
        shades.get((value > 0) - (value < 0), f"level-{1 + sum(value >= bound for bound in bounds)}")
        for value in values
    ]


def test_the_tooltip_shows_value_share_and_comparison(tabs: Tabs) -> None:
    tab = tabs()
    case = Case(Mode.MONTHLY, "amount", STEADY, "1402/01..1402/05", "year")
    tab.figures(case.address)
    first, last = case.positions()
    points = series(Mode.MONTHLY, "amount", STEADY)[first : last + 1]
    total = sum(point.value for point in points)
    then = next(point for point in series(Mode.MONTHLY, "amount", STEADY) if point.key == "1401/03")
    tab.at("#series-chart rect.now").nth(2).hover()
    tip = tab.at("#tip")
    expect(tip).to_contain_text(f"Khordad 1402{points[2].value:,} IRR")
    expect(tip).to_contain_text(percent(rounded(Fraction(points[2].value * 1000, total)), "en"))
    moved = rounded(Fraction((points[2].value - then.value) * 1000, then.value))
    expect(tip).to_contain_text(f"Khordad 1401: {then.value:,} IRR ({percent(moved, 'en', '+')})")
    tab.at("#days-map .leaf .cell").nth(3).hover()
    day = series(Mode.DAILY, "amount", STEADY)[DAYS.index("1402/01/04")].value
    expect(tip).to_contain_text(f"4 Farvardin 1402{day:,} IRR")


@pytest.mark.thorough
def test_bars_and_average_line_match_the_axis(tabs: Tabs) -> None:
    tab = tabs().figures("mode=monthly&range=1402/01..1402/05")
    points = [point for point in series(Mode.MONTHLY, "amount", None) if "1402/01" <= point.key <= "1402/05"]
    drawn = tab.page.evaluate(
        """() => {
          const number = (one, name) => Number(one.getAttribute(name));
          const all = (selector) => [...document.querySelectorAll(`#series-chart ${selector}`)];
          return {
            tops: all("rect.now").map((one) => number(one, "y")),
            average: all(".average").map((one) => number(one, "y1")),
            ticks: all(".tick").map((one) => [one.textContent, number(one, "y")]),
          };
        }"""
    )
    ticks = {float(_plain(name).replace("K", "e3").replace("M", "e6")): top for name, top in drawn["ticks"]}
    zero, high = ticks[0.0], max(ticks)
    assert len({round(a - b) for a, b in pairwise(sorted(ticks))}) == 1

    def top(value: Fraction) -> float:
        return float(zero + (ticks[high] - zero) * value / Fraction(high))

    assert drawn["tops"] == pytest.approx([top(Fraction(point.value)) for point in points], abs=0.6)
    assert drawn["average"] == pytest.approx([top(Fraction(sum(p.value for p in points), len(points)))], abs=0.6)


def test_merchants_are_paginated_and_focus_moves_to_the_first_new_one(tabs: Tabs) -> None:
    tab = tabs().figures("range=last-30")
    highest = ranked("amount", DAYS[-30:])
    assert len(highest) == MERCHANTS
    more = tab.page.get_by_role("button", name="Show more merchants")
    for shown in (PAGE, 2 * PAGE, MERCHANTS):
        expect(tab.at(".bar-row")).to_have_count(shown)
        expect(tab.at("#merchants-body")).to_contain_text(f"{shown} of {MERCHANTS} merchants")
        if shown > PAGE:
            expect(tab.at(".bar-row").nth(shown - shown % PAGE - (0 if shown % PAGE else PAGE))).to_be_focused()
        if shown < MERCHANTS:
            more.click()
    expect(more).to_have_count(0)
    assert tab.at(".bar-value").all_inner_texts() == [f"{value:,}" for value in highest]


@pytest.mark.parametrize(("language", "width"), [("fa", PHONE), *([("en", DESK), ("en", 320)] if THOROUGH else [])])
def test_heatmap_cells_are_equal_squares_and_labels_evenly_spaced(tabs: Tabs, language: Language, width: int) -> None:
    tab = tabs(language=language, width=width).figures("mode=monthly&range=1402/05..1402/05")
    _require_squares(tab)
    for chosen, several in (("mode=monthly&range=all", True), ("range=last-90", False), ("range=all", True)):
        tab.figures(chosen)
        _require_squares(tab)
        _require_even_labels(tab, width, several)
    expect(tab.at(".strip-year")).to_have_count(2)
    outside = """[...document.querySelectorAll('#days-map .cell')].filter((one) => {
        const [box, map] = [one, document.getElementById('days-map')].map((each) => each.getBoundingClientRect());
        return box.left < map.left - 1 || box.right > map.right + 1;
      }).length"""
    assert tab.page.evaluate(outside) == 0, "no part of the year is behind a bar for scrolling"
    latest = {"en": "1402", "fa": "۱۴۰۲"}[language]
    expect(tab.at(".strip-year").first).to_have_text(latest)


def _require_squares(tab: Tab) -> None:
    sizes = tab.page.evaluate(
        """[...new Set([...document.querySelectorAll('#days-map .cell:not(.levels *)')].flatMap((one) => {
          const { width, height } = one.getBoundingClientRect();
          return [Math.round(width * 4), Math.round(height * 4)];
        }))]"""
    )
    assert max(sizes) - min(sizes) <= 1, sizes
    assert min(sizes) >= 9 * 4


def _require_even_labels(tab: Tab, width: int, several: bool) -> None:
    labels = tab.page.evaluate(
        """[...document.querySelectorAll('#series-chart .name')].map((one) => {
          const { left, right } = one.getBoundingClientRect();
          return [one.textContent, left, right, Number(one.getAttribute('x'))];
        })"""
    )
    labels.sort(key=lambda label: label[3])
    assert len(labels) >= 2
    gaps = [after[3] - before[3] for before, after in pairwise(labels)]
    assert max(gaps) - min(gaps) < 1, labels
    assert all(after[1] - before[2] > 4 for before, after in pairwise(labels)), labels
    assert labels[0][1] >= 0
    assert labels[-1][2] <= width
    assert all(bool(re.search("[0-9۰-۹]{4}", label[0])) == several for label in labels), labels


@pytest.mark.parametrize(
    ("language", "width"), list(product(LANGUAGES, (DESK, PHONE, 320))) if THOROUGH else [("en", PHONE)]
)
def test_no_controls_overlap(tabs: Tabs, language: Language, width: int) -> None:
    tab = tabs(language=language, width=width).figures("range=last-90")
    boxes = tab.page.evaluate(
        """[...document.querySelectorAll('header :is(a, button, select)')].filter((one) => one.checkVisibility())
          .map((one) => {
            const { left, right, top, bottom } = one.getBoundingClientRect();
            return { name: one.id || one.textContent, left, right, top, bottom };
          })"""
    )
    names = [box["name"] for box in boxes]
    assert {"language", "compare", "series-toggle"} <= set(names)
    for one in boxes:
        assert one["right"] - one["left"] >= (140 if one["name"] == "compare" else 30), one
        assert 0 <= one["left"] < one["right"] <= width, one
    for one, other in combinations(boxes, 2):
        apart = one["right"] <= other["left"] or other["right"] <= one["left"]
        assert apart or one["bottom"] <= other["top"] or other["bottom"] <= one["top"], (one, other)


@pytest.mark.thorough
def test_the_heatmap_legend_gives_the_bound_of_each_shade(tabs: Tabs) -> None:
    tab = tabs().figures("range=all")
    values = sorted(point.value for point in series(Mode.DAILY, "amount", None) if point.value > 0)
    bounds = [values[len(values) * level // LEVELS] for level in range(1, LEVELS)]
    said = [text for text in tab.at(".levels > span").all_inner_texts() if text.startswith("from ")]
    assert said == [f"from {bound / 1000:.1f}".removesuffix(".0") + "K" for bound in bounds]
