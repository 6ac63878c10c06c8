"""The quarantine file (the dead letters of a run): rejected documents, whole, as lines of canonical Extended JSON.

`bson.json_util.loads` reads a line back. Its fields: ``source``, ``position`` (``{"byte": n}`` or ``{"row": n}``),
``_id`` (null if there is none), ``field``, ``reason``, ``document`` (a `bson.Binary` of the raw bytes if decoding, or
parsing the line, would lose anything). Rejected documents may have personal data, so only the owner may read the file.
Its size is limited: it has the first rejects, in the order of the sources, up to the first that does not fit.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from core.stores.runs import Run, RunStatus
from jobs.runs.rejects import Rejects, unwritable

QUARANTINE_NAME: Final = re.compile(r"(run-\d{6,}|verify)-\d{8}T\d{6}Z-\d+\.jsonl")
"""The file names of `quarantine_path`; other files in the folder are foreign."""


QUARANTINE_BYTES: Final = 1024 * 2**20
"""The default size limit."""


def quarantine_path(folder: Path, run: Run) -> Path:
    """The path of the quarantine file of `run`; a verification, which is not in the ledger, has the number 0.

    Several stores may share the folder and have equal run numbers; the name also has the process.
    """
    which = f"run-{run.id:06d}" if run.id else "verify"
    started = datetime.fromtimestamp(run.started_at_ms / 1000, UTC)
    return folder / f"{which}-{started:%Y%m%dT%H%M%SZ}-{run.holder.process_id}.jsonl"


def last_quarantine(folder: Path, runs: Iterable[Run]) -> Path | None:
    """The quarantine file of the latest of `runs` with rejects, if complete.

    :param runs: newest first.
    """
    for run in runs:
        if run.quarantine is not None and run.status not in (RunStatus.RUNNING, RunStatus.DIED):
            return folder / Path(run.quarantine).name
    return None


class Quarantine:
    """Writes the rejects of one run; creates the file with the first reject.

    :param path: the file; it must not exist yet.
    :param max_bytes: its size limit.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.destination: Final = path
        self._path = path
        self._max_bytes = max_bytes
        self._bytes = 0
        self._file: BinaryIO | None = None
        self._full = False
        self.stored = 0
        self.first_names: tuple[str, ...] = ()
        """The names of the first fields of the first document that was written."""

    @property
    def path(self) -> Path | None:
        """The file, or None without rejects."""
        return self._path if self.stored else None

    @property
    def takes_more(self) -> bool:
        """Whether all rejects so far were written."""
        return not self._full

    def write(self, rejects: Rejects, positions_before: int = 0) -> None:
        """Append `rejects`, up to the limit.

        :param positions_before: the offset of their positions.
        :raises ServiceError: the file cannot be written.
        """
        for reject in rejects:
            if self._full:
                return
            self._append(reject.after(positions_before))
            if self.stored == 1:
                self.first_names = rejects.first_names

    def _append(self, line: bytes) -> None:
        if self._bytes + len(line) > self._max_bytes:
            self._full = True
            return
        try:
            if self._file is None:
                self._file = self._create()
            self._file.write(line)
        except OSError as error:
            raise unwritable(self._path, error) from None
        self._bytes += len(line)
        self.stored += 1

    def _create(self) -> BinaryIO:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        return os.fdopen(descriptor, "wb")

    def close(self) -> None:
        """Sync and close the file.

        :raises ServiceError: writing failed.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            with file:
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(self._path, error) from None

    def reuse_earlier(self, earlier: Path) -> None:
        """If the file `earlier` has the same rejects, remove this file and use `earlier` with a new modification time.

        Positions and order are ignored, as other documents of a live collection change. If either file cannot be read,
        both remain. Call it after `close`.
        """
        if self.path is None or earlier == self._path:
            return
        with suppress(OSError, ValueError):
            if _digest(earlier) == _digest(self._path):
                os.utime(earlier)  # first, as it fails for a file that was pruned meanwhile or belongs to another user
                self._path.unlink()
                self._path = earlier


def describe_quarantine(path: object | None, stored: int | None, rejected: int) -> str:
    """A sentence on how many of a run's rejects are in its quarantine file.

    :param path: the file, or None.
    :param stored: number of rejects in it; None: not recorded, so all.
    """
    if path is None:
        return f"None of the {rejected:,} rejects was written, because --max-quarantine-mb is too small"
    if stored is None or stored == rejected:
        return f"The rejects are in {path}"
    return f"The first {stored:,} rejects are in {path}; the other {rejected - stored:,} were only counted"


def _digest(path: Path) -> tuple[int, int]:
    """The number of lines of a quarantine file, and the sum of their digests, which does not depend on their order.

    :raises OSError: it cannot be read.
    :raises ValueError: it is not a quarantine file.
    """
    lines = total = 0
    with path.open(encoding="utf-8", errors="surrogatepass") as file:
        for line in file:
            fields = json.loads(line)
            if not isinstance(fields, dict):
                raise ValueError("a line is not a JSON object")
            fields.pop("position", None)
            total += int.from_bytes(hashlib.sha256(json.dumps(fields).encode("ascii")).digest())
            lines += 1
    return lines, total
