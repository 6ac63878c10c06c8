"""The server to read from: ``MONGO_URL``, or a FerretDB with its files in a folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from bench.data import ROOT
from bench.measure import BenchFailed
from bench.mongo_urls import with_database

_SOURCES: Final = ROOT / "tests" / "ferretdb"
_BINARY: Final = ROOT / ".cache" / "ferretdb" / "ferretdb"
_BUILD_TIMEOUT_S: Final = 600
_START_TIMEOUT_S: Final = 120
_INSERT_AT_ONCE: Final = 10_000


@contextmanager
def running_server(folder: Path) -> Iterator[tuple[str, str]]:
    """The URL of a server, and what the report calls it.

    :raises BenchFailed: it cannot be built, or does not start.
    """
    if url := os.environ.get("MONGO_URL"):
        yield url, "the MongoDB of MONGO_URL"
        return
    binary = _built()
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
    (folder / "server").mkdir()
    process = subprocess.Popen(
        [binary, address, folder / "server"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(f"mongodb://{address}/", process)
        yield f"mongodb://{address}/", "FerretDB 1.24 on SQLite"
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
    if shutil.which("go") is None:
        if _BINARY.exists():
            return _BINARY
        raise BenchFailed("not installed: Go 1.22 or newer, which builds FerretDB; or set MONGO_URL")
    command = ["go", "build", "-o", str(_BINARY), "."]
    done = subprocess.run(command, cwd=_SOURCES, timeout=_BUILD_TIMEOUT_S, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"FerretDB was not built:\n{done.stderr[-2000:]}")
    return _BINARY


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    with MongoClient[Any](url, serverSelectionTimeoutMS=500) as client:
        while True:
            try:
                client.admin.command("ping")
                return
            except PyMongoError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise BenchFailed("FerretDB did not start") from None
