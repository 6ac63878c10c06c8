"""Gets what the containers of tests/image need, as these have no network: ``python tests/image/prepare.py``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_CACHE: Final = _ROOT / ".cache"
_MONGOSH: Final = _ROOT / "tests" / "image" / "mongosh"
"""Its packages with their hashes; after a change of package.json: ``npm install --package-lock-only
--omit-lockfile-registry-resolved --omit=optional``."""


def main() -> str:
    """What is missing, or an empty string."""
    if os.geteuid() != 0:
        return "Error: only root may build with buildah in a chroot, and make namespaces: run it as root."
    for program, package in {
        "go": "golang-go, 1.22 or newer",
        "npm": "npm",
        "unshare": "util-linux",
        "ip": "iproute2",
    }.items():
        if shutil.which(program) is None:
            return f"Error: {program} is not installed (on Debian: {package})."
    steps = [
        (["go", "build", "-o", str(_CACHE / "ferretdb" / "with_users"), "./with_users"], _ROOT / "tests" / "ferretdb"),
        (["go", "build", "-o", str(_CACHE / "compose" / "compose"), "."], _ROOT / "tests" / "deploy" / "compose"),
    ]
    installed = _CACHE / "mongosh" / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (_MONGOSH / "package-lock.json").stat().st_mtime:
        shutil.copytree(_MONGOSH, _CACHE / "mongosh", dirs_exist_ok=True)
        options = ["--silent", "--no-audit", "--no-fund", "--omit=optional", "--ignore-scripts"]
        steps.append((["npm", "ci", *options], _CACHE / "mongosh"))
    for command, folder in steps:
        if subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False).returncode != 0:
            return f"Error: {' '.join(command[:3])} … failed."
    return ""


if __name__ == "__main__":
    sys.exit(main() or 0)
