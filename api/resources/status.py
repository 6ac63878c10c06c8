"""``GET /api/status``: what is published, how old it is, and whether its run went well."""

from __future__ import annotations

import json
from typing import Any, Final

import falcon

from api.reading.parameters import refuse_parameters
from api.reading.published import version_of
from api.reading.store_access import StoreAccess
from core.errors import ConservationBroken
from core.instants import iso_instant, iso_instant_or_none
from core.stores import Clock, Stores
from core.stores.keys import Scope
from core.stores.runs import Run, RunStatus
from core.stores.summaries import Publication

_RECENT_RUNS: Final = 100
_FAILURES: Final = (RunStatus.FAILED, RunStatus.INTERRUPTED, RunStatus.DIED)


class StatusResource:
    """The state of the summaries, for whoever operates them.

    :param access: the stores.
    :param clock: milliseconds since 1970 UTC.
    """

    def __init__(self, access: StoreAccess, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The published state and its age, rejects, conservation, the last failure and the run under way."""
        req.context.principal.require_scope(Scope.OPERATE)
        refuse_parameters(req.query_string)
        publication, publisher, runs = self._access.call(_read)
        failures = [run for run in runs if run.status in _FAILURES]
        running = [run for run in runs if run.status is RunStatus.RUNNING]
        state = "empty" if publication is None else "degraded" if publisher and publisher.degraded else "ok"
        resp.set_header("Cache-Control", "no-store")
        resp.content_type = falcon.MEDIA_JSON
        # Not orjson: the sum of all amounts may exceed 64 bits.
        resp.text = json.dumps(
            {
                "state": state,
                "published": None if publication is None else self._published(publication),
                "rejects": None if publisher is None else _rejects(publisher),
                "conservation": None if publisher is None else _conservation(publisher),
                "last_failure": _failure(failures[0]) if failures else None,
                "running": _running(running[0]) if running else None,
            },
            ensure_ascii=False,
        )

    on_head = on_get

    def _published(self, publication: Publication) -> dict[str, Any]:
        return {
            "version": version_of(publication),
            "generation": publication.generation,
            "run_id": publication.run_id,
            "published_at": iso_instant(publication.published_at_ms),
            "age_s": max(0, self._clock() - publication.published_at_ms) / 1000,
            "first_day_key": publication.first_day_key,
            "last_day_key": publication.last_day_key,
            "summaries": publication.rows,
            "total_amount": publication.total_amount,
            "total_count": publication.total_count,
            "calendar": publication.meaning.calendar,
            "time_zone": publication.meaning.time_zone,
            "filters": [{"field": field, "value": value} for field, value in publication.meaning.where],
        }


def _read(stores: Stores) -> tuple[Publication | None, Run | None, list[Run]]:
    publication = stores.summaries.published()
    publisher = stores.runs.get(publication.run_id) if publication else None
    return publication, publisher, stores.runs.recent(_RECENT_RUNS)


def _rejects(run: Run) -> dict[str, Any]:
    return {"count": run.counts.rejected, "by_reason": dict(sorted(run.rejects_by_reason.items()))}


def _conservation(run: Run) -> dict[str, Any]:
    counts = run.counts
    try:
        counts.require_conservation()
        holds = True
    except ConservationBroken:
        holds = False
    return {
        "read": counts.read,
        "counted": counts.counted,
        "rejected": counts.rejected,
        "filtered": counts.filtered,
        "out_of_range": counts.out_of_range,
        "holds": holds,
    }


def _failure(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "status": run.status,
        "ended_at": iso_instant_or_none(run.ended_at_ms),
        "error": run.error,
    }


def _running(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "phase": run.phase,
        "started_at": iso_instant(run.started_at_ms),
        "heartbeat_at": iso_instant(run.heartbeat_at_ms),
        "read": run.counts.read,
        "counted": run.counts.counted,
    }
