"""The alerts of Prometheus: metrics, annotations, and when they fire."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import yaml
from prometheus_queries import FOLDER, rules, selectors

from core.notifications.events import EventKind
from core.settings import Settings

_UNIT_TESTS = Path(__file__).with_name("alerts.test.yml")
_SCRAPED = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]


@pytest.fixture
def promtool(missing: Callable[[str], NoReturn]) -> str:
    program = shutil.which("promtool")
    if program is None:
        missing("promtool is not installed (in Debian's prometheus): it tests when alerts fire")
    return program


def test_every_alert_has_severity_summary_and_remedy() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))


def test_alerts_refer_to_existing_scrape_jobs() -> None:
    named = {
        matcher.value for selector in selectors() for matcher in selector.matchers.matchers if matcher.name == "job"
    }
    assert named == {scraped["job_name"] for scraped in _SCRAPED}


def test_alerts_refer_to_existing_event_kinds() -> None:
    kinds = {
        matcher.value for selector in selectors() for matcher in selector.matchers.matchers if matcher.name == "kind"
    }
    assert kinds <= set(EventKind)


def test_the_default_scrape_target_is_the_default_port_of_the_service() -> None:
    targets = [target for scraped in _SCRAPED for config in scraped["static_configs"] for target in config["targets"]]
    host, port = Settings().api_bind.split(":")
    assert targets == [f"{host}:{port}", f"{host}:{int(port) + 1}"]


def test_prometheus_accepts_its_configuration_and_the_alerts(promtool: str) -> None:
    checked = subprocess.run(
        [promtool, "check", "config", str(FOLDER / "prometheus.yml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules())} rules found" in checked.stdout


def test_each_alert_fires_in_its_case_and_none_otherwise(promtool: str) -> None:
    named = set(re.findall(r"alertname(?:: |=\")(\w+)", _UNIT_TESTS.read_text()))
    assert named == {rule["alert"] for rule in rules()}
    tested = subprocess.run(
        [promtool, "test", "rules", str(_UNIT_TESTS)], capture_output=True, text=True, timeout=60, check=False
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
