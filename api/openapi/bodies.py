"""The bodies of answers, as models: what the resources write, said once more for the OpenAPI document.

The resources write plain dictionaries, which is faster; that they write just these is tested against the server.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.json_schema import SkipJsonSchema

from api.problems import ProblemKind

Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"})]
Exact = int
"""Perhaps above 64 bits, so that it has no format."""
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Day = Annotated[str, Field(json_schema_extra={"format": "date"})]
Missing = SkipJsonSchema[None]
"""With a default: the field may be left out, but is never null."""


class Body(BaseModel):
    """Part of an answer; it has no other fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Point(Body):
    """One period of a series."""

    key: str = Field(description="The period, such as `1403/04/04`, `1403/W15` or `1403/04`.")
    value: Int64 = Field(description="The sum of amounts, or the number of transactions; exact.")
    label: str | Missing = Field(default=None, description="What people call the period; with `locale` only.")


class Series(RootModel[list[Point]]):
    """Periods, ascending by key; those without transactions are left out unless `fill=zero`."""


class Merchant(Body):
    """What one merchant comes to in the months asked for."""

    merchant_id: str = Field(description="As in the source of the transactions.")
    amount: Exact = Field(description="The sum of amounts: exact, and perhaps above 64 bits.")
    count: Exact = Field(description="The number of transactions: exact.")


class Merchants(Body):
    """One page of merchants."""

    merchants: list[Merchant] = Field(description="In the order asked for.")
    total: int = Field(ge=0, description="The merchants on all pages together.")


class Key(Body):
    """The key of the request."""

    id: str = Field(description="The part of the key that is no secret.")
    name: str = Field(description="What the operator called it.")


class PublishedDays(Body):
    """What is published: its version, and its days in the calendar in force and as Gregorian dates."""

    version: str = Field(description="Changes with each publication; ETags and cursors belong to one.")
    published_at: Instant = Field(description="When, in UTC.")
    first_day_key: str | None = Field(description="The first day with transactions, or null when there are none.")
    last_day_key: str | None = Field(description="The last such day.")
    first_day_date: Day | None = Field(description="The first day as a Gregorian date.")
    last_day_date: Day | None = Field(description="The last day as a Gregorian date.")


class Me(Body):
    """The caller, and what a program must know to ask on."""

    open: bool = Field(description="Whether the request was served without a key, because it came from this host.")
    signed_in: bool = Field(description="Whether a person asks, who signed in with a link.")
    key: Key | None = Field(description="The key of the request, or null where there is none.")
    scopes: list[Literal["notifications", "operate", "summaries"]] = Field(description="What the key allows.")
    merchants: list[str] = Field(description="The merchants whose summaries the key allows beside its scopes.")
    calendar: Literal["jalali", "gregorian"] = Field(description="The calendar of keys.")
    time_zone: str = Field(description="IANA name of the zone whose local days transactions belong to.")
    currency: str = Field(description="ISO 4217 code of the unit of amounts.")
    published: PublishedDays | None = Field(description="What is published, or null while nothing is.")


class SessionState(Body):
    """Whether the browser has a session now."""

    signed_in: bool = Field(description="Whether it has.")
    expires_at: Instant | None = Field(description="Until when, in UTC.")


class Filter(Body):
    """Only transactions whose `field` equals `value` are counted."""

    field: str = Field(description="Path of a field of the raw transactions.")
    value: str = Field(description="As text.")


class PublishedState(Body):
    """The published summaries as a whole."""

    version: str = Field(description="Changes with each publication.")
    generation: Int64 = Field(description="1, 2, 3, …")
    run_id: Int64 = Field(description="The run that published it.")
    published_at: Instant = Field(description="When, in UTC.")
    as_of: Instant = Field(description="All transactions before that are counted, as far as runs have looked; in UTC.")
    age_s: float = Field(ge=0, description="Seconds since `as_of`.")
    first_day_key: str | None = Field(description="The first day with transactions, or null when there are none.")
    last_day_key: str | None = Field(description="The last such day.")
    summaries: Int64 = Field(ge=0, description="Rows of all modes.")
    total_amount: Exact = Field(description="The sum of all amounts: exact, and perhaps above 64 bits.")
    total_count: Int64 = Field(ge=0, description="The number of transactions counted.")
    calendar: Literal["jalali", "gregorian"] = Field(description="The calendar of keys.")
    time_zone: str = Field(description="IANA name of the zone whose local days transactions belong to.")
    zone_rules: str | None = Field(
        description="SHA-256 of the changes of offset of that zone by which days were told apart; null where the store "
        "is from before that was recorded."
    )
    zone_rules_source: str | None = Field(description="Where these rules came from, such as `tzdata 2026.6`.")
    zone_rules_agree: bool | None = Field(
        description="Whether this server has the same rules. If not, a job with its rules may only replace everything."
    )
    filters: list[Filter] = Field(description="Only transactions that meet all of these are counted.")


class Rejects(Body):
    """Documents that the run which published could not read."""

    count: Int64 = Field(ge=0, description="How many.")
    by_reason: dict[str, int] = Field(description="How many for each field and reason, such as `amount: fraction`.")


class Conservation(Body):
    """What became of each document: `read` = `counted` + `rejected` + `filtered` + `out_of_range`."""

    read: Int64 = Field(description="Documents in the source.")
    counted: Int64 = Field(description="Those that the summaries count.")
    rejected: Int64 = Field(description="Those that could not be read.")
    filtered: Int64 = Field(description="Those that a filter left out.")
    out_of_range: Int64 = Field(description="Those outside the days that were asked for.")
    holds: bool = Field(description="Whether the numbers add up.")


class Failure(Body):
    """The last of the recent runs that failed."""

    run_id: Int64 = Field(description="Its number.")
    status: Literal["failed", "interrupted", "died"] = Field(description="How it ended.")
    ended_at: Instant | None = Field(description="When, in UTC.")
    error: str | None = Field(description="Why, in a sentence.")


class Running(Body):
    """The run under way."""

    run_id: Int64 = Field(description="Its number.")
    phase: str = Field(description="What it does: `reading`, `checking`, `publishing`.")
    started_at: Instant = Field(description="When it began, in UTC.")
    heartbeat_at: Instant = Field(description="When it was last known to live, in UTC.")
    read: Int64 = Field(description="Documents read so far.")
    counted: Int64 = Field(description="Documents counted so far.")


class Status(Body):
    """How the summaries stand."""

    state: Literal["ok", "degraded", "empty"] = Field(
        description="`empty`: nothing is published. `degraded`: see `degraded_by`."
    )
    degraded_by: list[Literal["rejects", "age"]] = Field(
        description="`rejects`: the last run that went well had some. `age`: the sources were last read longer ago "
        "than `API_MAX_AGE_S`."
    )
    published: PublishedState | None = Field(description="Null while nothing is.")
    rejects: Rejects | None = Field(description="Of the last run that published, or found all unchanged.")
    conservation: Conservation | None = Field(description="Of the same run.")
    warnings: list[str] = Field(
        description="Of the same run, such as days that are kept as published although documents of them are gone."
    )
    last_failure: Failure | None = Field(description="The latest of the recent runs that failed, or null.")
    running: Running | None = Field(description="The run under way, or null.")


class Health(Body):
    """The process answers."""

    status: Literal["ok"] = Field(description="Always the same.")


class Ready(Body):
    """Summaries can be served."""

    status: Literal["ready", "degraded"] = Field(
        description="`degraded`: they are older than `API_MAX_AGE_S`; they are served all the same."
    )
    version: str | Missing = Field(default=None, description="What is published; with the scope `operate` only.")


class BadParameter(Body):
    """What is wrong with one parameter."""

    parameter: str = Field(description="Its name, as in the request.")
    detail: str = Field(description="What is wrong with it.")


class Problem(Body):
    """A failure (RFC 9457). Programs tell problems apart by `type`, which never changes."""

    type: str = Field(
        description="Also the address of a page about it, relative to the server.",
        json_schema_extra={"enum": [kind.value.uri for kind in ProblemKind]},
    )
    title: str = Field(description="The type in words.")
    status: int = Field(ge=400, le=599, description="That of the answer.")
    detail: str = Field(description="What is the case this time.")
    hint: str = Field(description="What to do about it.")
    request_id: str | None = Field(description="By which the operator finds the request in the log.")
    errors: list[BadParameter] | Missing = Field(
        default=None, description="Of `bad-parameter`: everything that is wrong."
    )


class Description(RootModel[dict[str, Any]]):
    """An OpenAPI document."""
