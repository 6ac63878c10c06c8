"""Folders of sources: dumps of ``mongodump``, dumps of shards, and files of one format.

A dump has a folder per database with a `.bson` (or `.bson.gz`) file per collection. A folder of dump folders, one per
shard, is read as these dumps. Any other folder is read as its files, such as those that Spark writes. What could be
copies of the same data, such as nightly backups, is refused.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeVar
from urllib.parse import quote, unquote

from core.errors import SourceError
from jobs.sources.collections import (
    DEFAULT_COLLECTIONS,
    TIME_SERIES,
    VIEW,
    Namespace,
    choose_collection,
    refuse_without_documents,
)
from jobs.sources.wildcards import refuse_unlistable

FOLDER_LEVELS: Final = 4
"""Levels of a folder that are listed: one more than are read. What is on the last one is too deep."""
_READ_LEVELS: Final = FOLDER_LEVELS - 1
_DOCUMENTS_ENDINGS: Final = (".bson.gz", ".bson")
_METADATA_ENDINGS: Final = (".metadata.json.gz", ".metadata.json")
_ARCHIVE_ENDINGS: Final = (".archive", ".archive.gz", ".agz", ".gz")
_EXPORT_ENDINGS: Final = frozenset({".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet"})
_NO_COLLECTIONS: Final = frozenset({"oplog", "prelude"})
_MANIFEST: Final = "manifest.json"
"""What tools that make or copy dumps put next to them."""
_TRUNCATED: Final = "%24"
"""An encoded ``$``: is in the file names of long collection names, which mongodump truncates, and few others."""
_AUXILIARY: Final = ("_", ".")
"""Names that begin like this, such as ``_SUCCESS`` and ``.part-0.crc`` of Spark, are no data."""
_METADATA_NAME: Final = "metadata.json"
"""What Atlas puts next to the documents of each collection when it exports a snapshot."""
_TABLES: Final = {"_delta_log": "Delta", ".hoodie": "Hudi", "_spark_metadata": "Spark Structured Streaming"}
"""Folders with the log of a table, of which only some files are current."""
_MOST_NAMED: Final = 10
_SHARD: Final = re.compile(r"(shard|rs)[-_]?(\d{1,4}|[a-z])", re.IGNORECASE)
"""Names of shards. Other names may be those of backups."""


P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class FolderFile(Generic[P]):
    """A file in a folder or below it.

    :param database: the name of the folder that it is in, the database if this is a dump.
    :param name: the name of the file.
    :param folders: the names of the folders between, from the top; empty if it is directly in the folder.
    :param read: returns its content.
    :param place: its path or object.
    """

    database: str
    name: str
    folders: tuple[str, ...]
    read: Callable[[], bytes]
    place: P

    @property
    def is_dumped(self) -> bool:
        """Whether it has a name of a file of mongodump, and no folder has the name of one without data.

        Names of databases and collections may begin with ``_``.
        """
        named = (*self.folders[-1:], self.name)
        is_auxiliary = any(one.startswith(_AUXILIARY) for one in self.folders[:-1])
        return self.stem is not None and not is_auxiliary and not any(one.startswith(".") for one in named)

    @property
    def is_metadata(self) -> bool:
        """Whether it has the name of a metadata file of mongodump."""
        return self.name.endswith(_METADATA_ENDINGS)

    @property
    def is_auxiliary(self) -> bool:
        """Whether it or a folder between has a name of a file without data."""
        return self.name == _METADATA_NAME or any(one.startswith(_AUXILIARY) for one in (*self.folders, self.name))

    @property
    def ending(self) -> str:
        """The part of its name that determines the format, such as ``.csv`` or ``.csv.gz``; perhaps empty."""
        plain = self.name.removesuffix(".gz")
        return Path(plain).suffix + self.name[len(plain) :]

    @property
    def bare_name(self) -> str:
        """Its name without `ending`."""
        return self.name.removesuffix(self.ending)

    @property
    def is_archive(self) -> bool:
        """Whether it has a name that archives of mongodump usually have, and parts of an export have not."""
        return self.ending in _ARCHIVE_ENDINGS and not self.name.startswith("part-")

    @property
    def is_export(self) -> bool:
        """Whether it has a name of an archive or export, and is not part of a dump."""
        has_data = self.is_archive or self.ending.removesuffix(".gz") in _EXPORT_ENDINGS
        is_other = self.bare_name in _NO_COLLECTIONS or self.name == _MANIFEST
        return has_data and not (is_other or self.is_dumped or self.is_auxiliary)

    @property
    def collection(self) -> tuple[str, ...]:
        """The path of its collection, if it or a folder between has a default name; else its own, without ending."""
        names = (*self.folders, self.bare_name)
        last = len(names) - 1
        return names[: 1 + next((at for at in (last, *range(last)) if names[at] in DEFAULT_COLLECTIONS), last)]

    @property
    def export(self) -> tuple[str, ...]:
        """The path of the export that it is, or of the folder of its collection if it is one of the parts in it."""
        is_part = len(self.collection) <= len(self.folders) and not self.is_archive
        return self.collection if is_part else (*self.folders, self.name)

    @property
    def stem(self) -> str | None:
        """The name without ending, if it has an ending of mongodump."""
        for ending in (*_DOCUMENTS_ENDINGS, *_METADATA_ENDINGS):
            if self.name.endswith(ending):
                return self.name.removesuffix(ending)
        return None

    @property
    def content(self) -> dict[str, Any]:
        """The content of a metadata file of mongodump, read each time; empty if it is unreadable."""
        try:
            content = self.read()
            found = json.loads(gzip.decompress(content) if self.name.endswith(".gz") else content)
        except (OSError, ValueError, EOFError):
            return {}
        return found if isinstance(found, dict) else {}


def files_below(folder: Path) -> list[FolderFile[Path]]:
    """The files in `folder` and below, sorted by path: `FOLDER_LEVELS` levels, and the folders of the last one.

    :raises SourceError: a folder cannot be listed.
    """
    found: list[FolderFile[Path]] = []
    for name, below, names in os.walk(folder, onerror=refuse_unlistable, followlinks=True):
        parent = Path(name)
        database, folders = unquote(parent.resolve().name), parent.relative_to(folder).parts
        paths = [path for one in names if (path := parent / one).is_file()]
        if len(folders) == FOLDER_LEVELS - 1:
            paths += [parent / one for one in below]
            below.clear()
        found += [FolderFile(database, path.name, folders, path.read_bytes, path) for path in paths]
    return sorted(found, key=lambda one: one.place)


def sources_in(folder: Path, collection: str | None) -> list[Path]:
    """The sources of a local folder: itself if it is a dump, else the dumps of its shards, or its files.

    :raises SourceError: see `parts_of`.
    """
    files, dumps = parts_of(str(folder), files_below(folder), collection)
    if files:
        _refuse_inside_table(folder)
    return [*(one.place for one in files), *(folder / name for name in dumps)]


def only_file_in(folder: Path, collection: str | None) -> tuple[Path, bool]:
    """See `only_file`; of a local folder."""
    found, inside_dump = only_file(str(folder), files_below(folder), collection)
    if not inside_dump:
        _refuse_inside_table(folder)
    return found.place, inside_dump


def only_file(folder: str, files: Sequence[FolderFile[P]], collection: str | None) -> tuple[FolderFile[P], bool]:
    """The file to read of a folder that has one, and whether the folder is a dump.

    :raises SourceError: it has several; see `parts_of` and `chosen_file`.
    """
    plain, dumps = parts_of(folder, files, collection)
    if len(plain) + len(dumps) > 1:
        what, example = ("files", (*plain[0].folders, plain[0].name)) if plain else ("dumps", (next(iter(dumps)),))
        all_of_them = " A run reads all of them if the URL ends with a slash." if "://" in folder else ""
        raise SourceError(
            f"the folder {folder} has {len(plain) + len(dumps)} {what}, and only one can be read here",
            f"Name one of them, such as {'/'.join((folder.rstrip('/'), *example))}.{all_of_them}",
        )
    for name, dumped in dumps.items():
        return chosen_file(f"{folder.rstrip('/')}/{name}" if name else folder, dumped, collection), True
    return plain[0], False


def parts_of(
    folder: str, files: Sequence[FolderFile[P]], collection: str | None
) -> tuple[Sequence[FolderFile[P]], dict[str, Sequence[FolderFile[P]]]]:
    """The sources of a folder: its files, or the files of the dumps below by the names of their folders, one per shard.

    The name is empty if the folder is a dump itself. Either result is empty.

    :param folder: its name in messages.
    :param collection: the collection of a dump, or None for the default names.
    :raises SourceError: there are no files, or which of them to read is ambiguous; the hint says how to name them.
    """
    _refuse_tables(folder, files)
    dumped = [one for one in files if one.is_dumped]
    collections = [one for one in dumped if one.stem not in _NO_COLLECTIONS] or dumped
    level = max(1, min((len(one.folders) for one in collections), default=_READ_LEVELS))
    if level >= _READ_LEVELS:
        return _files_of_one_kind(folder, files), {}
    too_deep = level > 1 and any(len(one.folders) >= _READ_LEVELS and not one.is_auxiliary for one in files)
    if too_deep or any(len(one.folders) > level for one in dumped):
        raise SourceError(
            f"the folder {folder} has dumps at several levels",
            "Name the folder of one dump, or the .bson files to read.",
        )
    # An archive may have the named collection, too.
    exports = [one for one in files if one.is_export and (collection is None or one.is_archive)]
    if exports:
        raise SourceError(
            f"the folder {folder} has a dump and other exports: {_names_of(exports)}",
            "Name the files to read, the folder of the dump if that has no other exports, or its collection with "
            "--collection if they are not archives.",
        )
    return (), {"": dumped} if level == 1 else _dumps_of_shards(folder, dumped, collection)


def _refuse_tables(folder: str, files: Sequence[FolderFile[P]]) -> None:
    """Raise for tables that have files that are not current."""
    found = {kind for name, kind in _TABLES.items() if any(name in one.folders for one in files)}
    data = {one.folders[:at] for one in files if not one.is_dumped for at, up in enumerate(one.folders) if up == "data"}
    if any(one.is_metadata and one.folders[-1:] == ("metadata",) and one.folders[:-1] in data for one in files):
        found.add("Iceberg")
    if found:
        _refuse_table(f"the folder {folder} has a {' and a '.join(sorted(found))} table")


def _refuse_inside_table(folder: Path) -> None:
    """Raise for a folder in a table that has files that are not current."""
    for parent in folder.resolve().parents:
        for name, kind in _TABLES.items():
            if os.path.isdir(parent / name):  # noqa: PTH112 - Path raises if it may not look
                _refuse_table(f"the folder {folder} is in a {kind} table")
    for data in (folder.resolve(), *folder.resolve().parents):
        if data.name == "data" and any((data.parent / "metadata").glob("*.metadata.json")):
            _refuse_table(f"the folder {folder} is in an Iceberg table")


def _refuse_table(what: str) -> NoReturn:
    raise SourceError(
        f"{what}, of which some files may not be current",
        "Export the table to a new folder, or name its current files.",
    )


def _dumps_of_shards(
    folder: str, dumped: Sequence[FolderFile[P]], collection: str | None
) -> dict[str, Sequence[FolderFile[P]]]:
    """The dumps with the collection, by the names of their folders."""
    dumps: dict[str, list[FolderFile[P]]] = {}
    for one in dumped:
        if len(one.folders) == 2:
            dumps.setdefault(one.folders[0], []).append(replace(one, folders=one.folders[1:]))
    found = {name: _collections(f"{folder.rstrip('/')}/{name}", files) for name, files in dumps.items()}
    names = list({one for those in found.values() for one in those})
    chosen = choose_collection(folder, names, collection, _without_choice(folder, dumped))
    with_it: dict[str, Sequence[FolderFile[P]]] = {
        name: dumps[name] for name, those in found.items() if chosen in those
    }
    pattern = f"'{folder.rstrip('/')}/*/{quote(chosen.database)}/{quote(chosen.collection, '')}.bson*'"
    _refuse_copies(folder, f"dumps of {chosen}", {name: name for name in with_it}, pattern)
    return with_it


def _refuse_copies(folder: str, what: str, shards: Mapping[str, str], pattern: str) -> None:
    """Raise unless each is of another shard: others may be backups, whose sum has everything several times.

    :param shards: by their paths in the folder, the names that may be those of shards.
    """
    names = [*shards.values()]
    if len(names) > 1 and (len(set(names)) < len(names) or not all(map(_SHARD.fullmatch, names))):
        raise SourceError(
            f"the folder {folder} has {len(names)} {what}, perhaps of the same data: {_some_of(sorted(shards))}",
            f"Name one of them. To add them up, use wildcards, such as {pattern}.",
        )


def _files_of_one_kind(folder: str, files: Sequence[FolderFile[P]]) -> Sequence[FolderFile[P]]:
    data = [one for one in files if not one.is_auxiliary]
    if not data:
        raise SourceError(f"the folder {folder} has no files to read", "Name a file, or a folder with files.")
    if any(len(one.folders) >= _READ_LEVELS for one in data):
        raise SourceError(
            f"the folder {folder} has files or folders more than {_READ_LEVELS} levels deep",
            "Name the folders that have the files, or use wildcards.",
        )
    pattern = _pattern(folder, data[0])
    hint = f"Name the files to read, or use wildcards, such as {pattern}."
    formats = {one.ending.removesuffix(".gz") for one in data}
    if len(formats) > 1:
        endings = ", ".join(sorted({f"*{one.ending}" for one in data}))
        raise SourceError(f"the folder {folder} has files of several formats: {endings}", hint)
    named = [one.collection for one in data if one.collection[-1] in DEFAULT_COLLECTIONS]
    if named and len({one.collection[-1] for one in data}) > 1:
        example = next(one for one in data if one.collection == named[0])
        path = (*example.folders, example.name)[: len(named[0])]
        raise SourceError(
            f"the folder {folder} has files of several collections: {_names_of(data)}",
            f"Name the files or folders to read, such as {'/'.join((folder.rstrip('/'), *path))}.",
        )
    shards = {"/".join(one.export): one.collection[0] for one in data if named or one.is_archive}
    _refuse_copies(folder, "exports", shards, pattern)
    return data


def _without_choice(folder: str, files: Sequence[FolderFile[P]]) -> str:
    """The sentence for files with the names of collections that mongodump has perhaps not written."""
    plain = [one for one in files if one.stem is not None]
    if not plain or any(one.is_metadata for one in files):
        return ""
    return f" To add up several files, use wildcards, such as {_pattern(folder, plain[0])}."


def _names_of(files: Sequence[FolderFile[P]]) -> str:
    """The paths of some of `files` in their folder."""
    return _some_of(["/".join((*one.folders, one.name)) for one in files])


def _some_of(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")


def _pattern(folder: str, one: FolderFile[P]) -> str:
    return "'" + "/".join((folder.rstrip("/"), *("*" for _ in one.folders), f"*{one.ending}")) + "'"


def chosen_file(folder: str, files: Sequence[FolderFile[P]], collection: str | None) -> FolderFile[P]:
    """Choose the file of transactions of a dump.

    :param folder: the name of the dump in messages.
    :param collection: its collection, or None for ``transaction`` or ``transactions``.
    :raises SourceError: none matches, or more than one (lists the collections); or it is a view or a time series.
    """
    found = _collections(folder, [one for one in files if len(one.folders) <= 1])
    chosen = choose_collection(folder, list(found), collection, _without_choice(folder, files))
    documents, about = found[chosen].documents, found[chosen].metadata
    metadata = {} if about is None else about.content
    # Views have a file only with mongodump --viewsAsCollections; the file of a time series has buckets.
    if documents is None or metadata.get("type") == TIME_SERIES:
        options = metadata.get("options")
        view_on = options.get("viewOn") if isinstance(options, dict) else None
        others = [name.collection for name, those in found.items() if those.documents is not None]
        refuse_without_documents(folder, chosen, metadata.get("type", VIEW), view_on, others)
    return documents


@dataclass(slots=True)
class _Collection(Generic[P]):
    """The files of a collection; views and time series may have only metadata."""

    documents: FolderFile[P] | None = None
    metadata: FolderFile[P] | None = None


def _collections(folder: str, files: Sequence[FolderFile[P]]) -> dict[Namespace, _Collection[P]]:
    """The collections of a dump. Reads only the metadata of views, time series and truncated names.

    :raises SourceError: a collection has two files.
    """
    found: dict[tuple[str, str], _Collection[P]] = {}
    for one in files:
        if one.stem is None or (not one.folders and one.stem in _NO_COLLECTIONS):
            continue
        known = found.setdefault((one.database, one.stem), _Collection())
        if one.is_metadata:
            known.metadata = one
        elif known.documents is None:
            known.documents = one
        else:
            raise SourceError(
                f"the folder {folder} has both {known.documents.name} and {one.name}", "Remove one, or name a file."
            )
    named: dict[Namespace, _Collection[P]] = {}
    for (database, stem), those in found.items():
        name: object = unquote(stem)
        if those.metadata is not None and (those.documents is None or _TRUNCATED in stem):
            metadata = those.metadata.content
            if those.documents is None and metadata.get("type") not in (VIEW, TIME_SERIES):
                continue
            name = metadata.get("collectionName", name)
        named[Namespace(database, str(name))] = those
    return named
