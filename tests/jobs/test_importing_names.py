"""Import of merchant names from every kind of source, with errors per row."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from live_collections import fill

from core.calendar.periods import Locale
from core.errors import SourceDamaged, SourceError, StoreBusy, TooManyRejects
from core.merchant_names import MerchantNames, checked_name
from core.stores import Stores, open_stores
from jobs.merchant_names import NameChange, NameFields, NameRows, change_names, read_names
from jobs.sources.live.options import LiveOptions
from jobs.sources.remote.options import RemoteOptions

OBJECT_ID = "65a0f0a0a0a0a0a0a0a0a0a0"
NAMES: dict[str, dict[Locale, str]] = {
    OBJECT_ID: {"fa": "چای‌خانهٔ یاس", "en": "Yas, the Tea House"},
    "42": {"en": "Corner Shop"},
    "کافه": {"fa": "کافهٔ ۲۴"},
}
ROWS: list[dict[str, Any]] = [
    {"id": bson.ObjectId(OBJECT_ID), "name": " چای‌خانهٔ یاس ", "language": "fa", "other": 1},
    {"id": bson.ObjectId(OBJECT_ID), "name": "Yas, the Tea House", "language": "EN"},
    {"id": bson.Int64(42), "name": "Corner Shop", "language": "en"},
    {"id": "کافه", "name": "کافهٔ ۲۴", "language": "fa"},
]
CSV = (
    "language,id,name\r\n"
    f"fa,ObjectId({OBJECT_ID}), چای‌خانهٔ یاس \r\n"
    f'en,{OBJECT_ID},"Yas, the Tea House"\r\n'
    "\r\n"
    "en,42,Corner Shop\r\n"
    "fa,کافه,کافهٔ ۲۴\r\n"
)


def read(argument: str | Path, fields: NameFields | None = None, **options: str) -> NameRows:
    delimiter = options.get("delimiter")
    collection = options.get("collection")
    return read_names(str(argument), collection, fields or NameFields(), LiveOptions(), RemoteOptions(), delimiter)


def extended(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "id": {"$oid": str(row["id"])}} if isinstance(row["id"], bson.ObjectId) else dict(row)


def json_lines() -> bytes:
    return "".join(json.dumps(extended(row), ensure_ascii=False) + "\n\n" for row in ROWS).encode()


def parquet() -> bytes:
    ids = [str(row["id"]) for row in ROWS]
    table = pa.table({"id": ids, "name": [row["name"] for row in ROWS], "language": [row["language"] for row in ROWS]})
    pq.write_table(table, out := io.BytesIO())
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        CSV.encode(),
        b"\xef\xbb\xbf" + CSV.encode(),
        gzip.compress(CSV.encode()),
        json_lines(),
        json.dumps([extended(row) for row in ROWS], indent=2).encode(),
        b"".join(map(bson.encode, ROWS)),
        parquet(),
    ],
    ids=["csv", "csv with a mark", "csv, gzip", "json lines", "json array", "bson", "parquet"],
)
def test_every_file_format_gives_the_same_names(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "names").write_bytes(content)
    found = read(tmp_path / "names")
    found.require_right()
    assert (found.rows, found.names) == (4, NAMES)


def test_names_are_read_from_a_collection_with_given_fields(mongo_database_url: str) -> None:
    documents = [{"_id": row["id"], "title": {"text": row["name"], "of": row["language"]}} for row in ROWS[1:]]
    fill(mongo_database_url, documents, "shops")
    fill(mongo_database_url, [{"_id": 7, "title": {"text": "", "of": "en"}}, {"_id": True}], "merchants")
    fields = NameFields("_id", "title.text", "title.of")
    found = read(mongo_database_url, fields, collection="shops")
    found.require_right()
    assert found.names == {**NAMES, OBJECT_ID: {"en": "Yas, the Tea House"}}
    assert "@" not in found.source
    wrong = dict(read(mongo_database_url, fields).wrong)
    assert wrong == {
        "the document with _id 7": "the name is empty",
        "the document with _id True": "_id must be text, but has the type bool",
    }


def test_columns_and_language_are_options_and_the_delimiter_is_detected(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("shop;title;language\n1;یک;x\n2;دو;y\n", "utf-8")
    fields = NameFields("shop", "title", one_language="fa")
    assert read(tmp_path / "names.csv", fields).names == {"1": {"fa": "یک"}, "2": {"fa": "دو"}}
    (tmp_path / "other.csv").write_text("shop^title\n1^a,b\n", "utf-8")
    fields = NameFields("shop", "title", one_language="en")
    assert read(tmp_path / "other.csv", fields, delimiter="^").names == {"1": {"en": "a,b"}}


def test_a_missing_column_is_reported_with_the_existing_ones(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("id,title,language\n1,a,en\n", "utf-8")
    with pytest.raises(SourceError, match="must have each of these columns once: name; it has id, title, language"):
        read(tmp_path / "names.csv")


def test_each_invalid_csv_row_is_reported_with_line_and_reason(tmp_path: Path) -> None:
    lines = [
        b"id,name,language",
        b"1,One,en",
        b",x,fa",
        b"2,,fa",
        b"2,a,de",
        b"1,again,en",
        b'3,"two\nlines",en',
        b"4,x",
        b'"5"x,z,fa',
        b"6,\xff,en",
        "7,\u202eright,en".encode(),
        b"8,\xe2\x80\x8c,fa",
        f"9,{'a' * 201},en".encode(),
        b"10,Ten,en",
    ]
    (tmp_path / "names.csv").write_bytes(b"\n".join(lines) + b"\n")
    found = read(tmp_path / "names.csv")
    assert found.names == {"1": {"en": "One"}, "10": {"en": "Ten"}}
    assert found.rows == 13
    assert dict(found.wrong) == {
        "line 3": "id is missing",
        "line 4": "name is missing",
        "line 5": "language is de, but must be fa or en",
        "line 6": "the merchant 1 already has a name in en, at line 2",
        "line 7": "the name has the character U+000A, which cannot be seen",
        "line 9": "the row has 2 fields, and the header 3",
        "line 10": "this is not valid CSV (',' expected after '\"')",
        "line 11": "name is not UTF-8",
        "line 12": "the name has the character U+202E, which cannot be seen",
        "line 13": "the name is empty",
        "line 14": "the name has 201 characters, and at most 200 are allowed",
    }
    with pytest.raises(TooManyRejects, match=r"11 of 13 rows of .* are invalid, the first at line 3: id is missing"):
        found.require_right()


def test_each_invalid_json_line_is_reported(tmp_path: Path) -> None:
    lines = [
        '{"id": 1, "name": "One", "language": "en"}',
        '{"id": 1.5, "name": "x", "language": "en"}',
        '{"id": true, "name": "x", "language": "en"}',
        '{"id": 9223372036854775808, "name": "x", "language": "en"}',
        '{"id": "", "name": "x", "language": "en"}',
        '{"id": 2, "name": 2, "language": "en"}',
        '{"id": 2, "name": "Two"}',
        '{"id": 2, "name": "Two", ',
        "[]",
        '{"id": "1", "name": "Another", "language": "en"}',
        '{"id": -3, "name": "Minus", "language": "fa"}',
    ]
    (tmp_path / "names.jsonl").write_text("\n".join(lines), "utf-8")
    found = read(tmp_path / "names.jsonl")
    assert found.names == {"1": {"en": "One"}, "-3": {"fa": "Minus"}}
    assert dict(found.wrong) == {
        "line 2": "id must be text, but has the type float",
        "line 3": "id must be text, but has the type bool",
        "line 4": "id is an integer beyond 64 bits, which cannot be the id of a merchant",
        "line 5": "id is empty",
        "line 6": "name must be text, but has the type int",
        "line 7": "language is missing",
        "line 8": "this is not a JSON object",
        "line 9": "this is not a JSON object",
        "line 10": "the merchant 1 already has a name in en, at line 1",
    }


def test_an_empty_or_truncated_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("id,name,language\n", "utf-8")
    with pytest.raises(SourceError, match="has no rows"):
        read(tmp_path / "none.csv").require_right()
    (tmp_path / "half.bson").write_bytes(bson.encode(ROWS[0])[:-3])
    with pytest.raises(SourceDamaged):
        read(tmp_path / "half.bson")


@pytest.mark.parametrize("name", ["می\u200cخواهم", "\u200fعنوان\u200f", "Café №1 – (a/b)", "🍵"])
def test_names_may_contain_joiners_and_any_visible_character(name: str) -> None:
    assert checked_name(f"\t{name}\n ") == name


def test_an_import_adds_changes_and_removes_only_the_given_names() -> None:
    before: dict[str, dict[Locale, str]] = {"1": {"fa": "یک", "en": "One"}, "2": {"fa": "دو"}, "3": {"en": "Three"}}
    new: dict[str, dict[Locale, str]] = {"1": {"fa": "نو"}, "4": {"en": "Four"}}
    none = frozenset[str]()
    assert NameChange(none, None, new).of(before) == {**before, "1": {"fa": "نو", "en": "One"}, "4": {"en": "Four"}}
    assert NameChange(None, None, new).of(before) == new
    assert NameChange(None, "fa", new).of(before) == {**new, "1": {"en": "One", "fa": "نو"}, "3": {"en": "Three"}}
    assert NameChange(frozenset({"1", "9"}), "en").of(before) == {**before, "1": {"fa": "یک"}}
    assert NameChange(frozenset({"2"})).of(before) == {"1": before["1"], "3": before["3"]}


class TestChanging:
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[Stores]:
        with open_stores(f"sqlite:///{tmp_path / 'summaries.db'}", timeout_s=10) as opened:
            yield opened

    def test_an_import_without_changes_writes_nothing(self, stores: Stores) -> None:
        change = NameChange(frozenset(), None, NAMES)
        first, _ = change_names(stores.merchant_names, change, lambda: 5, dry_run=False)
        version = stores.merchant_names.version()
        again, names = change_names(stores.merchant_names, change, lambda: 6, dry_run=False)
        assert first == (4, 0, 0, 0)
        assert again == (0, 0, 4, 0)
        assert names == NAMES
        assert stores.merchant_names.version() == version

    def test_a_dry_run_writes_nothing(self, stores: Stores) -> None:
        changes, _ = change_names(stores.merchant_names, NameChange(frozenset(), None, NAMES), lambda: 5, dry_run=True)
        assert changes == (4, 0, 0, 0)
        assert stores.merchant_names.read() == MerchantNames("", {})

    def test_an_import_retries_after_concurrent_changes_and_finally_fails(self, stores: Stores) -> None:
        """The clock is read between reading and replacing, when the test makes another import."""
        others: list[dict[str, dict[Locale, str]]] = [{"7": {"fa": "هفت"}}]

        def write_meanwhile() -> int:
            if others:
                current = stores.merchant_names.read()
                names = {**current.by_merchant, **others.pop()}
                stores.merchant_names.replace(names, after=current.version, now_ms=6)
            return 5

        change_names(stores.merchant_names, NameChange(frozenset(), None, NAMES), write_meanwhile, dry_run=False)
        assert stores.merchant_names.read().by_merchant == {**NAMES, "7": {"fa": "هفت"}}
        others += [{str(number): {"fa": "x"}} for number in range(20)]
        with pytest.raises(StoreBusy):
            change_names(stores.merchant_names, NameChange(None), write_meanwhile, dry_run=False)
