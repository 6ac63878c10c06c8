"""Publications, runs, API keys and sessions as flat records, the form that every backend keeps.

A record holds text, integers, None, and lists of texts or of flat records; instants are integers whose name ends in
``_ms``. A backend stores lists and instants in its own way and hands back an equal record.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from core.stores.api_keys import ApiKey, Scope
from core.stores.runs import Counts, Holder, Run, RunStatus
from core.stores.sessions import Session
from core.stores.summaries import DayRange, Fingerprint, Publication

Record = dict[str, Any]

_COUNTS = tuple(field.name for field in fields(Counts))


def publication_to_record(publication: Publication) -> Record:
    """`publication` as a record, its meaning spread over it."""
    return {
        "generation": publication.generation,
        "run_id": publication.run_id,
        "published_at_ms": publication.published_at_ms,
        **_fingerprint_to_record(publication.fingerprint),
        "rows": publication.rows,
        "first_day_key": publication.first_day_key,
        "last_day_key": publication.last_day_key,
        "total_amount": str(publication.total_amount),
        "total_count": publication.total_count,
        "complete_until_ms": publication.complete_until_ms,
        "complete_days": _days_to_record(publication.complete_days),
    }


def publication_from_record(record: Record) -> Publication:
    """The publication that `publication_to_record` made `record` from; other entries are ignored."""
    return Publication(
        generation=record["generation"],
        run_id=record["run_id"],
        published_at_ms=record["published_at_ms"],
        fingerprint=_fingerprint_from_record(record),
        rows=record["rows"],
        first_day_key=record["first_day_key"],
        last_day_key=record["last_day_key"],
        total_amount=int(record["total_amount"]),
        total_count=record["total_count"],
        complete_until_ms=record.get("complete_until_ms"),
        complete_days=_days_from_record(record),
    )


def run_to_record(run: Run) -> Record:
    """`run` as a record, its holder, meaning and counts spread over it."""
    return {
        "id": run.id,
        "command": storable(run.command),
        "status": run.status.value,
        "phase": run.phase,
        "incremental": int(run.incremental),
        "host": run.holder.host,
        "process_id": run.holder.process_id,
        "process_started_ms": run.holder.process_started_ms,
        "process_identity": run.holder.identity,
        "started_at_ms": run.started_at_ms,
        "heartbeat_at_ms": run.heartbeat_at_ms,
        "ended_at_ms": run.ended_at_ms,
        "sources": [storable(source) for source in run.sources],
        "as_of_ms": run.as_of_ms,
        **_fingerprint_to_record(run.fingerprint),
        **{name: getattr(run.counts, name) for name in _COUNTS},
        "rejects_by_reason": [{"reason": reason, "count": n} for reason, n in run.rejects_by_reason.items()],
        "warnings": [storable(warning) for warning in run.warnings],
        "generation": run.generation,
        "days_changed": run.days_changed,
        "days_kept": run.days_kept,
        "complete_days": _days_to_record(run.complete_days),
        "first_day_key": run.first_day_key,
        "last_day_key": run.last_day_key,
        "quarantine": None if run.quarantine is None else storable(run.quarantine),
        "rejects_kept": run.rejects_kept,
        "error": None if run.error is None else storable(run.error),
    }


def run_from_record(record: Record) -> Run:
    """The run that `run_to_record` made `record` from; other entries are ignored."""
    return Run(
        id=record["id"],
        command=record["command"],
        status=RunStatus(record["status"]),
        phase=record["phase"],
        incremental=bool(record.get("incremental", 0)),
        holder=Holder(
            record["host"], record["process_id"], record["process_started_ms"], record.get("process_identity")
        ),
        started_at_ms=record["started_at_ms"],
        heartbeat_at_ms=record["heartbeat_at_ms"],
        ended_at_ms=record["ended_at_ms"],
        sources=tuple(record["sources"]),
        as_of_ms=record.get("as_of_ms"),
        fingerprint=_fingerprint_from_record(record),
        counts=Counts(**{name: record[name] for name in _COUNTS}),
        rejects_by_reason={reject["reason"]: reject["count"] for reject in record["rejects_by_reason"]},
        warnings=tuple(record["warnings"]),
        generation=record["generation"],
        days_changed=record.get("days_changed"),
        days_kept=record.get("days_kept"),
        complete_days=_days_from_record(record),
        first_day_key=record["first_day_key"],
        last_day_key=record["last_day_key"],
        quarantine=record["quarantine"],
        rejects_kept=record.get("rejects_kept"),
        error=record["error"],
    )


def key_to_record(key: ApiKey) -> Record:
    """`key` as a record, its digest in hexadecimal."""
    return {
        "id": key.id,
        "name": storable(key.name),
        "digest": key.digest.hex(),
        "scopes": sorted(scope.value for scope in key.scopes),
        "merchants": sorted(storable(merchant) for merchant in key.merchants),
        "created_at_ms": key.created_at_ms,
        "revoked_at_ms": key.revoked_at_ms,
        "tenant_name": None if key.tenant_name is None else storable(key.tenant_name),
        "expires_at_ms": key.expires_at_ms,
    }


def key_from_record(record: Record) -> ApiKey:
    """The key that `key_to_record` made `record` from; other entries are ignored."""
    return ApiKey(
        id=record["id"],
        name=record["name"],
        digest=bytes.fromhex(record["digest"]),
        scopes=frozenset(map(Scope, record["scopes"])),
        merchants=frozenset(record["merchants"]),
        created_at_ms=record["created_at_ms"],
        revoked_at_ms=record["revoked_at_ms"],
        tenant_name=record.get("tenant_name"),
        expires_at_ms=record.get("expires_at_ms"),
    )


def session_to_record(session: Session) -> Record:
    """`session` as a record, its digest in hexadecimal."""
    return {**asdict(session), "digest": session.digest.hex()}


def session_from_record(record: Record) -> Session:
    """The session that `session_to_record` made `record` from; other entries are ignored."""
    return Session(
        id=record["id"],
        digest=bytes.fromhex(record["digest"]),
        created_at_ms=record["created_at_ms"],
        expires_at_ms=record["expires_at_ms"],
        ended_at_ms=record["ended_at_ms"],
    )


def _fingerprint_to_record(fingerprint: Fingerprint) -> Record:
    return {
        "time_zone": fingerprint.time_zone,
        "calendar": fingerprint.calendar,
        "merchant_field": fingerprint.merchant_field,
        "amount_field": fingerprint.amount_field,
        "time_field": fingerprint.time_field,
        "where_filters": [{"field": field, "value": value} for field, value in fingerprint.where],
        "zone_rules": fingerprint.zone_rules,
        "zone_rules_source": fingerprint.zone_rules_source,
        "currency": fingerprint.currency,
        "amount_scale": fingerprint.amount_scale,
        "amount_text": int(fingerprint.amount_text),
        "time_format": fingerprint.time_format,
        "text_zone": fingerprint.text_zone,
        "csv_decimal_comma": int(fingerprint.csv_decimal_comma),
    }


def _fingerprint_from_record(record: Record) -> Fingerprint:
    return Fingerprint(
        time_zone=record["time_zone"],
        calendar=record["calendar"],
        merchant_field=record["merchant_field"],
        amount_field=record["amount_field"],
        time_field=record["time_field"],
        where=tuple((item["field"], item["value"]) for item in record["where_filters"]),
        zone_rules=record.get("zone_rules"),
        zone_rules_source=record.get("zone_rules_source"),
        currency=record.get("currency"),
        amount_scale=record.get("amount_scale", 0),
        amount_text=bool(record.get("amount_text", 0)),
        time_format=record.get("time_format", ""),
        text_zone=record.get("text_zone", ""),
        csv_decimal_comma=bool(record.get("csv_decimal_comma", 0)),
    )


def _days_to_record(days: tuple[DayRange, ...] | None) -> list[Record] | None:
    return None if days is None else [one._asdict() for one in days]


def _days_from_record(record: Record) -> tuple[DayRange, ...] | None:
    days = record.get("complete_days")
    return None if days is None else tuple(DayRange(one["first_key"], one["last_key"]) for one in days)


def storable(text: str) -> str:
    """`text` with what UTF-8 cannot hold spelled out: a file's name may be any bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
