"""`make audit` distinguishes packages with known vulnerabilities from an unreachable service.

pip-audit asks a server on loopback, in the protocol of OSV: the address of PyPI cannot be changed.
"""

from __future__ import annotations

import http.server
import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import audit_pins
import pytest

HASH = f" \\\n    --hash=sha256:{'0' * 64}\n"
VULNERABILITY = {
    "id": "GHSA-0",
    "aliases": ["CVE-2026-0"],
    "affected": [
        {
            "package": {"name": "rusty", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    file = tmp_path / "pins.txt"
    file.write_text(f"clean==2.0{HASH}rusty==1.0{HASH}")
    return file


@pytest.fixture
def status() -> list[int]:
    """The status of responses; tests change it."""
    return [200]


@pytest.fixture
def service(
    status: list[int], monkeypatch: pytest.MonkeyPatch, missing: Callable[[str], NoReturn]
) -> Iterator[list[str]]:
    """Options with which pip-audit asks a service that knows one vulnerability, of rusty."""
    if importlib.util.find_spec("pip_audit") is None:
        missing("pip-audit is not installed, which `make audit` does")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Osv(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requested = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = {"vulns": [VULNERABILITY]} if requested["package"]["name"] == "rusty" else {}
            content = json.dumps(known).encode()
            self.send_response(status[0])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/"]
        server.shutdown()


def test_a_known_vulnerability_always_fails(pins: Path, service: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert audit_pins.main([*service, "--tolerate-unknown"], [[pins]]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "Packages checked: 2. Vulnerabilities: 1.",
        "  rusty 1.0: CVE-2026-0, GHSA-0; fixed in 1.1",
    ]


def test_packages_without_a_known_vulnerability_pass(pins: Path, service: list[str]) -> None:
    pins.write_text(f"clean==2.0{HASH}")
    assert audit_pins.main(service, [[pins]]) == 0


def test_an_unreachable_audit_service_fails_unless_tolerated(
    pins: Path, service: list[str], status: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    status[0] = 500
    assert audit_pins.main(service, [[pins]]) == 1
    assert "Not checked: 1, such as: " in capsys.readouterr().err
    nobody = [*service[:-1], "http://127.0.0.1:9/"]
    assert audit_pins.main([*nobody, "--tolerate-unknown"], [[pins]]) == 0


def test_a_package_without_a_hash_always_fails(pins: Path, service: list[str]) -> None:
    pins.write_text("clean==2.0\n")
    with pytest.raises(SystemExit, match="hash"):
        audit_pins.main([*service, "--tolerate-unknown"], [[pins]])
