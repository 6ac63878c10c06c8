"""What the package that `pip install .` builds depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Pinned(MetadataHookInterface):
    """Every package that the program runs on, in the version that it is tested with."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the lines of `constraints.txt` as dependencies."""
        lines = Path(self.root, "constraints.txt").read_text("utf-8").splitlines()
        metadata["dependencies"] = [line for line in lines if line and not line.startswith("#")]
