"""``GET /api/status``: what is published, how old it is, and whether its run went well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import falcon

from api.http.json_response import send_document
from api.http.query_parameters import refuse_parameters
from api.openapi import bodies
from api.store_access import StoreAccess
from api.summaries.cache import version_of
from core.errors import ConservationBroken
from core.instants import iso_instant, iso_instant_or_none
from core.stores import Clock, Stores
from core.stores.freshness import RUNS_LOOKED_AT, Standing, zone_rules_agree
from core.stores.keys import Scope
from core.stores.runs import Run, RunStatus

_FAILURES: Final = (RunStatus.FAILED, RunStatus.INTERRUPTED, RunStatus.DIED)


class StatusResource:
    """The state of the summaries, for whoever operates them.

    :param access: the stores.
    :param clock: milliseconds since 1970 UTC.
    :param max_age_s: what is older than that is degraded; 0 for no limit.
    """

    def __init__(self, access: StoreAccess, clock: Clock, max_age_s: float) -> None:
        self._access = access
        self._max_age_s = max_age_s
        self._clock = clock

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The published state and its age, rejects, conservation, warnings, the last failure and the run under way."""
        req.context.principal.require_scope(Scope.OPERATE)
        refuse_parameters(req.query_string)
        standing, runs = self._access.call(read_ledger)
        last = None if standing is None else standing.confirmed_by
        failures = [run for run in runs if run.status in _FAILURES]
        running = [run for run in runs if run.status is RunStatus.RUNNING]
        degraded_by = [] if standing is None else self._ailments(standing)
        send_document(
            resp,
            bodies.Status(
                state="empty" if standing is None else "degraded" if degraded_by else "ok",
                degraded_by=degraded_by,
                published=None if standing is None else self._published(standing),
                rejects=None if last is None else _rejects(last),
                conservation=None if last is None else _conservation(last),
                warnings=[] if last is None else list(last.warnings),
                last_failure=_failure(failures[0]) if failures else None,
                running=_running(running[0]) if running else None,
            ),
        )

    on_head = on_get

    def _ailments(self, standing: Standing) -> list[Literal["rejects", "age"]]:
        found: dict[Literal["rejects", "age"], bool] = {
            "rejects": standing.confirmed_by is not None and standing.confirmed_by.degraded,
            "age": 0 < self._max_age_s < standing.age_s(self._clock()),
        }
        return [ailment for ailment, ails in found.items() if ails]

    def _published(self, standing: Standing) -> bodies.PublishedState:
        publication = standing.publication
        return bodies.PublishedState(
            version=version_of(publication),
            generation=publication.generation,
            run_id=publication.run_id,
            published_at=iso_instant(publication.published_at_ms),
            as_of=iso_instant(standing.as_of_ms),
            age_s=standing.age_s(self._clock()),
            first_day_key=publication.first_day_key,
            last_day_key=publication.last_day_key,
            summaries=publication.rows,
            total_amount=publication.total_amount,
            total_count=publication.total_count,
            calendar=publication.meaning.calendar,
            time_zone=publication.meaning.time_zone,
            zone_rules=publication.meaning.zone_rules,
            zone_rules_source=publication.meaning.zone_rules_source,
            zone_rules_agree=zone_rules_agree(publication.meaning),
            filters=[bodies.Filter(field=field, value=value) for field, value in publication.meaning.where],
        )


def _rejects(run: Run) -> bodies.Rejects:
    return bodies.Rejects(count=run.counts.rejected, by_reason=dict(sorted(run.rejects_by_reason.items())))


def _conservation(run: Run) -> bodies.Conservation:
    counts = run.counts
    try:
        counts.require_conservation()
        holds = True
    except ConservationBroken:
        holds = False
    return bodies.Conservation(
        read=counts.read,
        counted=counts.counted,
        rejected=counts.rejected,
        filtered=counts.filtered,
        out_of_range=counts.out_of_range,
        holds=holds,
    )


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


def read_ledger(stores: Stores) -> tuple[Standing | None, Sequence[Run]]:
    """How what is published stands, or None when nothing is; and the latest runs, newest first.

    :raises StoreUnavailable: the store does not answer.
    """
    standing = Standing.read(stores)
    return standing, stores.runs.recent(RUNS_LOOKED_AT) if standing is None else standing.recent
