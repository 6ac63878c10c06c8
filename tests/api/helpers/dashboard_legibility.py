"""Accessibility checks of a page: axe-core, accessible names, text contrast."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from axe_playwright_python.sync_playwright import Axe
from dashboard_tabs import Tab

LEAST_CONTRAST: Final = 4.5
"""Of text, WCAG 2.2 level AA."""

_NAMELESS = re.compile(
    r"^\s*- (button|textbox|combobox|radio|slider|link|listbox|option|dialog|region|form|img)\b(?! \")"
)
_TOO_PALE = """(least) => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const color = parts(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const hasText = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  return [...document.querySelectorAll('body *')]
    .filter((one) => hasText(one) && one.checkVisibility() && !one.closest('svg, .unseen, .skip, :disabled'))
    .map((one) => {
      const [text, behind] = [light(parts(getComputedStyle(one).color)), light(ground(one))];
      const contrast = (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
      return [contrast, `${one.className} ${one.textContent.slice(0, 30)}`];
    })
    .filter(([contrast]) => contrast < least);
}"""


def found_by_axe(tab: Tab, *, left_out: str | None = None, rules_left_out: Iterable[str] = ()) -> list[str]:
    """The violations that axe-core finds in the page, with their elements.

    :param left_out: selector of elements that are not checked.
    """
    options = {"reporter": "no-passes", "rules": {rule: {"enabled": False} for rule in rules_left_out}}
    context = None if left_out is None else {"exclude": [left_out]}
    violations = Axe().run(tab.page, context, options).response["violations"]
    return [f"{one['id']}: {[node['html'][:200] for node in one['nodes']]}" for one in violations]


def without_accessible_name(tab: Tab) -> list[str]:
    """The controls and drawings without an accessible name."""
    snapshot = tab.at("body").aria_snapshot()
    return [line for line in snapshot.splitlines() if _NAMELESS.match(line) and not line.endswith(":")]


def low_contrast(tab: Tab) -> list[tuple[float, str]]:
    """The texts with too little contrast to their background, with that contrast."""
    found: list[tuple[float, str]] = tab.page.evaluate(_TOO_PALE, LEAST_CONTRAST)
    return found
