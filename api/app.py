"""The Falcon application: its routes, and the order of its middleware."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final

import falcon.asgi
from cachetools.func import ttl_cache

from api.auth.api_keys import KeyRing
from api.auth.guard import Guard
from api.auth.me_resource import MeResource
from api.auth.session_resource import SessionResource
from api.auth.sessions import Sessions
from api.dashboard.resource import dashboard_resources
from api.http.request import ClientAddresses, Request
from api.http.request_body import BodyLimit
from api.middleware.error_handlers import add_error_handlers
from api.middleware.fast_path import App, FastPath
from api.middleware.rate_limit import RateLimit
from api.middleware.request_log import RequestLog
from api.notifications.contacts_resource import CONVERTER, ContactsResource, UserIdAndContacts
from api.notifications.listing import Days
from api.notifications.notifications_resource import NotificationsResource
from api.notifications.subscriptions_resource import SubscriptionsResource
from api.observability.health_resource import HealthResource, ReadyResource
from api.observability.metrics import Metrics
from api.observability.metrics_resource import MetricsResource
from api.observability.status_resource import StatusResource
from api.openapi.problem_pages import problems_resource
from api.openapi.resources import OpenApiResource, docs_resources
from api.store_access import PATIENCE_S, StoreAccess
from api.summaries.current_publication import CurrentPublication, Work, in_background
from api.summaries.merchants import MerchantsResource
from api.summaries.series import SummaryResource
from api.threads import Blocking, SingleFlight, ThreadPool
from core.calendar import calendar_named
from core.settings import Settings
from core.stores import Clock, Stores, wall_clock_ms
from core.stores.condition import Condition, FreshnessLimits

_CONDITION_WAIT_S: Final = 0.5
_LOOKUP_THREADS: Final = 2
_PAGE_THREADS: Final = 2
_BYTES_IN_KB: Final = 1024
_BYTES_IN_MB: Final = 1024 * 1024
_EXPOSED_HEADERS: Final = ("Content-Disposition", "ETag", "Link", "Location", "Retry-After", "X-Request-Id")


def create_app(
    settings: Settings,
    open_stores: Callable[[], Stores],
    *,
    metrics: Metrics | None = None,
    log: Callable[[bytes], object] | None = None,
    queue: Callable[[str], None] = lambda notification_id: None,
    clock: Clock = wall_clock_ms,
    monotonic: Callable[[], float] = time.monotonic,
    spawn: Callable[[Work], Coroutine[Any, Any, None]] = in_background,
    poll: bool = False,
    patience_s: float = PATIENCE_S,
) -> App:
    """The API over the stores that `open_stores` opens, which is called when the first request needs them.

    :param settings: those whose names begin with ``api_``, and those of the calendar, amounts and channels.
    :param open_stores: opens the stores; called again after a failure.
    :param log: receives the lines of the request log; by default standard output.
    :param queue: receives the id of a due notification, and must return at once; it only speeds up delivery.
    :param clock: milliseconds since 1970 UTC.
    :param monotonic: seconds, never going back.
    :param spawn: runs work in the background.
    :param poll: whether to read the current publication also while there are no requests.
    :param patience_s: for how long a request waits for the store that could be answered without it.
    :raises SettingsError: ``API_RATE_LIMIT_STORAGE`` is not supported.
    """
    metrics = metrics or Metrics()
    addresses = ClientAddresses(settings.trusted_proxies)
    request_log = RequestLog(metrics, addresses, sink=log, clock=clock)
    freshness_s, stale_if_error_s = settings.api_freshness_s, settings.api_stale_if_error_s
    access = StoreAccess(open_stores, pause_s=freshness_s, monotonic=monotonic, patience_s=patience_s)
    # Separate threads, so that requests that wait for a slow store do not block the lookups of every request.
    threads = ThreadPool("requests", settings.api_threads, settings.api_queue)
    # The summaries of an SQLite file are read over one connection, for which several threads would only contend.
    is_sqlite = settings.store_url.startswith("sqlite:")
    reading = ThreadPool("summaries", 1, settings.api_queue) if is_sqlite else threads
    lookups = ThreadPool("lookups", _LOOKUP_THREADS, settings.api_queue)
    pages = ThreadPool("pages", _PAGE_THREADS, settings.api_queue)  # which need no store
    current = CurrentPublication(
        access,
        lookups,
        reading,
        freshness_s=freshness_s,
        stale_if_error_s=stale_if_error_s,
        cache_bytes=settings.api_cache_mb * _BYTES_IN_MB,
        monotonic=monotonic,
        spawn=spawn,
    )
    max_body_bytes = settings.api_max_body_kb * _BYTES_IN_KB
    keys = KeyRing(access, lookups, freshness_s=freshness_s, clock=clock, monotonic=monotonic)
    sessions = Sessions(access, lookups, freshness_s=freshness_s, clock=clock, monotonic=monotonic)
    rate_limit = RateLimit(settings.api_rate_limit, settings.api_rate_limit_storage, monotonic)
    middleware: list[Any] = [
        request_log,
        BodyLimit(max_body_bytes),
        Guard(
            keys,
            sessions,
            rate_limit,
            open_loopback=settings.api_access == "open-loopback",
            stale_if_error_s=stale_if_error_s,
        ),
        _Lifespan(current, rate_limit, poll=poll and freshness_s > 0),
    ]
    if origins := settings.allowed_origins:
        middleware.insert(1, _CrossOrigin(origins))
    app = App(middleware=middleware, request_type=Request)
    app.fast_path = FastPath(keys, rate_limit, request_log)
    app.resp_options.xml_error_serialization = False
    app.req_options.strip_url_path_trailing_slash = False
    add_error_handlers(app, request_log, retry_after_s=freshness_s)

    def blocking(resource: object) -> Blocking:
        return Blocking(resource, threads, max_body_bytes)

    limits = FreshnessLimits(settings.api_max_age_s, settings.refresh_every_s)

    def condition() -> Condition:
        return access.call(lambda stores: Condition.read(stores, clock(), limits))

    calendar = calendar_named(settings.calendar)
    app.add_route("/api/transactions/summary", SummaryResource(current, calendar))
    app.add_route("/api/merchants", MerchantsResource(current, calendar))
    app.add_route("/api/status", blocking(StatusResource(condition, clock, settings.currency)))
    app.add_route(
        "/api/me",
        MeResource(
            current,
            calendar=settings.calendar,
            time_zone=settings.time_zone,
            currency=settings.currency,
            channels=settings.senders,
        ),
    )
    app.add_route("/api/session", blocking(SessionResource(sessions, addresses)))
    app.router_options.converters[CONVERTER] = UserIdAndContacts
    days = Days(calendar, settings.time_zone)
    notifications = blocking(NotificationsResource(access, settings.senders, queue, clock, days))
    app.add_route("/api/notifications", notifications)
    app.add_route("/api/notifications/counts", notifications, suffix="counts")
    app.add_route("/api/notifications/retry", notifications, suffix="retry_all")
    app.add_route("/api/notifications/{notification_id}", notifications, suffix="one")
    app.add_route("/api/notifications/{notification_id}/retry", notifications, suffix="retry_one")
    app.add_route("/api/notifications/{notification_id}/cancel", notifications, suffix="cancel")
    contacts = blocking(ContactsResource(access, frozenset(settings.senders)))
    app.add_route("/api/contacts", contacts, suffix="users")
    app.add_route(f"/api/users/{{user_id:{CONVERTER}}}", contacts)
    subscriptions = blocking(SubscriptionsResource(access, settings.senders, clock))
    app.add_route("/api/subscriptions", subscriptions)
    app.add_route("/api/subscriptions/{subscription_id}", subscriptions, suffix="one")
    app.add_route("/healthz", HealthResource())
    app.add_route("/readyz", ReadyResource(current, _degradation(condition, lookups, freshness_s, monotonic)))
    app.add_route(
        "/metrics",
        MetricsResource(
            metrics,
            lambda: lookups.run(condition),
            access,
            pages,
            clock,
            monotonic,
            timeout_s=settings.api_store_timeout_s,
        ),
    )
    app.add_route("/openapi.json", OpenApiResource(pages))
    app.add_route("/problems/{slug}", problems_resource(pages))
    for path, resource in (docs_resources(pages) | dashboard_resources(pages)).items():
        app.add_route(path, resource)
    return app


def _degradation(
    condition: Callable[[], Condition], pool: ThreadPool, freshness_s: float, monotonic: Callable[[], float]
) -> Callable[[], Awaitable[bool]]:
    """Whether the summaries are degraded, with one thread for all requests.

    While the store is slow, the last known value is returned: health checks must not wait long.
    """
    pending = SingleFlight[bool]()
    known = False

    @ttl_cache(1, freshness_s, monotonic)
    def read() -> bool:
        return condition().state == "degraded"

    async def is_degraded() -> bool:
        nonlocal known
        reading = pending.begin(None, lambda: pool.run(read))
        await asyncio.wait([reading], timeout=_CONDITION_WAIT_S)
        if reading.done():
            known = reading.result()
        return known

    return is_degraded


class _CrossOrigin(falcon.CORSMiddleware):  # type: ignore[type-arg]  # its parameters are of private types
    """Falcon's CORS, and ``Vary: Origin``, so that no cache gives the response of one origin to another."""

    def __init__(self, origins: Iterable[str]) -> None:
        super().__init__(allow_origins=origins, expose_headers=_EXPOSED_HEADERS)

    async def process_response_async(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Add the headers of CORS."""
        self.process_response(req, resp, resource, req_succeeded)
        resp.append_header("Vary", "Origin")


class _Lifespan:
    """Middleware for the start and the end of the process."""

    def __init__(self, current: CurrentPublication, rate_limit: RateLimit, *, poll: bool) -> None:
        self._current = current
        self._rate_limit = rate_limit
        self._polls = poll
        self._polling: asyncio.Task[None] | None = None

    async def process_startup(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        if self._polls:
            self._polling = asyncio.create_task(self._current.poll())

    async def process_shutdown(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        if self._polling is not None:
            self._polling.cancel()
        await self._rate_limit.close()
