"""The quarantine file: every rejected document, whole, one line each of MongoDB canonical Extended JSON.

`bson.json_util.loads` reads a line back. Its fields: ``source``, ``position`` (``{"byte": n}`` or ``{"row": n}``),
``_id`` (null where there is none), ``field``, ``reason``, ``document`` (a `bson.Binary` of the raw bytes where decoding
them, or reading the line back, would lose anything). Rejected documents may hold what customers entrusted to the
company, so only the owner may read the file. It is limited in size: it holds the first rejects, in the order of the
sources, up to the first that does not fit.
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
"""The names that `quarantine_path` gives; files of other names in the folder are somebody else's."""


QUARANTINE_BYTES: Final = 1024 * 2**20
"""How large a file of rejects may get unless another limit is set."""


def quarantine_path(folder: Path, run: Run) -> Path:
    """The file for the rejects of `run`, or of a verification that is no run of the ledger and has the number 0.

    Stores that share the folder number alike; the process tells them apart.
    """
    which = f"run-{run.id:06d}" if run.id else "verify"
    started = datetime.fromtimestamp(run.started_at_ms / 1000, UTC)
    return folder / f"{which}-{started:%Y%m%dT%H%M%SZ}-{run.holder.process_id}.jsonl"


def last_quarantine(folder: Path, runs: Iterable[Run]) -> Path | None:
    """The file for the rejects of the latest of `runs` that has any and wrote it to its end.

    :param runs: newest first.
    """
    for run in runs:
        if run.quarantine is not None and run.status not in (RunStatus.RUNNING, RunStatus.DIED):
            return folder / Path(run.quarantine).name
    return None


class Quarantine:
    """Writes the rejects of one run; makes the file with the first of them.

    :param path: the file; it must not exist yet.
    :param max_bytes: how large it may get.
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
        """The file, or None while there was nothing to write."""
        return self._path if self.stored else None

    @property
    def takes_more(self) -> bool:
        """Whether no reject was left out yet."""
        return not self._full

    def write(self, rejects: Rejects, positions_before: int = 0) -> None:
        """Append `rejects`, as far as the limit allows.

        :param positions_before: is added to their positions.
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
        """Bring the file to disk.

        :raises ServiceError: that failed.
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

    def keep_earlier(self, earlier: Path) -> None:
        """Drop this file when `earlier` holds the same rejects; that is the file then, as if it had been written now.

        Positions do not count, nor does the order: other documents of a live collection come and go. Where either
        file cannot be read, both stay. Call it when this one is closed.
        """
        if self.path is None or earlier == self._path:
            return
        with suppress(OSError, ValueError):
            if _same_rejects(earlier, self._path):
                os.utime(earlier)  # first: what is pruned meanwhile, or belongs to another user, is not to be relied on
                self._path.unlink()
                self._path = earlier


def where_rejects_are(path: object | None, stored: int | None, rejected: int) -> str:
    """In words, how many of the rejects of a run are in its quarantine file.

    :param path: the file, or None where there is none.
    :param stored: how many rejects it holds, or None where that was not recorded: all of them.
    """
    if path is None:
        return f"None of the {rejected:,} rejects was kept, as --max-quarantine-mb leaves no room"
    if stored is None or stored == rejected:
        return f"The rejects are in {path}"
    return f"The first {stored:,} of the rejects are in {path}, the other {rejected - stored:,} were only counted"


def _same_rejects(first: Path, second: Path) -> bool:
    return _fingerprint(first) == _fingerprint(second)


def _fingerprint(path: Path) -> tuple[int, int]:
    """How many lines a quarantine file has, and the sum of their digests: the same whatever their order.

    :raises OSError: it cannot be read.
    :raises ValueError: it is no such file.
    """
    lines = total = 0
    with path.open(encoding="utf-8", errors="surrogatepass") as file:
        for line in file:
            fields = json.loads(line)
            if not isinstance(fields, dict):
                raise ValueError("a line is no object")
            fields.pop("position", None)
            total += int.from_bytes(hashlib.sha256(json.dumps(fields).encode("ascii")).digest())
            lines += 1
    return lines, total
