"""Finds and removes old quarantine files, and old rows of the ledger and of publications."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from core.errors import ServiceError
from core.stores import Stores
from core.stores.freshness import RUNS_READ
from jobs.runs.quarantine import QUARANTINE_NAME

_BATCH: Final = 500  # rows per transaction, so that others can write in between


@dataclass(frozen=True, slots=True)
class Prunable:
    """What can be removed: runs by number, publications by generation, files with their sizes in bytes."""

    runs: tuple[int, ...]
    publications: tuple[int, ...]
    files: tuple[tuple[Path, int], ...]

    @property
    def size(self) -> int:
        """Total bytes of the files."""
        return sum(size for _, size in self.files)


def find_prunable(stores: Stores, quarantine: Path, before_ms: int) -> Prunable:
    """Find what ended, was published or was last written before `before_ms`, milliseconds since 1970 UTC.

    Excludes the latest runs and publications, which refreshes, announcements and `/api/status` read, and the run of the
    current publication, with its rejects.

    :param quarantine: the folder of the files; includes the files of other stores that share it.
    :raises StoreUnavailable: the store does not answer.
    :raises ServiceError: the folder cannot be read.
    """
    published = stores.summaries.published()
    latest = next(iter(stores.runs.recent(1)), None)
    publisher = None if published is None else stores.runs.get(published.run_id)
    runs = [] if latest is None else stores.runs.ended_before(before_ms, below=latest.id + 1 - RUNS_READ)
    generations: list[int] = []
    if published is not None:
        generations = stores.summaries.publications_before(before_ms, below=published.generation + 1 - RUNS_READ)
    published_rejects = None if publisher is None or publisher.quarantine is None else Path(publisher.quarantine).name
    return Prunable(
        tuple(run_id for run_id in runs if published is None or run_id != published.run_id),
        tuple(generations),
        tuple((path, size) for path, size in _files(quarantine, before_ms) if path.name != published_rejects),
    )


def remove(stores: Stores, prunable: Prunable) -> None:
    """Remove `prunable`; after an interruption, run it again.

    :raises StoreUnavailable: the store cannot be written.
    :raises ServiceError: a file cannot be removed.
    """
    for path, _ in prunable.files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(path, error) from None
    for generations in _batches(prunable.publications):
        stores.summaries.remove_publications(generations)
    for run_ids in _batches(prunable.runs):
        stores.runs.remove(run_ids)


def _files(folder: Path, before_ms: int) -> Iterator[tuple[Path, int]]:
    try:
        for path in sorted(folder.iterdir()) if folder.exists() else ():
            if QUARANTINE_NAME.fullmatch(path.name):
                found = path.lstat()
                if stat.S_ISREG(found.st_mode) and found.st_mtime * 1000 < before_ms:
                    yield path, found.st_size
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(path: Path, error: OSError) -> ServiceError:
    return ServiceError(
        f"{path} cannot be pruned: {error.strerror or error}", "Run this as the user whom the jobs run as."
    )


def _batches(numbers: Sequence[int]) -> Iterator[list[int]]:
    rest = iter(numbers)
    while batch := list(islice(rest, _BATCH)):
        yield batch
