"""The Falcon application: what serves what, and in which order a request passes through."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import falcon

from api.access.guard import Guard
from api.access.keyring import KeyRing
from api.access.limits import BodyLimit, RateLimit
from api.errors import add_error_handlers
from api.observing.metrics import Metrics
from api.observing.request_log import RequestLog
from api.pages import PAGE_HEADERS
from api.reading.reader import Reader
from api.reading.store_access import StoreAccess
from api.resources.dashboard import DashboardResource
from api.resources.health import HealthResource, ReadyResource
from api.resources.me import MeResource
from api.resources.merchants import MerchantsResource
from api.resources.metrics import MetricsResource
from api.resources.status import StatusResource
from api.resources.summary import SummaryResource
from core.calendar import calendar_named
from core.settings import Settings
from core.stores import Clock, Stores, wall_clock_ms
from core.stores.summaries import Publication

_EXPOSED_HEADERS: Final = ("ETag", "Link", "Retry-After", "X-Request-Id")
_BYTES_IN_KB: Final = 1024
_BYTES_IN_MB: Final = 1024 * 1024


def create_app(
    settings: Settings,
    open_stores: Callable[[], Stores],
    *,
    metrics: Metrics | None = None,
    log: Callable[[bytes], object] | None = None,
    clock: Clock = wall_clock_ms,
    monotonic: Callable[[], float] = time.monotonic,
) -> falcon.App[falcon.Request, falcon.Response]:
    """The API over the stores that `open_stores` opens, which is called when the first request needs them.

    :param settings: those with names that begin with ``api_``, and what keys and amounts mean.
    :param open_stores: opens the stores; called again after they failed.
    :param log: takes the lines of the request log; standard output without it.
    :param clock: milliseconds since 1970 UTC.
    :param monotonic: seconds, never going back.
    :raises SettingsError: ``API_RATE_LIMIT_STORAGE`` is no storage.
    """
    metrics = metrics or Metrics()
    request_log = RequestLog(metrics, sink=log, clock=clock)
    access = StoreAccess(
        open_stores,
        freshness_s=settings.api_freshness_s,
        cache_bytes=settings.api_cache_mb * _BYTES_IN_MB,
        monotonic=monotonic,
    )
    keys = KeyRing(access, freshness_s=settings.api_freshness_s, monotonic=monotonic)
    rate_limit = RateLimit(settings.api_rate_limit, settings.api_rate_limit_storage)
    middleware: list[Any] = [
        request_log,
        SecurityHeaders(),
        BodyLimit(settings.api_max_body_kb * _BYTES_IN_KB),
        Guard(keys, rate_limit),
    ]
    if origins := settings.allowed_origins:
        middleware.insert(1, falcon.CORSMiddleware(allow_origins=origins, expose_headers=_EXPOSED_HEADERS))
    app: falcon.App[falcon.Request, falcon.Response] = falcon.App(middleware=middleware)
    app.resp_options.xml_error_serialization = False
    app.req_options.strip_url_path_trailing_slash = False
    add_error_handlers(app, request_log, retry_after_s=settings.api_freshness_s)

    reader = Reader(access, calendar_named(settings.calendar))
    dashboard = DashboardResource()
    app.add_route("/api/transactions/summary", SummaryResource(reader))
    app.add_route("/api/merchants", MerchantsResource(reader))
    app.add_route("/api/status", StatusResource(access, clock))
    app.add_route(
        "/api/me",
        MeResource(access, calendar=settings.calendar, time_zone=settings.time_zone, currency=settings.currency),
    )
    app.add_route("/healthz", HealthResource())
    app.add_route("/readyz", ReadyResource(access))
    app.add_route("/metrics", MetricsResource(metrics, lambda: access.call(_in_force), clock))
    app.add_route("/", dashboard)
    app.add_route("/assets/{name}", dashboard, suffix="asset")
    return app


def _in_force(stores: Stores) -> Publication | None:
    return stores.summaries.published()


class SecurityHeaders:
    """Middleware: the headers of pages on every response, so that no browser takes JSON for something else."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Set them."""
        resp.set_headers(_SECURITY_HEADERS)


_SECURITY_HEADERS: Final = list(PAGE_HEADERS.items())
