"""``GET /api/status``: the publication, its age, and the result of its run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import falcon

from api.http.json_response import send_document
from api.http.query_parameters import refuse_parameters
from api.openapi import bodies
from api.summaries.cache import version_of
from core.instants import iso_instant, iso_instant_or_none
from core.stores import Clock
from core.stores.api_keys import Scope
from core.stores.condition import Condition, Refreshes
from core.stores.freshness import Freshness, zone_rules_agree
from core.stores.runs import Run, RunStatus


class StatusResource:
    """The state of the summaries, for operators.

    :param condition: reads the condition of the summaries.
    :param clock: milliseconds since 1970 UTC.
    :param currency: the unit of amounts if the store does not know it; or empty.
    """

    def __init__(self, condition: Callable[[], Condition], clock: Clock, currency: str) -> None:
        self._condition = condition
        self._clock = clock
        self._currency = currency

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The publication, its age, the schedule, rejects, conservation, warnings, failures, and the current run."""
        req.context.principal.require_scope(Scope.OPERATE)
        refuse_parameters(req.query_string)
        condition = self._condition()
        freshness, failures = condition.freshness, condition.failures
        last = None if freshness is None else freshness.confirmed_by
        running = [run for run in condition.runs if run.status is RunStatus.RUNNING]
        send_document(
            resp,
            bodies.Status(
                state=condition.state,
                degraded_by=list(condition.degraded_by),
                published=None if freshness is None else self._published(freshness),
                refreshes=None if condition.refreshes is None else self._refreshes(condition.refreshes),
                rejects=None if last is None else _rejects(last),
                conservation=None if last is None else _conservation(last),
                warnings=[] if last is None else list(last.warnings),
                failures_in_a_row=len(failures),
                last_failure=_failure(failures[0]) if failures else None,
                running=_running(running[0]) if running else None,
            ),
        )

    on_head = on_get

    def _refreshes(self, refreshes: Refreshes) -> bodies.Refreshes:
        return bodies.Refreshes(
            every_s=refreshes.every_s,
            due_at=iso_instant(refreshes.due_ms),
            missed=refreshes.missed(self._clock()),
        )

    def _published(self, freshness: Freshness) -> bodies.PublishedState:
        publication, fingerprint = freshness.publication, freshness.publication.fingerprint
        return bodies.PublishedState(
            version=version_of(publication),
            generation=publication.generation,
            run_id=publication.run_id,
            published_at=iso_instant(publication.published_at_ms),
            as_of=iso_instant(freshness.as_of_ms),
            age_s=freshness.age_s(self._clock()),
            first_day_key=publication.first_day_key,
            last_day_key=publication.last_day_key,
            summaries=publication.rows,
            total_amount=publication.total_amount,
            total_count=publication.total_count,
            currency=fingerprint.unit(self._currency),
            scale=fingerprint.amount_scale,
            calendar=fingerprint.calendar,
            time_zone=fingerprint.time_zone,
            zone_rules=fingerprint.zone_rules,
            zone_rules_source=fingerprint.zone_rules_source,
            zone_rules_agree=zone_rules_agree(fingerprint),
            filters=[bodies.Filter(field=field, value=value) for field, value in fingerprint.where],
        )


def _rejects(run: Run) -> bodies.Rejects:
    return bodies.Rejects(count=run.counts.rejected, by_reason=dict(sorted(run.rejects_by_reason.items())))


def _conservation(run: Run) -> bodies.Conservation:
    return bodies.Conservation(**asdict(run.counts), holds=run.counts.add_up)


def _failure(run: Run) -> bodies.Failure:
    return bodies.Failure(
        run_id=run.id,
        status=run.status,
        ended_at=iso_instant_or_none(run.ended_at_ms),
        error=run.error,
    )


def _running(run: Run) -> bodies.Running:
    return bodies.Running(
        run_id=run.id,
        phase=run.phase,
        started_at=iso_instant(run.started_at_ms),
        heartbeat_at=iso_instant(run.heartbeat_at_ms),
        read=run.counts.read,
        counted=run.counts.counted,
    )
