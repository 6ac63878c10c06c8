"""Folders written by ``mongodump``: a folder per database with a `.bson` (or `.bson.gz`) file per collection."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar
from urllib.parse import unquote

from jobs.sources.collections import TIME_SERIES, VIEW, Namespace, choose, refuse_without_documents

_ENDINGS: Final = (".bson", ".bson.gz")
_METADATA_ENDINGS: Final = (".metadata.json", ".metadata.json.gz")
_NO_COLLECTIONS: Final = frozenset({"oplog", "prelude"})


P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class DumpedFile(Generic[P]):
    """A file of a dump's folder.

    :param database: the name of its folder.
    :param name: the name of the file.
    :param is_on_top: whether it is directly in the dump's folder instead of a database's folder.
    :param read: returns its content.
    :param place: its path or object.
    """

    database: str
    name: str
    is_on_top: bool
    read: Callable[[], bytes]
    place: P

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


def collection_file(folder: Path, collection: str | None) -> Path:
    """The file of transactions in `folder` or in its database folders; see `chosen_file`."""
    paths = [path for path in sorted([*folder.glob("*"), *folder.glob("*/*")]) if path.is_file()]
    files = [DumpedFile(_database(path), path.name, path.parent == folder, path.read_bytes, path) for path in paths]
    return chosen_file(str(folder), files, collection).place


def chosen_file(folder: str, files: Sequence[DumpedFile[P]], collection: str | None) -> DumpedFile[P]:
    """Choose the file of transactions.

    :param folder: the name of the dump in messages.
    :param collection: its collection, or None for ``transaction`` or ``transactions``.
    :raises SourceError: none matches, or more than one (lists the collections); or it is a view or a time series.
    """
    metadata_files = {(one.database, one.name): one for one in files if one.name.endswith(_METADATA_ENDINGS)}
    documents: dict[Namespace, DumpedFile[P]] = {}
    for one in files:
        stem = one.stem
        if stem is None or (one.is_on_top and stem in _NO_COLLECTIONS):
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
    chosen = choose(folder, list(documents.keys() | without_documents.keys()), collection)
    metadata = without_documents.get(chosen, {})
    # Views have a file only with mongodump --viewsAsCollections; the file of a time series has buckets.
    if chosen not in documents or metadata.get("type") == TIME_SERIES:
        options = metadata.get("options")
        view_on = options.get("viewOn") if isinstance(options, dict) else None
        refuse_without_documents(folder, chosen, metadata["type"], view_on, [name.collection for name in documents])
    return documents[chosen]


def _database(path: Path) -> str:
    return unquote(path.parent.resolve().name)
