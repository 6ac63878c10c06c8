"""The Prometheus queries in the files of ``observability/``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import promql_parser
import yaml
from service_life import ROOT

FOLDER: Final = ROOT / "observability"


def rules() -> list[dict[str, Any]]:
    """The alerts."""
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard that draw something."""
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def selectors() -> Iterator[promql_parser.VectorSelector]:
    """The metric selectors of alerts and panels."""
    found: list[promql_parser.VectorSelector] = []

    def note(expression: promql_parser.Expr) -> bool:
        if isinstance(expression, promql_parser.VectorSelector):
            found.append(expression)
        return True

    questions = [rule["expr"] for rule in rules()]
    questions += [target["expr"] for panel in panels() for target in panel["targets"]]
    for question in questions:
        # Grafana puts a duration there.
        promql_parser.walk(promql_parser.parse(question.replace("$__rate_interval", "5m")), note)
    yield from found


def metrics_named() -> set[str]:
    """The metrics of ours that are named; ``up`` is Prometheus' own."""
    return {str(selector.name) for selector in selectors()} - {"up"}
