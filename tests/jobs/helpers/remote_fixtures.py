"""Servers of S3 and Google Cloud Storage, behind ones that can inject failures, and of HTTP; all on loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from gcp_storage_emulator.server import create_server
from remote_storage import SECRETS, GoogleServer, Storage, environment_of
from web_server import WebServer, web_server

from jobs.sources import file_partition

_MOTO = """
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small files be cut into ranges, too."""
    monkeypatch.setattr(file_partition, "_SMALLEST_BYTES", 20_000)


@pytest.fixture(scope="session")
def moto() -> Iterator[tuple[str, int]]:
    """Host and port of moto's server."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MOTO], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        yield "127.0.0.1", int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def server_of_s3(moto: tuple[str, int]) -> Iterator[WebServer]:
    """A server in front of moto's, at the same address for all tests, as connections to it are reused."""
    with web_server() as server:
        server.origin = moto
        yield server


@pytest.fixture(scope="session")
def server_of_gs() -> Iterator[WebServer]:
    """A server in front of an emulator of Google Cloud Storage, at the same address for all tests."""
    with create_server("127.0.0.1", 0, in_memory=True) as emulator, web_server(GoogleServer) as server:
        server.origin = emulator._api._httpd.server_address
        yield server


@pytest.fixture
def web() -> Iterator[WebServer]:
    """An HTTP server that only this test uses."""
    with web_server() as server:
        yield server


@pytest.fixture
def s3(server_of_s3: WebServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Storage:
    """A bucket that only this test uses, with the environment to access it."""
    for name, value in environment_of(server_of_s3).items():
        monkeypatch.setenv(name, value)
    server_of_s3.forget()
    bucket = f"bucket-{abs(hash(request.node.nodeid)):x}"
    storage = Storage("s3", server_of_s3, f"s3://{bucket}", f"s3://{bucket}")
    storage.make_bucket()
    return storage


@pytest.fixture
def gs(server_of_gs: WebServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Storage:
    """A bucket that only this test uses, with the environment to access it."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server_of_gs.url)
    server_of_gs.forget()
    bucket = f"bucket-{abs(hash(request.node.nodeid)):x}"
    storage = Storage("gs", server_of_gs, f"gs://{bucket}", f"gs://{bucket}")
    storage.make_bucket()
    return storage


@pytest.fixture(params=["http", "s3", "gs"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """A storage of each kind, empty."""
    if request.param != "http":
        found: Storage = request.getfixturevalue(request.param)
        return found
    web: WebServer = request.getfixturevalue("web")
    return Storage("http", web, f"http://reader:{SECRETS[0]}@127.0.0.1:{web.port}", web.url)
