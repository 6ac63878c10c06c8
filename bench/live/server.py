"""The server to read from: ``MONGO_URL``, or a FerretDB with its files in a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from bench.mongo_urls import with_database
from bench.running import ROOT, BenchFailed, free_port, run, running, wait_until

_SOURCES: Final = ROOT / "tests" / "ferretdb"
_BINARY: Final = ROOT / ".cache" / "ferretdb" / "ferretdb"
_BUILD_TIMEOUT_S: Final = 600
_START_TIMEOUT_S: Final = 120
_STOP_TIMEOUT_S: Final = 10
_INSERT_AT_ONCE: Final = 10_000


@contextmanager
def running_server(folder: Path) -> Iterator[tuple[str, str]]:
    """The URL of a server, and what the report calls it.

    :raises BenchFailed: it cannot be built, or does not start.
    """
    if url := os.environ.get("MONGO_URL"):
        yield url, "the MongoDB of MONGO_URL"
        return
    address, files, log = f"127.0.0.1:{free_port()}", folder / "server", folder / "server.log"
    files.mkdir()
    with (
        running([str(_built()), address, str(files)], log, _STOP_TIMEOUT_S) as process,
        MongoClient[Any](f"mongodb://{address}/", serverSelectionTimeoutMS=500) as client,
    ):
        wait_until(lambda: _answers(client), process, log, _START_TIMEOUT_S)
        yield f"mongodb://{address}/", "FerretDB 1.24 on SQLite"


@contextmanager
def filled_database(server: str, name: str, file: Path) -> Iterator[str]:
    """The URL of a new database whose collection ``transaction`` holds the documents of a BSON file; dropped after."""
    url = with_database(server, name)
    with MongoClient[Any](url) as client:
        client.drop_database(name)
        try:
            content, at, documents = file.read_bytes(), 0, list[RawBSONDocument]()
            while at < len(content):
                end = at + int.from_bytes(content[at : at + 4], "little")
                documents.append(RawBSONDocument(content[at:end]))
                at = end
                if len(documents) == _INSERT_AT_ONCE or at == len(content):
                    client[name]["transaction"].insert_many(documents, ordered=False)
                    documents.clear()
            yield url
        finally:
            client.drop_database(name)


def _built() -> Path:
    if shutil.which("go") is not None:
        run(["go", "build", "-o", str(_BINARY), "."], _BUILD_TIMEOUT_S, folder=_SOURCES)
    elif not _BINARY.exists():
        raise BenchFailed("not installed: Go 1.22 or newer, which builds FerretDB; or set MONGO_URL")
    return _BINARY


def _answers(client: MongoClient[Any]) -> bool:
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    return True
