"""Migration of stores of earlier versions, see ``tests/data/stores``: each folder there is a case."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from bson import json_util
from command_line import CommandLine
from effort import THOROUGH
from pymongo import MongoClient
from pymongo.database import Database

from api.auth.api_keys import digest_of, id_in
from core.calendar.periods import Mode
from core.notifications.events import LogStatus
from core.notifications.model import derived_id
from core.stores import Stores, open_stores
from core.stores.mongo.schema import SCHEMA_VERSION
from core.stores.runs import RunStatus
from core.tenants import OPERATOR

FOLDER: Final = Path(__file__).parents[2] / "data" / "stores"
VERSIONS: Final = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
SCHEMAS: Final = {"sqlite": len([*Path(__file__).parents[3].glob("sql/schema/0*.sql")]), "mongo": SCHEMA_VERSION}
FAR_MS: Final = 2**52 // 1000

Load = Callable[[], str]
"""Restores the store of a version; returns its URL."""


def _schema(version: str, backend: str) -> int:
    if backend == "mongo":
        return int(json_util.loads((FOLDER / version / "mongo" / "summary_meta.jsonl").read_text("utf-8"))["version"])
    with closing(sqlite3.connect(f"file:{FOLDER / version / 'store.sqlite'}?immutable=1", uri=True)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


CASES: Final = [(version, backend) for version in VERSIONS for backend in SCHEMAS]
MIGRATED: Final = [" ".join(case) for case in CASES if _schema(*case) < SCHEMAS[case[1]]]


@pytest.fixture(params=[" ".join(case) for case in CASES])
def case(request: pytest.FixtureRequest) -> tuple[Path, str]:
    """The folder of a version, and a backend."""
    version, _, backend = str(request.param).partition(" ")
    return FOLDER / version, backend


@pytest.fixture
def load(case: tuple[Path, str], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Load]:
    folder, backend = case
    if backend == "sqlite":
        yield lambda: f"sqlite:///{shutil.copy(folder / 'store.sqlite', tmp_path / 'store.db')}"
    else:
        url = request.getfixturevalue("mongo_database_url")
        yield lambda: _restored(folder / "mongo", url)


@pytest.fixture
def expected(case: tuple[Path, str]) -> dict[str, Any]:
    """The content as read by the version that made the store."""
    folder, backend = case
    found: dict[str, Any] = json.loads((folder / "expected.json").read_text("utf-8"))[backend]
    return _in_present_words(found)


@pytest.mark.parametrize("create", [True, False])
def test_a_migration_keeps_all_data_of_an_earlier_version(load: Load, expected: dict[str, Any], create: bool) -> None:
    url = load()
    require_equal(contents(url, create=create), expected)


def test_api_keys_of_an_earlier_version_still_work(load: Load, expected: dict[str, Any]) -> None:
    with open_stores(load(), timeout_s=10, create=False) as stores:
        for name, token in expected["tokens"].items():
            key = stores.keys.get(id_in(token) or "")
            assert key is not None
            assert (key.name, key.digest) == (name, digest_of(token))


def test_a_migrated_store_can_be_written(load: Load, expected: dict[str, Any]) -> None:
    url = load()
    latest = expected["runs"][0]
    later_ms = latest["heartbeat_at_ms"] + 86_400_000
    with open_stores(url, timeout_s=10, clock=lambda: later_ms) as stores:
        (running,) = stores.runs.recent(1)
        begun = stores.runs.begin(running)
        assert begun.id == latest["id"] + 1
        taken_over = stores.runs.get(running.id)
        assert taken_over is not None
        assert taken_over.status is RunStatus.DIED
        stores.runs.update(begun.ended(RunStatus.FAILED, later_ms, "for the test"))
        (first, *_) = expected["notifications"]
        kept = stores.notifications.get(first["notification"]["id"])
        assert kept is not None
        added = stores.notifications.add(kept.notification, later_ms)
        assert added.notification.request_digest == first["notification"]["request_digest"]
        assert added.logs == kept.logs, "a request with a known Idempotency-Key adds nothing"


@pytest.mark.parametrize("case", MIGRATED, indirect=True)
def test_a_killed_migration_resumes_when_the_store_is_opened(
    load: Load, expected: dict[str, Any], case: tuple[Path, str], tmp_path: Path
) -> None:
    """Killed after every statement or message, each time from the beginning; or at a few, one after another.

    From a version without tenants, what the key of a merchant made becomes its tenant's, all else the operator's; what
    of it has no owner is reported.
    """
    url = load()
    tenants = _set_owners(url, expected)
    jobs = CommandLine(tmp_path, STORE_URL=url)
    stride = 1 if THOROUGH else 8 if url.startswith("sqlite") else 7
    kills, reported = 0, ""
    for calls in range(1 if THOROUGH else random.randint(1, stride), 1000, stride):
        result = jobs("status", signal_after=calls)
        reported += result.err
        if result.code == 0:
            break
        assert result.code == -signal.SIGKILL, result
        kills += 1
        if THOROUGH:
            require_equal(contents(url), expected)
            load()
            _set_owners(url, expected)
    assert kills
    require_equal(contents(url), expected)
    if not tenants:
        return
    with open_stores(url, timeout_s=10, create=False) as stores:
        found = {one.notification.id: one.notification.tenant for one in stores.notifications.listed(limit=100)}
        assert {subscription.tenant for subscription in stores.subscriptions.all()} == {OPERATOR}
        assert [stores.contacts.tenants_of(user_id) for user_id in ("u1", "کاربر")] == [{OPERATOR}, {OPERATOR}]
    assert found == tenants
    assert "contacts of 2 users, 2 subscriptions and 2 notifications have no known owner" in reported


def _set_owners(url: str, expected: dict[str, Any]) -> dict[str, str]:
    """Let some notifications have come with the key of a merchant, and some with none; the tenant of each, by its id.

    `expected` says then what is in the store. A store that has tenants is not changed, and gives none.
    """
    if "tenant" in expected["notifications"][0]["notification"]:
        return {}
    of_merchant = next(key for key in expected["keys"] if key["merchants"])
    tenant = f"merchants:{derived_id(*of_merchant['merchants'])}"
    owners = {
        0: (of_merchant["id"], tenant),
        1: (None, OPERATOR),
        2: ("nosuchkey1", OPERATOR),
        3: (of_merchant["id"], tenant),
    }
    tenants = {}
    for number, kept in enumerate(expected["notifications"]):
        one = kept["notification"]
        one["sender_key_id"], tenants[one["id"]] = owners.get(number, (one["sender_key_id"], OPERATOR))
    sent = [(one["notification"]["sender_key_id"], one["notification"]["id"]) for one in expected["notifications"]]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            connection.executemany("UPDATE notifications SET sender_key_id = ? WHERE id = ?", sent)
    else:
        client: MongoClient[dict[str, Any]]
        with MongoClient(url) as client:
            for key_id, notification_id in sent:
                client.get_default_database()["notifications"].update_one(
                    {"_id": notification_id}, {"$set": {"sender_key_id": key_id}}
                )
    return tenants


def _in_present_words(expected: dict[str, Any]) -> dict[str, Any]:
    """The content as read by an earlier version, with the names of the current version."""
    for record in (expected["published"], *expected["runs"]):
        if "meaning" in record:
            record["fingerprint"] = record.pop("meaning")
    for notification in expected["notifications"]:
        for log in notification["logs"]:
            log["state"]["status"] = LogStatus(log["state"]["status"]).value
    for counted in expected["counts"]:
        counted["status"] = LogStatus(counted["status"]).value
    expected["counts"].sort(key=lambda counted: (counted["channel"], counted["status"]))
    return expected


def contents(url: str, *, create: bool = False) -> dict[str, Any]:
    """The content of the store as read by this version, in the format of ``expected.json``."""
    with open_stores(url, timeout_s=10, create=create) as stores:
        found: dict[str, Any] = json.loads(json.dumps(_contents(stores), default=_plain))
        return found


def require_equal(found: object, expected: object, where: str = "") -> None:
    """Fail unless `found` is `expected`, but for parts that `expected` lacks because they came later."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            if name != "tokens":
                assert name in found, f"{where}/{name} is missing"
                require_equal(found[name], value, f"{where}/{name}")
    elif isinstance(expected, list) and isinstance(found, list):
        assert len(found) == len(expected), f"{where}: {found} is not {expected}"
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            require_equal(one, other, f"{where}/{number}")
    else:
        assert found == expected, where


def _contents(stores: Stores) -> dict[str, Any]:
    publication = stores.summaries.published()
    assert publication is not None
    frames = {mode: stores.summaries.rows(mode) for mode in Mode}
    named = {name for frame in frames.values() for name in frame["merchant_id"] if name is not None}
    listed = stores.notifications.listed(limit=100)
    kept = [found for one in listed if (found := stores.notifications.get(one.notification.id))]
    return {
        "published": asdict(publication),
        "summaries": {mode: _rows(frame) for mode, frame in frames.items()},
        "series": {
            f"{mode} {measure} {merchant or ''}": series
            for mode in Mode
            for measure in ("amount", "count")
            for merchant in [None, *sorted(named)[:3]]
            if (series := stores.summaries.series(mode, measure, merchant))
        },
        "merchants": stores.summaries.merchants(),
        "count": stores.summaries.count(),
        "runs": [asdict(run) for run in stores.runs.recent(100)],
        "keys": [asdict(key) for key in stores.keys.all()],
        "key_uses": stores.key_uses.all(),
        "sessions": [asdict(one) for number in range(3) if (one := stores.sessions.get(f"session{number}"))],
        "names": asdict(stores.merchant_names.read()),
        "notifications": [asdict(one) | {"status": one.status} for one in kept],
        "listed": [[one.notification.id, one.status] for one in listed],
        "counts": [asdict(one) for one in stores.notifications.counts()],
        "due": stores.notifications.due(FAR_MS, 100),
        "due_count": stores.notifications.due_count(FAR_MS),
        "contacts": {user: stores.contacts.get(user) for user in ("u1", "کاربر", "u2")},
        "contacts_of_acme": stores.contacts.listed(tenant="acme", limit=9),
        "subscriptions": [asdict(one) for one in stores.subscriptions.all()],
    }


def _rows(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    instants = pl.col("period_start", "period_end").to_physical()
    columns = frame.select("key", pl.col("merchant_id").fill_null(""), "amount", "count", instants)
    return sorted(columns.rows())


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else sorted(value) if isinstance(value, frozenset) else str(value)


def _restored(folder: Path, url: str) -> str:
    """Make the database at `url` what `folder` is a dump of."""
    client: MongoClient[dict[str, Any]]
    with MongoClient(url) as client:
        database: Database[dict[str, Any]] = client.get_default_database()
        client.drop_database(database)
        for path in sorted(folder.glob("*.jsonl")):
            lines = path.read_text("utf-8").splitlines()
            if lines:
                database[path.stem].insert_many([json_util.loads(line) for line in lines])
        for name, indexes in json.loads((folder / "indexes.json").read_text("utf-8")).items():
            for index in indexes:
                database[name].create_index([tuple(key) for key in index.pop("key")], **index)
    return url
