"""Imports names of merchants: validates the rows of a source and writes them to the store."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from bson import ObjectId

from core.calendar.periods import Locale
from core.errors import SourceError, StoreBusy, TooManyRejects
from core.instants import Clock
from core.merchant_names import LANGUAGES, MerchantNames, checked_name
from core.stores.merchant_names import MerchantNameStore
from jobs.inspection.fields import value_at
from jobs.inspection.first_documents import Cell, Document, csv_document, csv_rows, documents_in, json_document
from jobs.inspection.values import MISSING, OBJECT_ID
from jobs.sources.file_partition import FileFormat
from jobs.sources.live.options import LiveOptions
from jobs.sources.recognise import open_recognised
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.streams import ByteStream
from jobs.sources.url import is_live

Names = Mapping[str, Mapping[Locale, str]]
"""Names by language, by the id of the merchant."""

DEFAULT_COLLECTION: Final = "merchants"
_ATTEMPTS: Final = 5
_LONGEST_SHOWN: Final = 60
_INT64: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class NameFields:
    """The field paths of a row.

    :param merchant: path of the merchant's id; likewise `name` and `language`.
    :param one_language: the language of all names, instead of a field; or None.
    """

    merchant: str = "id"
    name: str = "name"
    language: str = "language"
    one_language: Locale | None = None

    def paths(self) -> tuple[str, ...]:
        return (self.merchant, self.name, *((self.language,) if self.one_language is None else ()))


class RejectedRow(NamedTuple):
    """An invalid row: its place in the source, such as ``line 7``, and the reason."""

    place: str
    reason: str


@dataclass(slots=True)
class NameRows:
    """The rows of a source.

    :param source: its name in messages, without a password.
    :param rows: number of rows.
    """

    source: str
    rows: int = 0
    names: dict[str, dict[Locale, str]] = field(default_factory=dict)
    wrong: list[RejectedRow] = field(default_factory=list)

    def require_right(self) -> None:
        """Raise unless every row is valid.

        :raises TooManyRejects: some are invalid.
        :raises SourceError: there are no rows.
        """
        if self.wrong:
            first = self.wrong[0]
            raise TooManyRejects(
                f"{len(self.wrong):,} of {self.rows:,} rows of {self.source} are invalid, the first at {first.place}: "
                f"{first.reason}; nothing was imported",
                "Correct the source, and import it again.",
            )
        if not self.rows:
            raise SourceError(f"{self.source} has no rows", "Names are removed with: python -m jobs merchants remove.")


class Changes(NamedTuple):
    """The numbers of names that an import adds, changes, does not change, and removes."""

    added: int
    changed: int
    unchanged: int
    removed: int

    @classmethod
    def between(cls, before: Names, after: Names) -> Changes:
        """The changes from the names `before` to those `after`."""
        old, new = (
            {(one, language): name for one, texts in names.items() for language, name in texts.items()}
            for names in (before, after)
        )
        kept = old.keys() & new.keys()
        changed = sum(old[one] != new[one] for one in kept)
        return cls(len(new) - len(kept), changed, len(kept) - changed, len(old) - len(kept))


def read_names(
    argument: str, collection: str | None, fields: NameFields, live: LiveOptions, remote: RemoteOptions,
    delimiter: str | None,
) -> NameRows:  # fmt: skip
    """Read the names of a source in any format of `rebuild`, with a row or document for each name.

    :param collection: of a dump or server; None: `DEFAULT_COLLECTION`.
    :param delimiter: the field delimiter of CSV, if known.
    :raises UsageError: the URL of a server is invalid.
    :raises SourceError: it cannot be read, or lacks the collection or a column.
    :raises SourceDamaged: it is damaged, so that its rows cannot be separated.
    """
    collection = collection or DEFAULT_COLLECTION
    if is_live(argument):
        from jobs.sources.live.collection import open_collection

        with open_collection(argument, collection, live) as opened:
            documents = opened.documents(fields.paths())
            places = (f"the document with _id {_shown(one.get('_id'))}" for one in documents)
            return _checked(opened.name, zip(places, documents, strict=True), fields, is_flat=False)
    stored, stream, file_format = open_recognised(argument, collection, remote, delimiter)
    with closing(stream):
        rows: Iterable[tuple[str, Document | str]]
        if file_format is FileFormat.CSV:
            rows = _csv_lines(stream, delimiter, fields)
        elif file_format is FileFormat.JSON_LINES:
            rows = _json_lines(stream)
        else:
            documents_of = documents_in(stored, stream, file_format, collection, delimiter)
            rows = ((f"document {number:,}", one) for number, one in enumerate(documents_of, start=1))
        return _checked(stream.name, rows, fields, is_flat=file_format is FileFormat.CSV)


def _csv_lines(stream: ByteStream, delimiter: str | None, fields: NameFields) -> Iterator[tuple[str, Document | str]]:
    with csv_rows(stream, delimiter) as rows:
        try:
            header = next(rows, [])
        except csv.Error as error:
            raise SourceError(f"{stream.name} is not valid CSV: its header has an error ({error})") from None
        if missing := [path for path in fields.paths() if header.count(path) != 1]:
            raise SourceError(
                f"{stream.name} must have each of these columns once: {', '.join(missing)}; it has {', '.join(header)}",
                "Name the columns with --id-field, --name-field and --language-field, or the language of all names "
                "with --language.",
            )
        while True:
            line = f"line {rows.line_num + 1:,}"
            try:
                row = next(rows, None)
            except csv.Error as error:
                yield line, f"this is not valid CSV ({error})"
                continue
            if row is None:
                return
            if len(row) == len(header):
                yield line, csv_document(header, row)
            elif row:  # else an empty line
                yield line, f"the row has {len(row)} fields, and the header {len(header)}"


def _json_lines(stream: ByteStream) -> Iterator[tuple[str, Document | str]]:
    for number, raw in enumerate(io.BufferedReader(stream), start=1):
        text = raw.decode("utf-8", "surrogateescape")
        if not text.strip():
            continue
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        found = json_document(text, document) if isinstance(document, dict) else "this is not a JSON object"
        yield f"line {number:,}", found


def _checked(source: str, rows: Iterable[tuple[str, Document | str]], fields: NameFields, is_flat: bool) -> NameRows:
    """The names of `rows`, pairs of a place and a document; or a `RejectedRow` for an invalid one."""
    found = NameRows(source)
    first_places: dict[tuple[str, Locale], str] = {}
    for place, row in rows:
        found.rows += 1
        try:
            if isinstance(row, str):
                raise ValueError(row)
            merchant_id = _merchant_id(value_at(row, fields.merchant, is_flat), fields.merchant)
            language = fields.one_language or _language(value_at(row, fields.language, is_flat), fields.language)
            name = checked_name(_text(value_at(row, fields.name, is_flat), fields.name))
            if earlier := first_places.get((merchant_id, language)):
                raise ValueError(f"the merchant {_shown(merchant_id)} already has a name in {language}, at {earlier}")
        except ValueError as error:
            found.wrong.append(RejectedRow(place, str(error)))
            continue
        first_places[merchant_id, language] = place
        found.names.setdefault(merchant_id, {})[language] = name
    return found


def _merchant_id(value: Any, path: str) -> str:
    """The id as in summaries: the 24 hexadecimal digits of an ObjectId, the text, or the digits of an integer."""
    if isinstance(value, ObjectId):
        return str(value)
    if type(value) is not bool and isinstance(value, int):
        number = int(value)  # `range` would compare a subclass, such as Int64, with every number
        if number not in _INT64:
            raise ValueError(f"{path} is an integer beyond 64 bits, which cannot be the id of a merchant")
        return str(number)
    text = _text(value, path)
    if not text:
        raise ValueError(f"{path} is empty")
    shape = OBJECT_ID.fullmatch(text) if isinstance(value, Cell) else None
    return text if shape is None else shape[1].lower()


def _language(value: Any, path: str) -> Locale:
    text = _text(value, path)
    known = text.strip().lower()
    if known not in LANGUAGES:
        raise ValueError(f"{path} is {_shown(text)}, but must be {' or '.join(LANGUAGES)}")
    return known


def _text(value: Any, path: str) -> str:
    if value is MISSING or value is None:
        raise ValueError(f"{path} is missing")
    if not isinstance(value, str):
        raise ValueError(f"{path} must be text, but has the type {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    return str(value)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


@dataclass(frozen=True, slots=True)
class NameChange:
    """How names are changed; all parts in this order.

    :param remove: the merchants whose names are removed; None: all merchants.
    :param language: only names of this language are removed; None: of all.
    :param add: names that are added, or replace others.
    """

    remove: frozenset[str] | None
    language: Locale | None = None
    add: Names = field(default_factory=dict)

    def of(self, before: Names) -> Names:
        """The names `before` after this change."""
        removed = before.keys() if self.remove is None else self.remove
        names = {
            one: {of: name for of, name in texts.items() if one not in removed or self.language not in (None, of)}
            for one, texts in before.items()
        }
        for one, texts in self.add.items():
            names[one] = names.get(one, {}) | dict(texts)
        return {one: texts for one, texts in names.items() if texts}


def change_names(store: MerchantNameStore, change: NameChange, clock: Clock, *, dry_run: bool) -> tuple[Changes, Names]:
    """Change the names of the store atomically; returns the numbers of changes, and the names after it.

    Concurrent changes by other processes are kept. Nothing is written if nothing changes.

    :raises StoreBusy: others changed names each time.
    :raises StoreUnavailable: the store could not be written.
    """
    for _ in range(_ATTEMPTS):
        current: MerchantNames = store.read()
        names = change.of(current.by_merchant)
        changes = Changes.between(current.by_merchant, names)
        if dry_run or not (changes.added or changes.changed or changes.removed):
            return changes, names
        if store.replace(names, after=current.version, now_ms=clock()):
            return changes, names
    raise StoreBusy("other processes kept changing the names of merchants", "Try again.")
