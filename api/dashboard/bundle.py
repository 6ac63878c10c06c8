"""The chart library: Vega-Lite out of the installed package vl-convert-python, as one JavaScript module.

Making it takes seconds and some hundred MB, so a process of its own does it at the first request; the result is kept
beside Python's compiled files, where only those may write who may change the program.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

from api.dashboard.encodings import Encoded, encode
from core.errors import ServiceError

_PACKAGE: Final = "vl-convert-python"
_EXPORTS: Final = "export { vegaEmbed };"
_MAKE: Final = "import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle(sys.argv[1]).encode())"
_TIMEOUT_S: Final = 60
_CACHE: Final = Path(__file__).parent / "__pycache__"


class ChartBundle:
    """The module, made once for each version of the package. Threads may share an instance.

    :param cache: folder that keeps it between processes; when it cannot be written, each process makes its own.
    """

    def __init__(self, cache: Path = _CACHE) -> None:
        # The content depends on nothing else, so its name is known without making it.
        digest = sha256(f"{_PACKAGE} {version(_PACKAGE)} {_EXPORTS}".encode()).hexdigest()[:16]
        self.name: Final = f"charts-{digest}.js"
        self._file = cache / self.name
        self._lock = threading.Lock()
        self._encoded: Encoded | None = None

    def encoded(self) -> Encoded:
        """The module, ready to be sent.

        :raises ServiceError: it could not be made.
        """
        if self._encoded is None:
            with self._lock:
                if self._encoded is None:
                    self._encoded = encode(self._kept() or self._made())
        return self._encoded

    def _kept(self) -> bytes | None:
        try:
            return self._file.read_bytes()
        except OSError:
            return None

    def _made(self) -> bytes:
        command = [sys.executable, "-I", "-c", _MAKE, _EXPORTS]
        try:
            done = subprocess.run(
                command, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL, capture_output=True, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ServiceError(
                f"the chart library could not be made: {error}", "Is vl-convert-python installed as pinned?"
            ) from error
        self._keep(done.stdout)
        return done.stdout

    def _keep(self, module: bytes) -> None:
        """Write it for later processes; what another process reads is whole."""
        try:
            self._file.parent.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._file.parent, delete=False) as part:
                part.write(module)
            Path(part.name).replace(self._file)
        except OSError:
            return
