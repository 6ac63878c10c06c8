"""Writes ``grafana-dashboard.json``, by Grafana's own builders; ``--check`` only says whether it is up to date."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from string import ascii_uppercase
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

FILE: Final = Path(__file__).with_name("grafana-dashboard.json")
_SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
_OURS: Final = "transaction_summary"
_NOTIFIER: Final = f"{_OURS}_notifier"
_RATE: Final = "[$__rate_interval]"
_COLUMNS: Final = 24

Questions = dict[str, str]
"""What is asked of Prometheus, by the legend of its series."""


def _number(title: str, meaning: str, unit: str, question: str) -> Stat:
    panel = Stat().title(title).description(meaning).unit(unit).datasource(_SOURCE).span(4).height(4)
    return panel.with_target(_query(question, ""))


def _lines(title: str, meaning: str, unit: str, questions: Questions, share: int = 3) -> TimeSeries:
    panel = TimeSeries().title(title).description(meaning).unit(unit).datasource(_SOURCE).span(_COLUMNS // share)
    panel = panel.height(8).min(0)
    for letter, (legend, question) in zip(ascii_uppercase, questions.items(), strict=False):
        panel = panel.with_target(_query(question, legend, letter))
    return panel


def _query(question: str, legend: str, letter: str = "A") -> Dataquery:
    return Dataquery().expr(question).legend_format(legend).ref_id(letter)


def _quantiles(histogram: str, by: str = "") -> Questions:
    legend, more = (f" {{{{{by}}}}}", f", {by}") if by else ("", "")
    rates = f"sum by (le{more}) (rate({histogram}_bucket{_RATE}))"
    return {f"{share} %{legend}": f"histogram_quantile({share / 100:g}, {rates})" for share in (50, 99)}


def _jobs() -> list[Stat | TimeSeries]:
    age = f"{_OURS}_published_age_seconds"
    return [
        _number("Age", "Since the sources were last read.", "s", f"max({age})"),
        _number("Generation", "Number of the current publication.", "none", f"max({_OURS}_published_generation)"),
        _number("Failures in a row", "Since the last success.", "none", f"max({_OURS}_runs_failed_in_a_row)"),
        _number("Rejected", "By the last run.", "none", f'max({_OURS}_last_run_documents{{result="rejected"}})'),
        _number("Days changed", "By the last run.", "none", f"max({_OURS}_last_run_days_changed)"),
        _number("Since last success", "Of any run.", "s", f"time() - max({_OURS}_last_success_timestamp_seconds)"),
        _lines("Age of the summaries", "Since the sources were last read.", "s", {"age": f"max({age})"}),
        _lines(
            "Last run",
            "Duration of the last run that has ended.",
            "s",
            {"duration": f"max({_OURS}_last_run_duration_seconds)"},
        ),
        _lines(
            "Documents of the last run",
            "read = counted + rejected + filtered + out of range.",
            "short",
            {"{{result}}": f"max by (result) ({_OURS}_last_run_documents)"},
        ),
    ]


def _api() -> list[Stat | TimeSeries]:
    return [
        _lines(
            "Requests",
            "Responses by status.",
            "reqps",
            {"{{status}}": f"sum by (status) (rate({_OURS}_http_requests_total{_RATE}))"},
            share=4,
        ),
        _lines("Latency", "All routes.", "s", _quantiles(f"{_OURS}_http_request_duration_seconds"), share=4),
        _lines(
            "Cache",
            "Cache lookups by result.",
            "reqps",
            {"{{result}}": f"sum by (result) (rate({_OURS}_cache_requests_total{_RATE}))"},
            share=4,
        ),
        _lines(
            "Requests in progress, store",
            "Requests in progress; whether the store responds (1) or not (0).",
            "none",
            {"requests": f"sum({_OURS}_http_requests_in_progress)", "store": f"min({_OURS}_store_up)"},
            share=4,
        ),
    ]


def _notifications() -> list[Stat | TimeSeries]:
    return [
        _lines(
            "Outcomes",
            "Delivery events by channel and kind.",
            "ops",
            {"{{channel}} {{kind}}": f"sum by (channel, kind) (rate({_NOTIFIER}_events_total{_RATE}))"},
        ),
        _lines(
            "Delivery time",
            "By channel.",
            "s",
            _quantiles(f"{_NOTIFIER}_delivery_duration_seconds", "channel"),
        ),
        _lines("One attempt", "By channel.", "s", _quantiles(f"{_NOTIFIER}_attempt_duration_seconds", "channel")),
        _lines(
            "Messages by status",
            "All stored messages except delivered ones.",
            "short",
            {"{{status}}": f'sum by (status) (max by (channel, status) ({_NOTIFIER}_messages{{status!="success"}}))'},
        ),
        _lines(
            "Waiting",
            "Age of the oldest due message; time since the last sweep.",
            "s",
            {
                "oldest due": f"max({_NOTIFIER}_oldest_due_age_seconds)",
                "last sweep": f"time() - max({_NOTIFIER}_last_look_timestamp_seconds)",
            },
        ),
        _lines(
            "Queue, and paused gateways",
            "Notifications in the queue of the broker; paused gateways, and pauses in the last five minutes.",
            "short",
            {
                "queue": f"max({_NOTIFIER}_queue_length)",
                "pauses {{channel}} {{cause}}": (
                    f"sum by (channel, cause) (increase({_NOTIFIER}_gateway_pauses_total[5m]))"
                ),
                "paused {{channel}}": f"max by (channel) ({_NOTIFIER}_paused_gateways)",
            },
        ),
    ]


def dashboard() -> str:
    """The dashboard as JSON."""
    made = (
        Dashboard("Transaction summaries")
        .uid("transaction-summary")
        .description("Summaries, jobs, API and notifier of the transaction summary service.")
        .tags(["transaction-summary"])
        .refresh("30s")
        .time("now-6h", "now")
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    rows = {"Summaries and jobs": _jobs(), "API": _api(), "Notifications": _notifications()}
    ids = count(1)
    for title, panels in rows.items():
        made = made.with_row(Row(title).id(next(ids)))
        for panel in panels:
            made = made.with_panel(panel.id(next(ids)))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with ``--check`` compare it; the exit code."""
    made = dashboard()
    if arguments != ["--check"]:
        FILE.write_text(made)
        return 0
    if FILE.exists() and FILE.read_text() == made:
        return 0
    print(f"{FILE.name} is not what {Path(__file__).name} makes: run it.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
