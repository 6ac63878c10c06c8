"""Every operation of the API, in the order in which people read of them."""

from __future__ import annotations

from typing import Final

from api.notifying.payloads import SignIn
from api.openapi import bodies, examples
from api.openapi.notifying_operations import NOTIFYING
from api.openapi.operation import HTML, JSON, Operation, Tag, in_path
from api.problems import ProblemKind
from api.reading.merchants import PATH as MERCHANTS_PATH
from api.reading.merchants import MerchantsParameters
from api.reading.series import PATH as SUMMARY_PATH
from api.reading.series import SummaryParameters
from core.stores.keys import Scope

OF_A_MERCHANT: Final = "merchant:{merchant_id}"
"""How the scope of one merchant's summaries is told."""


_PARAMETER_PROBLEMS: Final = (ProblemKind.BAD_PARAMETER, ProblemKind.BAD_REQUEST)
_READING_PROBLEMS: Final = (
    *_PARAMETER_PROBLEMS,
    ProblemKind.OUT_OF_SCOPE,
    ProblemKind.STALE_CURSOR,
    ProblemKind.NOT_BUILT_YET,
)

OPERATIONS: Final = (
    Operation(
        "getSummary",
        SUMMARY_PATH,
        Tag.SUMMARIES,
        "The series of one merchant, or of all together",
        "Periods ascending by key. Keys are of the calendar in force (`/api/me` tells which) and always have ASCII "
        "digits; in `from` and `to` Persian digits are understood as well. Values are exact integers, also above 2^53, "
        "which JavaScript's `JSON.parse` would round.\n\n"
        "With `limit`, the header `Link` leads to the next page. All pages belong to one publication: when another "
        "one replaces it meanwhile, the cursor is stale (409), and one starts again.",
        {JSON: bodies.Series, "text/csv": None},
        parameters=SummaryParameters,
        problems=(*_READING_PROBLEMS, ProblemKind.UNKNOWN_MERCHANT),
        scopes=(Scope.SUMMARIES, OF_A_MERCHANT),
        examples=examples.SUMMARY,
        kept=True,
        paged=True,
    ),
    Operation(
        "listMerchants",
        MERCHANTS_PATH,
        Tag.SUMMARIES,
        "Merchants with their totals, in pages",
        "The totals cover the months from `from` to `to`, or all. A key of single merchants sees only these.",
        {JSON: bodies.Merchants},
        parameters=MerchantsParameters,
        problems=_READING_PROBLEMS,
        scopes=(Scope.SUMMARIES, OF_A_MERCHANT),
        examples=examples.MERCHANTS,
        kept=True,
        paged=True,
    ),
    *NOTIFYING,
    Operation(
        "getMe",
        "/api/me",
        Tag.ACCOUNT,
        "What the key allows, and what is published",
        "What a program asks first: its scopes, the calendar and time zone of keys, the unit of amounts, and the first "
        "and last day there is.",
        {JSON: bodies.Me},
        problems=_PARAMETER_PROBLEMS,
        scopes=(),
        examples=examples.ME,
    ),
    Operation(
        "signIn",
        "/api/session",
        Tag.ACCOUNT,
        "Begin a session with a sign-in link",
        "For the dashboard: it sets a cookie (`HttpOnly`, `SameSite=Strict`) that allows everything, for twelve "
        "hours. Only a page of this server may ask for it. Programs use a key instead.",
        {JSON: bodies.SessionState},
        method="POST",
        request=SignIn,
        problems=(
            *_PARAMETER_PROBLEMS,
            ProblemKind.UNSUPPORTED_MEDIA_TYPE,
            ProblemKind.BAD_LINK,
            ProblemKind.CROSS_SITE,
        ),
        examples=examples.SIGN_IN,
    ),
    Operation(
        "signOut",
        "/api/session",
        Tag.ACCOUNT,
        "End the session",
        "The cookie is of no use from then on, in other workers of the server after `API_FRESHNESS_S`.",
        {JSON: bodies.SessionState},
        method="DELETE",
        problems=(*_PARAMETER_PROBLEMS, ProblemKind.UNSUPPORTED_MEDIA_TYPE, ProblemKind.CROSS_SITE),
        examples=examples.SIGN_OUT,
    ),
    Operation(
        "getStatus",
        "/api/status",
        Tag.ACCOUNT,
        "The published run, its rejects, failures and the run under way",
        "`empty`: nothing was published yet. `degraded`: `degraded_by` says why. `conservation` shows that each "
        "document that was read is accounted for.",
        {JSON: bodies.Status},
        problems=(*_PARAMETER_PROBLEMS, ProblemKind.OUT_OF_SCOPE),
        scopes=(Scope.OPERATE,),
        examples=examples.STATUS,
    ),
    Operation(
        "getHealth",
        "/healthz",
        Tag.OPERATION,
        "The process answers",
        "Says nothing about the store, needs no key from anywhere, and is not counted.",
        {JSON: bodies.Health},
        examples=examples.HEALTH,
        guarded=False,
    ),
    Operation(
        "getReadiness",
        "/readyz",
        Tag.OPERATION,
        "The store answers, and something is published",
        "Why not is told to keys with the scope `operate` only.",
        {JSON: bodies.Ready},
        problems=(ProblemKind.NOT_BUILT_YET,),
        examples=examples.READY,
    ),
    Operation(
        "getMetrics",
        "/metrics",
        Tag.OPERATION,
        "Metrics of all workers",
        "In the text format of Prometheus, or in OpenMetrics where `Accept` asks for it.",
        {"text/plain": None, "application/openmetrics-text": None},
        problems=(ProblemKind.OUT_OF_SCOPE,),
        scopes=(Scope.OPERATE,),
    ),
    Operation(
        "getDescription",
        "/openapi.json",
        Tag.PAGES,
        "This description",
        "OpenAPI 3.1, made from the code that serves.",
        {JSON: bodies.Description},
        kept=True,
    ),
    Operation(
        "getDocs", "/docs", Tag.PAGES, "This description as a page", "It needs nothing else.", {HTML: None}, kept=True
    ),
    Operation(
        "getProblemPage",
        "/problems/{slug}",
        Tag.PAGES,
        "What a type of problem means",
        "The address that `type` of a problem names.",
        {HTML: None},
        path_parameters=(in_path("slug", "The last part of `type`.", enum=[kind.value.slug for kind in ProblemKind]),),
        problems=(ProblemKind.NOT_FOUND,),
        kept=True,
    ),
    Operation(
        "getDashboard",
        "/",
        Tag.PAGES,
        "The dashboard",
        "It asks for a key where one is needed.",
        {HTML: None},
        kept=True,
    ),
    Operation(
        "getNotificationsPage",
        "/notifications",
        Tag.PAGES,
        "The notifications as a page",
        "What became of each, and sending again. It asks for a key where one is needed.",
        {HTML: None},
        kept=True,
    ),
    Operation(
        "getSignInPage",
        "/sign-in",
        Tag.PAGES,
        "The page of a sign-in link",
        "It exchanges the token after the `#` of its address for a session.",
        {HTML: None},
        kept=True,
    ),
    Operation(
        "getAsset",
        "/assets/{name}",
        Tag.PAGES,
        "A file of the pages",
        "Styles, scripts and pictures.",
        {"text/css": None, "text/javascript": None, "image/svg+xml": None},
        path_parameters=(in_path("name", "The name that a page uses.", examples=["docs.css"]),),
        problems=(ProblemKind.NOT_FOUND,),
        kept=True,
    ),
)
