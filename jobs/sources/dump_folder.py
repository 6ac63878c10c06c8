"""A folder that ``mongodump`` wrote: a `.bson` (or `.bson.gz`) file a collection, in a folder a database."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from jobs.sources.collections import TIME_SERIES, VIEW, Namespace, choose, refuse_without_documents

_ENDINGS: Final = (".bson", ".bson.gz")
_METADATA_ENDINGS: Final = (".metadata.json", ".metadata.json.gz")
_NO_COLLECTIONS: Final = frozenset({"oplog", "prelude"})


def _stem(path: Path) -> str | None:
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return None


def _collection_name(path: Path, stem: str) -> str:
    """The collection's name: from the metadata beside the file, as long names are cut in file names, else decoded."""
    found = (_metadata(path.with_name(stem + ending)).get("collectionName") for ending in _METADATA_ENDINGS)
    return next((name for name in found if isinstance(name, str)), unquote(stem))


def _metadata(path: Path) -> dict[str, Any]:
    """What mongodump wrote about a collection; empty where that cannot be read."""
    try:
        content = path.read_bytes()
        found = json.loads(gzip.decompress(content) if path.name.endswith(".gz") else content)
    except (OSError, ValueError, EOFError):
        return {}
    return found if isinstance(found, dict) else {}


def collection_file(folder: Path, collection: str | None) -> Path:
    """The file of `folder`, or of the database folders in it, that holds the transactions.

    :param collection: the collection wanted, or None for ``transaction`` or ``transactions``.
    :raises SourceError: there is none, or more than one, and the message lists the collections that are there; or it
        is a view or a time series, whose documents are not.
    """
    files: dict[Namespace, Path] = {}
    without_documents: dict[Namespace, dict[str, Any]] = {}
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        if path.name.endswith(_METADATA_ENDINGS):
            metadata = _metadata(path)
            if metadata.get("type") in (VIEW, TIME_SERIES) and isinstance(metadata.get("collectionName"), str):
                without_documents[Namespace(_database(path), metadata["collectionName"])] = metadata
            continue
        stem = _stem(path)
        if stem is None or not path.is_file() or (path.parent == folder and stem in _NO_COLLECTIONS):
            continue
        files[Namespace(_database(path), _collection_name(path, stem))] = path
    chosen = choose(str(folder), list(files.keys() | without_documents.keys()), collection)
    metadata = without_documents.get(chosen, {})
    # A view has a file with mongodump --viewsAsCollections; the file of a time series has buckets.
    if chosen not in files or metadata.get("type") == TIME_SERIES:
        options = metadata.get("options")
        view_on = options.get("viewOn") if isinstance(options, dict) else None
        refuse_without_documents(str(folder), chosen, metadata["type"], view_on, [name.collection for name in files])
    return files[chosen]


def _database(path: Path) -> str:
    return unquote(path.parent.resolve().name)
