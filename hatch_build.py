"""What the package that `pip install .` builds depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Pinned(MetadataHookInterface):
    """Every package that the program runs on, in the version that it is tested with."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add what `pins/requirements.txt` names, without the hashes: no package can ask for these."""
        lines = Path(self.root, "pins", "requirements.txt").read_text("utf-8").splitlines()
        metadata["dependencies"] = [line.removesuffix(" \\") for line in lines if line[:1].isalnum()]
