"""``GET /api/me``: the caller, and what a program needs to know for its requests."""

from __future__ import annotations

from collections.abc import Collection

import falcon.asgi

from api.auth.principal import LOCAL, Principal
from api.http.json_response import send_document
from api.http.query_parameters import refuse_parameters
from api.openapi.bodies import Key, Me, PublishedDays
from api.summaries.cache import Snapshot
from api.summaries.current_publication import CurrentPublication
from core.calendar import Mode
from core.calendar.solar import gregorian_date
from core.instants import iso_instant
from core.stores.summaries import DEFAULT_CURRENCY


class MeResource:
    """The caller, the calendar of keys, the currency of amounts, and the published days.

    :param current: the current snapshot.
    :param calendar: of the settings, used while nothing is published; likewise `time_zone`.
    :param currency: the unit of amounts if nothing is published, or the store does not know it; or empty.
    :param channels: the channels of the settings.
    """

    def __init__(
        self, current: CurrentPublication, *, calendar: str, time_zone: str, currency: str, channels: Collection[str]
    ) -> None:
        self._current = current
        self._calendar = calendar
        self._time_zone = time_zone
        self._currency = currency
        self._channels = sorted(channels)

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The scopes of the caller, and the published summaries."""
        refuse_parameters(req.query_string)
        caller: Principal = req.context.principal
        snapshot = await self._current.snapshot()
        fingerprint = snapshot.publication.fingerprint if snapshot else None
        send_document(
            resp,
            Me(
                open=caller is LOCAL,
                signed_in=caller.session_id is not None,
                key=None if caller.key_id is None else Key(id=caller.key_id, name=caller.name),
                tenant=caller.tenant,
                scopes=sorted(caller.scopes),
                merchants=sorted(caller.merchants),
                calendar=fingerprint.calendar if fingerprint else self._calendar,
                time_zone=fingerprint.time_zone if fingerprint else self._time_zone,
                currency=fingerprint.unit(self._currency) if fingerprint else self._currency or DEFAULT_CURRENCY,
                scale=fingerprint.amount_scale if fingerprint else 0,
                channels=self._channels,
                published=None if snapshot is None else _published_days(snapshot),
            ),
        )

    on_head = on_get


def _published_days(snapshot: Snapshot) -> PublishedDays:
    publication, calendar = snapshot.publication, snapshot.calendar
    first, last = (
        None if key is None else calendar.parse(Mode.DAILY, key)
        for key in (publication.first_day_key, publication.last_day_key)
    )
    return PublishedDays(
        version=snapshot.version,
        published_at=iso_instant(publication.published_at_ms),
        first_day_key=first and first.key,
        last_day_key=last and last.key,
        first_day_date=first and gregorian_date(first.first_day).isoformat(),
        last_day_date=last and gregorian_date(last.first_day).isoformat(),
    )
