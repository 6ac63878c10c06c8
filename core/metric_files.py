"""The folder of the metrics files that the processes of one server or worker share.

prometheus_client reads ``PROMETHEUS_MULTIPROC_DIR`` at import, so the folder must be created before the first fork, and
the library must not be imported before that.
"""

from __future__ import annotations

import os
import shutil
import tempfile

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_mine: str | None = None


def begin() -> None:
    """Create a new, empty folder, so that metrics of an earlier start are not added to those of this one.

    It is inside ``PROMETHEUS_MULTIPROC_DIR`` if that is set, else in the system's temporary folder.
    """
    global _mine
    _mine = tempfile.mkdtemp(prefix="transaction-summary-metrics-", dir=os.environ.get(_VARIABLE))
    os.environ[_VARIABLE] = _mine


def process_died(pid: int) -> None:
    """Remove the live gauges of the process; its counters remain, as counters must not decrease."""
    if _mine is not None:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid, _mine)  # type: ignore[no-untyped-call]


def end() -> None:
    """Remove the folder."""
    global _mine
    if _mine is not None:
        shutil.rmtree(_mine, ignore_errors=True)
        _mine = None
