"""Folders of sources: dumps of ``mongodump``, dumps of shards, and files of one format.

A dump has a folder per database with a `.bson` (or `.bson.gz`) file per collection. A folder of dump folders, one per
shard, is read as these dumps. Any other folder is read as its files, such as those that Spark writes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeVar
from urllib.parse import unquote

from core.errors import SourceError
from jobs.sources.collections import (
    DEFAULT_COLLECTIONS,
    TIME_SERIES,
    VIEW,
    Namespace,
    choose_collection,
    refuse_without_documents,
)

FOLDER_LEVELS: Final = 4
"""Levels of a folder that are listed: one more than are read, so that deeper files are not ignored."""
_READ_LEVELS: Final = FOLDER_LEVELS - 1
_ENDINGS: Final = (".bson", ".bson.gz")
_METADATA_ENDINGS: Final = (".metadata.json", ".metadata.json.gz")
_NO_COLLECTIONS: Final = frozenset({"oplog", "prelude"})
_AUXILIARY: Final = ("_", ".")
"""Names that begin like this, such as ``_SUCCESS`` and ``.part-0.crc`` of Spark, are no data."""


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
        """Whether mongodump writes files with such a name."""
        return self.stem is not None or self.name.endswith(_METADATA_ENDINGS)

    @property
    def is_auxiliary(self) -> bool:
        """Whether it or a folder between has a name of a file without data."""
        return any(one.startswith(_AUXILIARY) for one in (*self.folders, self.name))

    @property
    def ending(self) -> str:
        """The part of its name that tells the format, such as ``.csv`` or ``.csv.gz``; perhaps empty."""
        plain = self.name.removesuffix(".gz")
        return Path(plain).suffix + self.name[len(plain) :]

    @property
    def stem(self) -> str | None:
        """The name without extension, if it is a file of documents."""
        for ending in sorted(_ENDINGS, key=len, reverse=True):
            if self.name.endswith(ending):
                return self.name.removesuffix(ending)
        return None

    @property
    def metadata(self) -> dict[str, Any]:
        """The content of a metadata file of mongodump; empty if it is unreadable."""
        try:
            content = self.read()
            found = json.loads(gzip.decompress(content) if self.name.endswith(".gz") else content)
        except (OSError, ValueError, EOFError):
            return {}
        return found if isinstance(found, dict) else {}


def files_below(folder: Path) -> list[FolderFile[Path]]:
    """The files in `folder` and below, down to `FOLDER_LEVELS` levels, sorted by path."""
    levels = ("/".join("*" * level) for level in range(1, FOLDER_LEVELS + 1))
    paths = sorted(path for pattern in levels for path in folder.glob(pattern))
    return [
        FolderFile(_database(path), path.name, path.relative_to(folder).parts[:-1], path.read_bytes, path)
        for path in paths
        if path.is_file()
    ]


def sources_in(folder: Path, collection: str | None) -> list[Path]:
    """The sources of a local folder: itself if it is a dump, else the dumps of its shards, or its files.

    :raises SourceError: see `parts_of`.
    """
    files, dumps = parts_of(str(folder), files_below(folder), collection)
    return [*(one.place for one in files), *(folder / name for name in dumps)]


def only_file_in(folder: Path, collection: str | None) -> tuple[Path, bool]:
    """See `only_file`; of a local folder."""
    found, inside_dump = only_file(str(folder), files_below(folder), collection)
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
    if any(one.is_dumped and len(one.folders) <= 1 for one in files):
        return (), {"": files}
    shards: dict[str, list[FolderFile[P]]] = {}
    for one in files:
        if one.is_dumped and len(one.folders) == 2:
            shards.setdefault(one.folders[0], []).append(replace(one, folders=one.folders[1:]))
    if shards:
        found = {name: _Collections.of(those) for name, those in shards.items()}
        names = {one for those in found.values() for one in those.names}
        chosen = choose_collection(folder, list(names), collection, _without_choice(folder, files))
        return (), {name: shards[name] for name, those in found.items() if chosen in those.names}
    return _files_of_one_kind(folder, files), {}


def _files_of_one_kind(folder: str, files: Sequence[FolderFile[P]]) -> Sequence[FolderFile[P]]:
    data = [one for one in files if not one.is_auxiliary]
    if not data:
        raise SourceError(f"the folder {folder} has no files to read", "Name a file, or a folder with files.")
    if any(len(one.folders) >= _READ_LEVELS for one in data):
        raise SourceError(
            f"the folder {folder} has files more than {_READ_LEVELS} levels deep",
            "Name the folders that have the files, or use wildcards.",
        )
    hint = f"Name the files to read, or use wildcards, such as {_pattern(folder, data[0])}."
    if len({one.ending.removesuffix(".gz") for one in data}) > 1:
        endings = ", ".join(sorted({f"*{one.ending}" for one in data}))
        raise SourceError(f"the folder {folder} has files of several formats: {endings}", hint)
    stems = {one.name.removesuffix(one.ending) for one in data}
    if len(stems) > 1 and not stems.isdisjoint(DEFAULT_COLLECTIONS):
        names = ", ".join(sorted({one.name for one in data}))
        raise SourceError(f"the folder {folder} has files of several collections: {names}", hint)
    return data


def _without_choice(folder: str, files: Sequence[FolderFile[P]]) -> str:
    """The sentence for files with the names of collections that mongodump has perhaps not written."""
    plain = [one for one in files if one.stem is not None]
    if not plain or any(one.name.endswith(_METADATA_ENDINGS) for one in files):
        return ""
    return f" To add up several files, use wildcards, such as {_pattern(folder, plain[0])}."


def _pattern(folder: str, one: FolderFile[P]) -> str:
    return "'" + "/".join((folder.rstrip("/"), *("*" for _ in one.folders), f"*{one.ending}")) + "'"


def chosen_file(folder: str, files: Sequence[FolderFile[P]], collection: str | None) -> FolderFile[P]:
    """Choose the file of transactions of a dump.

    :param folder: the name of the dump in messages.
    :param collection: its collection, or None for ``transaction`` or ``transactions``.
    :raises SourceError: none matches, or more than one (lists the collections); or it is a view or a time series.
    """
    found = _Collections.of([one for one in files if len(one.folders) <= 1])
    chosen = choose_collection(folder, list(found.names), collection, _without_choice(folder, files))
    metadata = found.without_documents.get(chosen, {})
    # Views have a file only with mongodump --viewsAsCollections; the file of a time series has buckets.
    if chosen not in found.documents or metadata.get("type") == TIME_SERIES:
        options = metadata.get("options")
        view_on = options.get("viewOn") if isinstance(options, dict) else None
        others = [name.collection for name in found.documents]
        refuse_without_documents(folder, chosen, metadata["type"], view_on, others)
    return found.documents[chosen]


@dataclass(frozen=True, slots=True)
class _Collections(Generic[P]):
    """The collections of a dump.

    :param documents: their files.
    :param without_documents: the metadata of views and time series.
    """

    documents: dict[Namespace, FolderFile[P]]
    without_documents: dict[Namespace, dict[str, Any]]

    @property
    def names(self) -> set[Namespace]:
        return self.documents.keys() | self.without_documents.keys()

    @classmethod
    def of(cls, files: Sequence[FolderFile[P]]) -> Self:
        metadata_files = {(one.database, one.name): one for one in files if one.name.endswith(_METADATA_ENDINGS)}
        documents: dict[Namespace, FolderFile[P]] = {}
        for one in files:
            stem = one.stem
            if stem is None or (not one.folders and stem in _NO_COLLECTIONS):
                continue
            sidecars = (metadata_files.get((one.database, stem + ending)) for ending in _METADATA_ENDINGS)
            # mongodump truncates long collection names in file names.
            named = (about.metadata.get("collectionName") for about in sidecars if about is not None)
            name = next((name for name in named if isinstance(name, str)), unquote(stem))
            documents[Namespace(one.database, name)] = one
        without_documents: dict[Namespace, dict[str, Any]] = {}
        for about in metadata_files.values():
            metadata = about.metadata
            if metadata.get("type") in (VIEW, TIME_SERIES) and isinstance(metadata.get("collectionName"), str):
                without_documents[Namespace(about.database, metadata["collectionName"])] = metadata
        return cls(documents, without_documents)


def _database(path: Path) -> str:
    return unquote(path.parent.resolve().name)
