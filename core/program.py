"""The installed command: ``transaction-summary PART …`` is ``python -m PART …``, in any folder."""

from __future__ import annotations

import runpy
import sys
from typing import Final

from core import __version__

_PARTS: Final = {
    "jobs": "makes summaries, and shows them",
    "api": "serves them over HTTP, with a dashboard",
    "notifier": "manages notifications, subscriptions and contacts",
}
_USAGE: Final = "Usage: transaction-summary PART [ARGS]...\n\n" + "".join(
    f"  {part:<9} {about}; the same as python -m {part}\n" for part, about in _PARTS.items()
)


def main() -> None:
    """Run the part named by the first argument; without arguments, list the parts."""
    part, *rest = sys.argv[1:] or ["--help"]
    if part in _PARTS:
        sys.argv[1:] = rest
        runpy.run_module(part, run_name="__main__", alter_sys=True)  # by name, as core must not import them
    elif part in ("-h", "--help"):
        sys.stdout.write(_USAGE)
    elif part == "--version":
        sys.stdout.write(f"{__version__}\n")
    else:
        sys.stderr.write(f"Error: there is no part {part}.\n{_USAGE}")
        sys.exit(2)
