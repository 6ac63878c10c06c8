"""The load generators: `wrk` as fast as it can, and ours in ``bench/api/paced`` at a fixed rate."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import Final

from bench.running import ROOT, BenchFailed, run

CONNECTIONS: Final = 16
_SOURCES: Final = ROOT / "bench" / "api" / "paced"
_SCRIPT: Final = ROOT / "bench" / "api" / "varied.lua"
_BUILD_TIMEOUT_S: Final = 300
_SPARE_S: Final = 60
_SWEEP_TIMEOUT_S: Final = 900


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one run of `wrk`; times from sending a request to the end of its response."""

    requests: int
    bytes: int
    seconds: float
    median_ms: float
    p99_ms: float
    errors: int

    @property
    def per_s(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


@dataclass(slots=True)
class Loads:
    """The results of `wrk`, one value per round."""

    per_s: list[float] = field(default_factory=list, kw_only=True)
    median_ms: list[float] = field(default_factory=list, kw_only=True)
    p99_ms: list[float] = field(default_factory=list, kw_only=True)

    def add(self, load: Load) -> None:
        """Add the results of a round."""
        self.per_s.append(load.per_s)
        self.median_ms.append(load.median_ms)
        self.p99_ms.append(load.p99_ms)


@dataclass(frozen=True, slots=True)
class Paced:
    """The report of the program ``paced``. Times are from when a request was due."""

    requests: int
    seconds: float
    median_ms: float
    p99_ms: float
    p999_ms: float
    worst_ms: float
    late_p99_ms: float
    bytes: int
    statuses: Mapping[str, int]
    tags: int
    failed: int
    foreign: int
    ambiguous: int
    examples: Sequence[str] | None

    @property
    def wrong(self) -> int:
        """Requests without an answer, with another status than 200, or with a body of no publication."""
        other = sum(count for status, count in self.statuses.items() if status != "200")
        return self.failed + other + self.foreign + self.ambiguous


def wrk(url: str, file: Path, seconds: float, connections: int = CONNECTIONS, script: Path = _SCRIPT) -> Load:
    """Request the paths in `file` in turn; each connection sends a request when it has the previous response.

    :param file: one path per line, or a path, a tab and an ETag; or the input of `script`.
    :param script: makes the requests, in Lua; it reports as ``varied.lua`` does.
    :raises BenchFailed: a response was an error, or none arrived.
    """
    tool = shutil.which("wrk")
    assert tool, "see missing_tools"
    whole = max(1, round(seconds))  # wrk accepts only whole seconds
    command = [tool, "-t1", f"-c{connections}", f"-d{whole}s", "--timeout", "10s", "-s", str(script), url]
    output = run([*command, "--", str(file)], whole + _SPARE_S)
    load = Load(**json.loads(output.splitlines()[-1]))
    if load.errors or not load.requests:
        raise BenchFailed(f"{load.errors} of {load.requests} requests of wrk to {url} failed")
    return load


def built_paced(folder: Path) -> Path:
    """The program of ``paced``, built into `folder` (Go does nothing when it is up to date)."""
    binary = (folder / "paced").resolve()
    binary.parent.mkdir(parents=True, exist_ok=True)
    run(["go", "build", "-o", str(binary), "."], _BUILD_TIMEOUT_S, folder=_SOURCES)
    return binary


def paced(
    binary: Path,
    url: str,
    paths: Path,
    rate: float,
    seconds: float,
    known: Path,
    until: Callable[[], object] = lambda: None,
) -> Paced:
    """Request the paths in turn, `rate` times a second, without waiting for responses.

    :param seconds: minimum duration.
    :param known: per line a path, a tab and the SHA-256 of a body that it may have.
    :param until: requests continue until this returns.
    """
    options = ["-rate", f"{rate:.3f}", "-seconds", f"{seconds:g}", "-known", str(known)]
    command = _command(binary, url, paths, options)
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            until()
            output, errors = process.communicate(timeout=seconds + _SPARE_S)
        except subprocess.TimeoutExpired:
            raise BenchFailed(f"{binary.name} has not ended in time") from None
        finally:
            process.kill()
    if process.returncode:
        raise BenchFailed(f"{binary.name} ended with {process.returncode}:\n{errors[-2000:]}")
    return Paced(**json.loads(output))


def sweep(binary: Path, url: str, paths: Path, encoding: str) -> Paced:
    """Request every path once with this encoding, each when the previous response has arrived."""
    command = _command(binary, url, paths, ["-encoding", encoding])
    return Paced(**json.loads(run(command, _SWEEP_TIMEOUT_S)))


def _command(binary: Path, url: str, paths: Path, options: Sequence[str]) -> list[str]:
    return [str(binary), "-url", url, "-paths", str(paths), "-connections", str(CONNECTIONS), *options]
