"""The folder in which the processes of one server or worker keep their metrics, from its start to its end.

prometheus_client reads ``PROMETHEUS_MULTIPROC_DIR`` when it is imported, so the folder is made before the first process
is forked, and nothing that is imported until then imports the library.
"""

from __future__ import annotations

import os
import shutil
import tempfile

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_mine: str | None = None


def begin() -> None:
    """Make a new, empty folder, so that the numbers of an earlier start are not added to those of this one.

    It is made inside ``PROMETHEUS_MULTIPROC_DIR`` where that is set, else in the temporary folder of the system.
    """
    global _mine
    _mine = tempfile.mkdtemp(prefix="transaction-summary-metrics-", dir=os.environ.get(_VARIABLE))
    os.environ[_VARIABLE] = _mine


def process_died(pid: int) -> None:
    """What the process was busy with is over; what it had counted stays, as counters must not go down."""
    if _mine is not None:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid, _mine)  # type: ignore[no-untyped-call]


def end() -> None:
    """Remove the folder."""
    global _mine
    if _mine is not None:
        shutil.rmtree(_mine, ignore_errors=True)
        _mine = None
