"""Writes a sample export of one Jalali year (1403), in the formats of MongoDB's tools.

The transactions resemble a real payment collection: documents of 77 bytes in order of creation, few large and many
small merchants, more transactions by day than by night, and few on Fridays.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import bson
import numpy as np
import numpy.typing as npt
from fastcrc import crc64
from isal import igzip

from core.errors import ServiceError, UsageError
from jobs.sources.archive import MAGIC, to_signed

_YEAR_START_MS: Final = 1_710_880_200_000  # 1403/01/01 00:00 in Tehran, +03:30
_YEAR_DAYS: Final = 366
_DAY_MS: Final = 86_400_000
_FIRST_SATURDAY: Final = 3  # 1403/01/04
_BLOCK: Final = 65_536
_TERMINATOR: Final = b"\xff\xff\xff\xff"
_DATABASE: Final = "sample"
_COLLECTION: Final = "transaction"
_GZIP_LEVEL: Final = 2
_HOURS: Final = np.array([2, 1, 1, 1, 1, 2, 4, 8, 14, 20, 24, 25, 22, 18, 17, 19, 22, 25, 27, 26, 22, 16, 9, 4], float)
_WEEKDAYS: Final = np.array([1.1, 1.0, 1.0, 1.05, 1.2, 0.9, 0.5])  # Saturday to Friday
_TEMPLATE: Final = (
    (77).to_bytes(4, "little")
    + b"\x07_id\0" + bytes(12)
    + b"\x10amount\0" + bytes(4)
    + b"\x09createdAt\0" + bytes(8)
    + b"\x07merchantId\0" + bytes(12)
    + b"\0"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """The numbers of transactions and merchants, and the seed."""

    transactions: int
    merchants: int = 200
    seed: int = 1403


@dataclass(frozen=True, slots=True)
class Written:
    """The written file: name of the format and size in bytes."""

    file_format: str
    size: int


def write_sample(out: Path, sample: SampleRequest, *, replace: bool = False) -> Written:
    """Write `sample` to `out`: `.bson`, `.jsonl` (relaxed), else a mongodump archive; with gzip for `.gz`.

    The file is written atomically. The same sample gives the same bytes.

    :raises UsageError: the file exists and `replace` is False.
    :raises ServiceError: it cannot be written.
    """
    if os.path.exists(out):  # noqa: PTH110 - Path raises for names that are too long
        if not os.path.isfile(out):  # noqa: PTH113
            raise UsageError(f"{out} is not a regular file", "Name a file.")
        if not replace:
            raise UsageError(f"{out} already exists", "Use --force to replace it.")
    compressed = out.suffix in (".gz", ".agz")
    inner = Path(out.stem).suffix if out.suffix == ".gz" else out.suffix
    file_format, write = {
        ".bson": ("BSON", _write_bson),
        ".jsonl": ("JSON lines", _write_json_lines),
    }.get(inner, ("mongodump archive", _write_archive))
    unfinished = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with contextlib.ExitStack() as files:
            file: Any = files.enter_context(unfinished.open("wb"))
            if compressed:
                # No name or time in the header: reproducible bytes.
                file = files.enter_context(igzip.IGzipFile("", "wb", _GZIP_LEVEL, file, mtime=0))  # type: ignore[no-untyped-call]
            write(file, sample)
        unfinished.replace(out)
    except OSError as error:
        raise ServiceError(
            f"{out} cannot be written: {error.strerror or error}", "Choose another place, or free some space."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
    return Written(file_format + (", gzip" if compressed else ""), out.stat().st_size)


def _instants(sample: SampleRequest, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """The instants of transactions, ascending."""
    weekdays = (np.arange(_YEAR_DAYS) - _FIRST_SATURDAY) % 7
    weights = np.outer(_WEEKDAYS[weekdays] * np.linspace(0.8, 1.2, _YEAR_DAYS), _HOURS).ravel()
    per_hour = random.multinomial(sample.transactions, weights / weights.sum())
    hours = np.repeat(np.arange(weights.size, dtype=np.int64), per_hour)
    instants = _YEAR_START_MS + hours * 3_600_000 + random.integers(0, 3_600_000, sample.transactions)
    instants.sort()
    return instants


def _blocks(sample: SampleRequest) -> Iterator[npt.NDArray[np.uint8]]:
    """The documents, as arrays of shape (at most `_BLOCK`, 77)."""
    random = np.random.default_rng(sample.seed)
    instants = _instants(sample, random)
    ids = random.integers(0, 256, (sample.merchants, 12), dtype=np.uint8)
    shares = 1 / np.arange(1, sample.merchants + 1) ** 0.8
    cumulated = np.cumsum(shares / shares.sum())
    for first in range(0, sample.transactions, _BLOCK):
        made = instants[first : first + _BLOCK]
        count = made.size
        documents = np.empty((count, len(_TEMPLATE)), np.uint8)
        documents[:] = np.frombuffer(_TEMPLATE, np.uint8)
        merchants = np.minimum(np.searchsorted(cumulated, random.random(count)), sample.merchants - 1)
        amounts = np.minimum(np.exp(random.normal(14, 1.6, count)) + 10_000, 2**31 - 1).astype(np.int32)
        seconds = (made // 1000).astype(">u4")
        counter = np.arange(first, first + count, dtype=">u4")
        _put(documents, b"_id", seconds)
        _put(documents, b"_id", random.integers(0, 2**32, count, dtype=np.uint32), 4)
        _put(documents, b"_id", counter, 8)
        _put(documents, b"amount", amounts)
        _put(documents, b"createdAt", made)
        _put(documents, b"merchantId", ids[merchants])
        yield documents


def _put(documents: npt.NDArray[np.uint8], name: bytes, values: npt.NDArray[np.generic], skip: int = 0) -> None:
    at = _TEMPLATE.index(name + b"\0") + len(name) + 1 + skip
    raw = np.ascontiguousarray(values).view(np.uint8).reshape(len(documents), -1)
    documents[:, at : at + raw.shape[1]] = raw


def _write_bson(file: BinaryIO, sample: SampleRequest) -> None:
    for documents in _blocks(sample):
        file.write(documents.tobytes())


def _write_json_lines(file: BinaryIO, sample: SampleRequest) -> None:
    for documents in _blocks(sample):
        lines = []
        for document in bson.decode_all(documents.tobytes()):
            made = document["createdAt"]
            fraction = f".{made.microsecond // 1000:03d}".rstrip("0") if made.microsecond else ""
            lines.append(
                f'{{"_id":{{"$oid":"{document["_id"]}"}},"amount":{document["amount"]},'
                f'"createdAt":{{"$date":"{made:%Y-%m-%dT%H:%M:%S}{fraction}Z"}},'
                f'"merchantId":{{"$oid":"{document["merchantId"]}"}}}}\n'
            )
        file.write("".join(lines).encode())


def _write_archive(file: BinaryIO, sample: SampleRequest) -> None:
    header = {"concurrent_collections": 4, "version": "0.1", "server_version": "7.0.0", "tool_version": "100.10.0"}
    metadata = {
        "indexes": [{"v": {"$numberInt": "2"}, "key": {"_id": {"$numberInt": "1"}}, "name": "_id_"}],
        "collectionName": _COLLECTION,
        "type": "collection",
    }
    name = {"db": _DATABASE, "collection": _COLLECTION}
    prelude = name | {"metadata": json.dumps(metadata), "size": 0, "type": "collection"}
    file.write(MAGIC + bson.encode(header) + bson.encode(prelude) + _TERMINATOR)
    checksum = 0
    for documents in _blocks(sample):
        raw = documents.ravel()
        checksum = crc64.xz(raw.data, checksum)
        file.write(bson.encode(name | {"EOF": False, "CRC": bson.Int64(0)}) + raw.tobytes() + _TERMINATOR)
    file.write(bson.encode(name | {"EOF": True, "CRC": bson.Int64(to_signed(checksum))}) + _TERMINATOR)
