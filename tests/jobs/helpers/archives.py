"""mongodump archives built by hand, segment by segment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import bson
from fastcrc import crc64

from jobs.sources.archive import to_signed

MAGIC: Final = bytes.fromhex("6de29981")
TERMINATOR: Final = b"\xff\xff\xff\xff"


@dataclass(frozen=True)
class Segment:
    """Some documents of a collection, named with its database: ``shop.transaction``."""

    name: str
    documents: Sequence[bytes]


def checksum(content: bytes) -> int:
    """The CRC-64 of an archive, signed."""
    return to_signed(crc64.xz(content))


def header(name: str, **more: Any) -> bytes:
    """A document that names a collection."""
    database, collection = name.split(".", 1)
    return bson.encode({"db": database, "collection": collection, **more})


def prelude(
    names: Sequence[str],
    *,
    views: Sequence[str] = (),
    timeseries: Sequence[str] = (),
    version: str = "0.1",
    options: Mapping[str, Any] | None = None,
) -> bytes:
    """All up to the first segment; with the `options` of each collection where these are given."""
    about = {"concurrent_collections": 4, "version": version, "server_version": "7.0.0", "tool_version": "100.9"}
    metadata = json.dumps({"indexes": []} if options is None else {"indexes": [], "options": options})
    kinds = dict.fromkeys(names, "collection") | dict.fromkeys(views, "view") | dict.fromkeys(timeseries, "timeseries")
    entries = [header(name, metadata=metadata, size=0, type=kind) for name, kind in kinds.items()]
    return MAGIC + bson.encode(about) + b"".join(entries) + TERMINATOR


def segment(part: Segment) -> bytes:
    """A header, documents, the terminator."""
    return header(part.name, EOF=False, CRC=bson.Int64(0)) + b"".join(part.documents) + TERMINATOR


def end_marker(name: str, content: bytes) -> bytes:
    """The end of a collection that consists of `content`."""
    return header(name, EOF=True, CRC=bson.Int64(checksum(content))) + TERMINATOR


def archive(
    segments: Sequence[Segment], *, empty: Sequence[str] = (), views: Sequence[str] = (), marked_views: bool = False
) -> bytes:
    """A whole archive: `segments` as they stand, each collection ended after the last of its own.

    :param empty: collections without documents; `views` are named in the prelude only, unless they have an end marker.
    """
    names = [name for name in dict.fromkeys([*empty, *(part.name for part in segments)]) if name not in views]
    ended = [*empty, *(views if marked_views else ())]
    parts = [prelude(names, views=views), *(end_marker(name, b"") for name in ended)]
    for i, part in enumerate(segments):
        parts.append(segment(part))
        if part.name not in [later.name for later in segments[i + 1 :]]:
            parts.append(
                end_marker(part.name, b"".join(d for s in segments if s.name == part.name for d in s.documents))
            )
    return b"".join(parts)
