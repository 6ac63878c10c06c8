"""Live collections without a server: URLs, time ranges, document counts, retries."""

from __future__ import annotations

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect, CursorNotFound, OperationFailure, ServerSelectionTimeoutError

from core.errors import SourceError, UsageError
from core.mongo_connection import is_transient
from jobs.sources.live import id_order
from jobs.sources.live.connecting import connect
from jobs.sources.live.count_check import check_count
from jobs.sources.live.cursors import projection_of
from jobs.sources.live.options import LiveOptions
from jobs.sources.live.times import TimeRange, joined, split
from jobs.sources.live.undated import undated_query
from jobs.sources.url import is_live, redacted_url

INSTANTS = st.integers(-50, 50)
RANGES = st.lists(st.builds(TimeRange, INSTANTS, st.none() | INSTANTS), max_size=5)


def holds(ranges: list[TimeRange], instant: int) -> int:
    return sum(one.start_ms <= instant and (one.end_ms is None or instant < one.end_ms) for one in ranges)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb://host/db", "mongodb://host/db"),
        ("mongodb://u:s3cret@host:27017,h2.example:1/db?tls=true", "mongodb://host:27017,h2.example:1/db"),
        ("mongodb+srv://u:s3cret@host.example/db", "mongodb+srv://host.example/db"),
        ("mongodb://u:s3cret@[::1]:27017/", "mongodb://[::1]:27017/"),
        ("mongodb://u:s3cret@%2Ftmp%2Fmongodb.sock/db", "mongodb://%2Ftmp%2Fmongodb.sock/db"),
        ("mongodb://host?authMechanismProperties=AWS_SESSION_TOKEN:s3cret", "mongodb://host"),
        ("mongodb://u:s3c@cret@host/db", "mongodb://…"),
        ("mongodb://u:s3c/cret@host/db", "mongodb://…"),
        ("mongodb://u:s3c?cret@host/db", "mongodb://…"),
        ("mongodb://u:s3c#cret@host/db", "mongodb://…"),
        ("mongodb://u:s3cret", "mongodb://…"),
        ("mongodb:/u:s3cret@host/db", "mongodb://…"),
        ("MongoDB://u:s3cret@host/db", "MongoDB://…"),
        ("mongodb+srv:u:s3cret@host", "mongodb+srv://…"),
        ("dump/mongodb.bson", "dump/mongodb.bson"),
        ("-", "-"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redacted_url(url) == shown
    assert is_live(url) == (shown not in ("-", "dump/mongodb.bson"))


@given(st.text("us3:@/?#%[],.&=+ é", max_size=12))
@tries(600)
def test_no_password_is_shown_whatever_its_characters(password: str) -> None:
    assert "s3cret" not in redacted_url(f"mongodb://u:s3cret{password}@host/db")
    assert "s3cret" not in redacted_url(f"mongodb://u:{password}s3cret@host/db")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mongodb://u:s3c@ret@host/db", "mongodb://… is not a valid MongoDB URL"),
        ("mongodb://u:s3cret@host/db?tlsx=1", "mongodb://host/db is not a valid MongoDB URL"),
        ("mongodb://u:s3cret@host/db?socketTimeoutMS=soon", "mongodb://host/db is not a valid MongoDB URL"),
        ("mongodb:/u:s3cret@host/db", "mongodb://… is not a valid MongoDB URL"),
        ("mongodb://u:s3cret@host/?authSource=admin", "mongodb://host/ is not a valid MongoDB URL with a database"),
        ("mongodb://u:s3cret@host", "mongodb://host is not a valid MongoDB URL with a database"),
    ],
)
def test_an_unusable_url_is_reported_without_its_password(url: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        connect(url, LiveOptions())
    assert caught.value.sentence.startswith(sentence)
    assert caught.value.hint
    assert "s3c" not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


def test_options_of_the_url_override_the_defaults() -> None:
    url = "mongodb://127.0.0.1:1/db?readPreference=secondary&socketTimeoutMS=7000&readConcernLevel=local"
    client, database = connect(url, LiveOptions(timeout_s=3, answer_timeout_s=9))
    with client:
        assert database == "db"
        assert client.options.pool_options.socket_timeout == 7
        assert client.options.pool_options.connect_timeout == 3
        assert client.read_preference.name == "Secondary"
        assert client.read_concern.level == "local"
    client, _ = connect("mongodb://127.0.0.1:1/db", LiveOptions())
    with client:
        assert client.read_concern.level == "majority"


@given(RANGES)
@tries(300)
def test_joined_ranges_hold_the_same_instants_once(ranges: list[TimeRange]) -> None:
    found = joined(ranges)
    for instant in range(-60, 60):
        assert holds(found, instant) == bool(holds(ranges, instant))


@given(RANGES, st.integers(1, 7), st.none() | INSTANTS)
@tries(300)
def test_split_ranges_hold_the_same_instants(ranges: list[TimeRange], parts: int, latest: int | None) -> None:
    whole = joined(ranges)
    found = split(whole, parts, latest)
    for instant in range(-60, 60):
        assert holds(found, instant) == holds(whole, instant)


def test_a_long_range_is_split_evenly() -> None:
    assert split([TimeRange(0, None)], 3, 31) == [TimeRange(0, 10), TimeRange(10, 20), TimeRange(20, None)]
    assert split([TimeRange(0, None)], 3, None) == [TimeRange(0, None)]


@pytest.mark.parametrize(
    ("read", "before", "after", "counted", "recent"),
    [(9, 9, 9, None, None), (9, 9, 12, 12, 3), (12, 9, 12, 12, None), (9, 12, 9, 9, None), (9, 11, 11, 9, None),
     (10, 9, 12, 12, 5), (15, 9, 12, 12, None), (10, 9, 9, 12, 2)],
)  # fmt: skip
def test_plausible_document_counts_give_no_warning(
    read: int, before: int, after: int, counted: int | None, recent: int | None
) -> None:
    def count(which: int | None) -> int:
        assert which is not None, "it must not be counted one by one without need"
        return which

    assert check_count("db.t", read, before, after, lambda: count(counted), lambda: count(recent)) is None


@pytest.mark.parametrize(("before", "after"), [(9, 9), (9, 8), (7, 7), (7, 5), (0, 0), (99, 99)])
def test_a_collection_without_writes_must_be_read_completely(before: int, after: int) -> None:
    found = rf"8 documents of db\.t were read; the server estimated {before} before and {after} after, and counted 9"
    with pytest.raises(SourceError, match=found):
        check_count("db.t", 8, before, after, lambda: 9, lambda: 0)


def test_an_unexpected_document_count_during_writes_gives_a_warning() -> None:
    assert "not read" in (check_count("db.t", 7, 9, 8, lambda: 9, lambda: 1) or "")
    assert "not read" in (check_count("db.t", 9, 9, 12, lambda: 12, lambda: 2) or "")
    assert "not read" in (check_count("db.t", 9, 9, 12, lambda: 12, lambda: 0) or "")
    assert "no longer exist" in (check_count("db.t", 11, 9, 9, lambda: 9, lambda: 0) or "")


def test_one_deletion_per_insert_gives_a_warning_and_no_failure() -> None:
    assert "inserted during the run" in (check_count("db.t", 8, 9, 9, lambda: 9, lambda: 1) or "")


def test_every_bson_type_is_searched_by_date_array_or_type() -> None:
    """The query for servers that know every type by name, which FerretDB does not."""
    types = {name for names, _ in id_order.TYPES_IN_ORDER for name in names}
    found = undated_query("at", (0, 1), [TimeRange(5, 9)], names_all_types=True)
    missing, other_types, *_ = found["$or"]
    assert missing == {"at": None}
    assert {*other_types["at"]["$type"], "date"} == types
    assert found["$nor"] == [{"at": TimeRange(5, 9).condition()}]


def test_the_projection_has_no_nested_duplicates() -> None:
    assert projection_of(["a.b", "a", "ab", "_id.x", "c.d.e", "c.d"]) == {"_id": 1, "a": 1, "ab": 1, "c.d": 1}


def test_only_temporary_failures_are_retried() -> None:
    for error in (
        AutoReconnect("x"),
        ServerSelectionTimeoutError("x"),
        CursorNotFound("x", 43),
        OperationFailure("x", 11600),
    ):
        assert is_transient(error)
    for code in (13, 18, 2, None):
        assert not is_transient(OperationFailure("x", code))
