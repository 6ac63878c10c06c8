"""Databases of time zones that `zic` makes of a few lines: other rules than those of the program's own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NoReturn


def tz_database(
    folder: Path, source: str, missing: Callable[[str], NoReturn], form: Literal["slim", "fat"] = "slim"
) -> Path:
    """Make a folder of the zones that `source` defines, as `PYTHONTZPATH` takes it.

    :param source: lines of `Rule` and `Zone`, as `zic` reads them.
    :param missing: the fixture; it is called where the machine has no `zic`.
    """
    zic = shutil.which("zic", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if zic is None:
        missing("zic is not installed: it makes the databases of time zones of this test")
    folder.mkdir()
    subprocess.run([zic, "-b", form, "-d", folder, "-"], input=source, text=True, check=True, timeout=60)
    return folder
