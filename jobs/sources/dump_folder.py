"""A folder that ``mongodump`` wrote: a `.bson` (or `.bson.gz`) file a collection, in a folder a database."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from jobs.sources.collections import Namespace, choose

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
    for ending in _METADATA_ENDINGS:
        metadata = path.with_name(stem + ending)
        try:
            content = metadata.read_bytes()
            name = json.loads(gzip.decompress(content) if ending.endswith(".gz") else content).get("collectionName")
        except (OSError, ValueError, EOFError, AttributeError):
            continue
        if isinstance(name, str):
            return name
    return unquote(stem)


def collection_file(folder: Path, collection: str | None) -> Path:
    """The file of `folder`, or of the database folders in it, that holds the transactions.

    :param collection: the collection wanted, or None for ``transaction`` or ``transactions``.
    :raises SourceError: there is none, or more than one; the message lists the collections that are there.
    """
    files: dict[Namespace, Path] = {}
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        stem = _stem(path)
        if stem is None or not path.is_file() or (path.parent == folder and stem in _NO_COLLECTIONS):
            continue
        files[Namespace(unquote(path.parent.resolve().name), _collection_name(path, stem))] = path
    return files[choose(str(folder), list(files), collection)]
