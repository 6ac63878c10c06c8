"""The chart library: Vega-Lite out of the installed package vl-convert-python, as one JavaScript module.

Making it takes some two seconds and more than a hundred MB, so a process of its own does it, when the page is first
asked for. The result is kept in memory only: the server may run where it can write nothing. The image has it as a file,
which ``python -m api.dashboard.chart_bundle`` has written, and not the package.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

from core.errors import ServiceError

_PACKAGE: Final = "vl-convert-python"
_EXPORTS: Final = "export { vegaEmbed };"
_MAKE: Final = "import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle(sys.argv[1]).encode())"
_TIMEOUT_S: Final = 120
_FILE: Final = Path(__file__).with_name("charts.js")


class ChartBundle:
    """The module, made once by each instance, when somebody asks for it. Threads may share an instance."""

    def __init__(self) -> None:
        self.name: Final = f"charts-{sha256(_content()).hexdigest()[:16]}.js"
        self._lock = threading.Lock()
        self._started = False
        self._module: bytes | None = None

    def start(self) -> None:
        """Begin to make it in the background, so that it is there when it is asked for; only the first call does."""
        if self._started:
            return
        self._started = True  # of two first calls at once, one thread waits for the other: no harm
        threading.Thread(target=self._prepare, name="chart-bundle", daemon=True).start()

    def module(self, name: str) -> bytes:
        """The module of that name, which is the only one; waits while another thread makes it.

        :raises ServiceError: it could not be made; the next call tries again.
        """
        if self._module is None:
            with self._lock:
                if self._module is None:
                    self._module = _made()
        return self._module

    def _prepare(self) -> None:
        try:
            self.module(self.name)
        except ServiceError:
            return  # whoever asks for it meets the error, and may be told


def _content() -> bytes:
    """What tells one module from another, without making it."""
    return _FILE.read_bytes() if _FILE.exists() else f"{_PACKAGE} {version(_PACKAGE)} {_EXPORTS}".encode()


def _made() -> bytes:
    if _FILE.exists():
        return _FILE.read_bytes()
    command = [sys.executable, "-I", "-c", _MAKE, _EXPORTS]
    try:
        done = subprocess.run(command, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ServiceError(
            f"the chart library could not be made: {error}", "Is vl-convert-python installed as pinned?"
        ) from error
    return done.stdout


CHARTS: Final = ChartBundle()
"""The module of this process, whose applications share it."""


if __name__ == "__main__":
    _FILE.write_bytes(_made())
