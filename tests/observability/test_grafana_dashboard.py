"""The Grafana dashboard is valid, and its panels are readable."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_queries import FOLDER, panels

_FILE = FOLDER / "grafana-dashboard.json"
_COLUMNS = 24


def test_the_dashboard_is_valid_with_a_selectable_data_source() -> None:
    dashboard = Dashboard.from_json(json.loads(_FILE.read_text()))
    assert dashboard.templating is not None
    assert [str(variable.type_val) for variable in dashboard.templating.list_val or []] == ["datasource"]
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}


def test_every_panel_has_title_description_unit_and_position() -> None:
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= _COLUMNS
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    assert not [(one["title"], other["title"]) for one, other in combinations(panels(), 2) if _overlap(one, other)]


def test_queries_of_a_panel_have_unique_letters() -> None:
    for panel in panels():
        letters = [target["refId"] for target in panel["targets"]]
        assert len(letters) == len(set(letters))


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    first, second = one["gridPos"], other["gridPos"]
    apart = (
        first["x"] + first["w"] <= second["x"]
        or second["x"] + second["w"] <= first["x"]
        or first["y"] + first["h"] <= second["y"]
        or second["y"] + second["h"] <= first["y"]
    )
    return not apart
