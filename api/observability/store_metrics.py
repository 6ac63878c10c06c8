"""Metrics of what the store says: the publication, and the jobs, which end before Prometheus could scrape them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from core.stores.condition import CAUSES, Condition
from core.stores.runs import Run, RunStatus

_PREFIX: Final = "transaction_summary"
_RESULTS: Final = ("read", "counted", "rejected", "filtered", "out_of_range")


def store_metrics(condition: Condition | None, now_ms: int) -> Iterable[Metric]:
    """Whether the store answers; the metrics of jobs and of the publication, as far as they exist.

    :param condition: that of the summaries; None if the store does not answer.
    :param now_ms: milliseconds since 1970 UTC.
    """
    yield _gauge("store_up", "1 if the store responds, else 0.", condition is not None)
    if condition is None:
        return
    yield from _runs(condition, now_ms)
    if (freshness := condition.freshness) is not None:
        publication = freshness.publication
        yield _gauge("published_generation", "Number of the current publication.", publication.generation)
        yield _instant("published_timestamp", "When the summaries were published", publication.published_at_ms)
        age_s = freshness.age_s(now_ms)
        yield _gauge("published_age_seconds", "Seconds since the sources of the summaries were last read.", age_s)


def _runs(condition: Condition, now_ms: int) -> Iterable[Metric]:
    """The condition, the latest run, the last one that has ended, and the last success, as far as they exist."""
    runs = condition.runs
    ended = [run for run in runs if run.status is not RunStatus.RUNNING]
    yield _by_label(
        "degraded",
        "1 if this cause degrades the state, else 0.",
        "by",
        {cause: cause in condition.degraded_by for cause in CAUSES},
    )
    yield _gauge("run_in_progress", "1 while a run is active, else 0.", len(ended) < len(runs))
    if runs:
        yield _instant("heartbeat_timestamp", "Latest heartbeat of the latest run", runs[0].heartbeat_at_ms)
    failed = len(condition.failures)
    yield _gauge("runs_failed_in_a_row", "Runs that failed or were interrupted since the last success.", failed)
    success = next((run for run in ended if run.succeeded), None)
    if success is not None and success.ended_at_ms is not None:
        yield _instant("last_success_timestamp", "When the last successful run ended", success.ended_at_ms)
    refreshes = condition.refreshes
    missed = "Refreshes that were due since the live collection was last read; 0 if none are expected."
    yield _gauge("refreshes_missed", missed, 0 if refreshes is None else refreshes.missed(now_ms))
    if refreshes is not None:
        yield _gauge("refresh_interval_seconds", "Seconds between refreshes.", refreshes.every_s)
        yield _instant("refresh_due_timestamp", "When the next refresh is due", refreshes.due_ms)
    if ended:
        yield from _last(ended[0])


def _last(run: Run) -> Iterable[Metric]:
    yield _gauge("last_run_number", "Number of the last run that has ended.", run.id)
    yield _by_label(
        "last_run_status",
        "1 for the status of the last run that has ended, 0 for other statuses.",
        "status",
        {str(status): status is run.status for status in RunStatus if status is not RunStatus.RUNNING},
    )
    yield _instant("last_run_started_timestamp", "When the last run started", run.started_at_ms)
    if run.ended_at_ms is not None and run.duration_s is not None:
        yield _instant("last_run_ended_timestamp", "When the last run ended", run.ended_at_ms)
        yield _gauge("last_run_duration_seconds", "Duration of the last run.", run.duration_s)
    documents = {result: getattr(run.counts, result) for result in _RESULTS}
    yield _by_label("last_run_documents", "Documents of the last run, by result.", "result", documents)
    yield _gauge("last_run_warnings", "Warnings of the last run.", len(run.warnings))
    if run.days_changed is not None:
        yield _gauge("last_run_days_changed", "Days whose summaries the last run changed.", run.days_changed)
    kept = "Days whose published totals the last run kept, although it counted fewer transactions."
    yield _gauge("last_run_days_kept", kept, run.days_kept or 0)  # a run that replaces all days keeps none


def _instant(name: str, meaning: str, at_ms: int) -> Metric:
    return _gauge(f"{name}_seconds", f"{meaning}, seconds since 1970.", at_ms / 1000)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, value=float(value))


def _by_label(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, labels=[label])
    for value, number in values.items():
        family.add_metric([value], float(number))
    return family
