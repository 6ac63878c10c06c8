"""Checkpoints: the results of finished partitions, stored in a folder until the run has published.

After a kill, the next run reuses the stored results. The name of a result is a digest of everything that it depends on:
the program, the plan, the version of the source, and the range. Results are not pickled: write access to the folder
allows to falsify numbers, but not to execute code.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import secrets
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import IO, Any, Final, Protocol
from urllib.parse import unquote

import polars as pl

from core.calendar.zones import rules_source
from core.errors import Interrupted, ServiceError, UsageError
from core.stores.runs import Counts
from jobs.aggregate.partial import PARTIAL_SCHEMA
from jobs.decode.batch import LeadingRejects
from jobs.partitions.count_partition import KIND_SCHEMA, CountPlan, PartitionResult
from jobs.runs.rejects import Rejects
from jobs.sources.partition import Partition

_ROOT: Final = Path(__file__).parents[2]
_ENDING: Final = ".partition"
_UNREADABLE: Final = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, pl.exceptions.PolarsError
)  # fmt: skip
"""Errors of results that are truncated, damaged or foreign."""
_BLOCK_BYTES: Final = 1024 * 1024
_LOCAL_SCHEMES: Final = frozenset({"file", "local"})
_PACKAGES: Final = ("numba", "numpy", "polars", "pyarrow", "pymongo")


class CheckpointFolder(Protocol):
    """A folder of named results."""

    shown: str
    """Its name in messages."""

    def names(self) -> list[str]:
        """All names; empty if the folder does not exist yet.

        :raises OSError: the folder cannot be read.
        """

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """The result `name`, as a seekable file.

        :raises OSError: it does not exist, or cannot be read.
        """

    def write(self, name: str, content: IO[bytes]) -> None:
        """Store `content`, a seekable file at its beginning, as `name`; thread-safe.

        :raises OSError: it cannot be written.
        """

    def remove(self, name: str) -> None:
        """Remove the result `name`, if it exists, and with the last result the folder.

        :raises OSError: it cannot be removed.
        """


class LocalFolder(CheckpointFolder):
    """A local folder, created on demand with mode 0700, as rejects have whole documents."""

    def __init__(self, path: Path) -> None:
        self.shown = str(path)
        self._path = path.absolute()

    def names(self) -> list[str]:
        try:
            return sorted(one.name for one in self._path.iterdir())
        except FileNotFoundError:
            return []

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return (self._path / name).open("rb")

    def write(self, name: str, content: IO[bytes]) -> None:
        try:
            self._write(name, content)
        except FileNotFoundError:  # another run has just removed the folder
            content.seek(0)
            self._write(name, content)

    def _write(self, name: str, content: IO[bytes]) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Mode 0600; `begin` removes the file if this run is killed.
        descriptor, temporary = tempfile.mkstemp(dir=self._path, prefix=f"{name}.", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                while block := content.read(_BLOCK_BYTES):
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            self._path.rmdir()


class RemoteFolder(CheckpointFolder):
    """A folder at a URL such as ``s3://bucket/folder``, by fsspec with credentials of the environment."""

    def __init__(self, url: str, shown: str) -> None:
        from jobs.sources.remote.storage import file_system_at

        self.shown = shown
        self._files, self._path = file_system_at(url, f"--checkpoint {shown}")

    def names(self) -> list[str]:
        with _os_errors():
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._path, detail=False)
            except FileNotFoundError:
                return []
        return sorted(str(one).rstrip("/").rpartition("/")[2] for one in found)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        with _os_errors(), self._files.open(f"{self._path}/{name}", "rb") as file:
            yield file

    def write(self, name: str, content: IO[bytes]) -> None:
        # A partial write is no whole archive. Without fsspec's transactions: a file system has only one at a time.
        with _os_errors(), self._files.open(f"{self._path}/{name}", "wb") as file:
            while block := content.read(_BLOCK_BYTES):
                file.write(block)

    def remove(self, name: str) -> None:
        with _os_errors(), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(f"{self._path}/{name}")


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    """Convert the own exceptions of storage libraries to OSError."""
    try:
        yield
    except (OSError, ServiceError):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def folder_at(argument: str) -> CheckpointFolder:
    """The folder or URL `argument`.

    :raises UsageError: it is not supported.
    """
    if not argument:
        raise UsageError("--checkpoint is empty", "Name a folder.")
    if "://" not in argument:
        return LocalFolder(Path(argument))
    scheme, _, path = argument.partition("://")
    if scheme.lower() in _LOCAL_SCHEMES:
        if not path.startswith("/"):
            raise UsageError(f"--checkpoint {scheme}://… does not name a folder of this host", "Give an absolute path.")
        return LocalFolder(Path(unquote(path)))
    shown = argument.partition("?")[0]
    if "@" in shown:
        raise UsageError("--checkpoint names a URL with a user or key", "Credentials are read from the environment.")
    try:
        return RemoteFolder(argument, shown)
    except ValueError as error:
        raise UsageError(
            f"--checkpoint {shown} is not a URL that can be written to ({error})", "Name a folder."
        ) from None


class Checkpoint:
    """The results of finished partitions of one plan.

    :param fingerprint: other parameters that the numbers depend on, as plain text.
    """

    def __init__(self, folder: CheckpointFolder, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint
        self._found_names: set[str] = set()
        self._versions: set[str] = set()
        self.reused = 0
        """Number of results that were loaded."""

    @contextlib.contextmanager
    def resume_hint(self) -> Iterator[None]:
        """Say in the hint of an `Interrupted` that the next run resumes."""
        try:
            yield
        except Interrupted as error:
            # The workers of a cluster may have stored results that this process does not know of.
            error.hint = (
                f"Run the same command again; it resumes with the results in {self._folder.shown}, if any were stored."
            )
            raise

    @contextlib.contextmanager
    def mark(self) -> Iterator[tuple[CheckpointFolder, str]]:
        """Write a marker that exists until the end of the block: (the folder, its name).

        :raises ServiceError: the folder cannot be written.
        """
        name = f"mark-{secrets.token_hex(8)}"
        with _errors_of(self._folder):
            self._folder.write(name, io.BytesIO(b"mark"))
        try:
            yield self._folder, name
        finally:
            with _errors_of(self._folder):
                self._folder.remove(name)

    def begin(self, partitions: Sequence[Partition], plan: CountPlan) -> tuple[str, ...]:
        """List the stored results and remove those of changed sources; returns warnings.

        :raises ServiceError: the folder cannot be read or written.
        """
        with _errors_of(self._folder):
            names = self._folder.names()
            identified = [one for one in partitions if one.identity() is not None]
            current: dict[str, set[str]] = {}
            for one in identified:
                current.setdefault(_source_digest(one), set()).add(self._name(one, plan).rpartition("-")[0])
            discarded: dict[str, int] = {}
            for name in names:
                source, _, _ = name.partition("-")
                if source not in current or name.split(".")[0].count("-") != 2:
                    continue
                if name.endswith(_ENDING) and name.rpartition("-")[0] in current[source]:
                    self._found_names.add(name)
                    continue
                self._folder.remove(name)
                discarded[source] = discarded.get(source, 0) + name.endswith(_ENDING)
        self._versions = set().union(*current.values())
        named = {_source_digest(one): one.name for one in identified}
        return tuple(
            f"{count} result(s) of {named[source]} in the checkpoint were discarded: the source has changed since, or "
            "was counted by another version of the program or with other options"
            for source, count in discarded.items()
            if count
        )

    def load(self, partition: Partition, plan: CountPlan) -> PartitionResult | None:
        """The stored result of `partition`, or None."""
        entry = self.entry(partition, plan)
        result = None if entry is None else entry.load(plan)
        self.reused += result is not None
        return result

    def store(self, partition: Partition, plan: CountPlan, result: PartitionResult, *, takes_rejects: bool) -> None:
        """Store a result, if it is reproducible.

        :param takes_rejects: whether rejects were collected.
        :raises ServiceError: it cannot be written.
        """
        entry = self.entry(partition, plan)
        if entry is not None:
            entry.store(plan, result, takes_rejects=takes_rejects)

    def entry(self, partition: Partition, plan: CountPlan) -> Entry | None:
        """The entry for the result of `partition`; None if the partition has no identity."""
        if partition.identity() is None:
            return None
        name = self._name(partition, plan)
        return Entry(self._folder, name, name in self._found_names)

    def remove(self) -> None:
        """Remove all results that this run or its workers have stored or could use.

        :raises ServiceError: removal failed.
        """
        with _errors_of(self._folder):
            for name in self._folder.names():
                if name.rpartition("-")[0] in self._versions:
                    self._folder.remove(name)

    def _name(self, partition: Partition, plan: CountPlan) -> str:
        reading = plan.reading
        counted = (self._fingerprint, program_digest(), rules_source(), plan.local_days.zone_name, plan.rejects.size)
        options = (asdict(reading.fields), asdict(reading.window), reading.collection)
        version = _digest(counted, options, partition.source_version())
        return f"{_source_digest(partition)}-{version}-{_digest(partition.identity())}{_ENDING}"


@dataclass(frozen=True, slots=True)
class Entry:
    """The file of one partition's result; picklable.

    :param exists: whether a result is stored.
    """

    folder: CheckpointFolder
    name: str
    exists: bool

    def load(self, plan: CountPlan) -> PartitionResult | None:
        """The result, or None if it does not exist or is damaged."""
        if not self.exists:
            return None
        try:
            with self.folder.open(self.name) as file:
                return _result(self.name, file, plan)
        except _UNREADABLE:
            return None  # count the partition again

    def store(self, plan: CountPlan, result: PartitionResult, *, takes_rejects: bool) -> None:
        """Store a result, if it is reproducible.

        :raises ServiceError: it cannot be written.
        """
        if result.failure is not None or plan.stops_after(result.leading):
            return
        if result.counts.rejected and not takes_rejects:
            return
        with (
            _errors_of(self.folder),
            tempfile.SpooledTemporaryFile(4 * _BLOCK_BYTES, dir=_temporary_folder(plan)) as content,
        ):
            _write(self.name, result, content)
            content.seek(0)
            self.folder.write(self.name, content)


@contextlib.contextmanager
def _errors_of(folder: CheckpointFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServiceError(
            f"the checkpoint {folder.shown} cannot be used: {error.strerror or error}",
            "Nothing was published. Check the folder, its permissions and its space, or run without --checkpoint.",
        ) from None


def _temporary_folder(plan: CountPlan) -> str | None:
    """The folder of the quarantine file, which is known to have space for large files."""
    quarantine = plan.rejects.quarantine
    return str(quarantine.parent) if quarantine is not None and quarantine.parent.is_dir() else None


def _source_digest(partition: Partition) -> str:
    return _digest(partition.source_version()[:1])


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()[:20]


@cache
def program_digest() -> str:
    """A digest of the versions of the program and of the packages that affect results."""
    digest = hashlib.sha256()
    for package in ("core", "jobs"):
        for source in sorted((_ROOT / package).rglob("*.py")):
            digest.update(source.relative_to(_ROOT).as_posix().encode() + b"\0")
            digest.update(source.read_bytes())
    for name in _PACKAGES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return digest.hexdigest()


def _write(name: str, result: PartitionResult, file: IO[bytes]) -> None:
    """Write `result` as a ZIP archive, whose checksums show damage. Rejects are copied in blocks: they may be large.

    :param name: of the entry, so that a renamed file is not taken for the result of another partition.
    """
    about = {
        "name": name,
        "first": result.first,
        "last": result.last,
        "counts": asdict(result.counts),
        "rejects_by_reason": result.rejects_by_reason,
        "leading": asdict(result.leading),
        "length": result.length,
        "first_names": result.rejects.first_names,
    }
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("about", json.dumps(about))
        for name, frame in (("daily", result.daily), ("kinds", result.kinds)):
            content = io.BytesIO()
            frame.write_ipc(content, compression="zstd")
            archive.writestr(name, content.getvalue())
        with archive.open("rejects", "w", force_zip64=True) as rejects:
            rejects.writelines(result.rejects.blocks())


def _result(name: str, file: IO[bytes], plan: CountPlan) -> PartitionResult:
    """Read the output of `_write`.

    :raises zipfile.BadZipFile: the content is foreign or damaged; or one of `_UNREADABLE`.
    """
    with zipfile.ZipFile(file) as archive:
        about: dict[str, Any] = json.loads(archive.read("about"))
        if about["name"] != name:
            raise ValueError("it is of another partition")
        daily, kinds = (pl.read_ipc(io.BytesIO(archive.read(name))) for name in ("daily", "kinds"))
        if daily.schema != PARTIAL_SCHEMA or kinds.schema != KIND_SCHEMA:
            raise ValueError("its frames have other columns")
        with archive.open("rejects") as content:
            blocks = iter(partial(content.read, _BLOCK_BYTES), b"")
            rejects = Rejects.of(plan.rejects, blocks, tuple(about["first_names"]))
    return PartitionResult(
        first=about["first"],
        last=about["last"],
        counts=Counts(**about["counts"]),
        rejects_by_reason=about["rejects_by_reason"],
        leading=LeadingRejects(**about["leading"]),
        length=about["length"],
        daily=daily,
        kinds=kinds,
        rejects=rejects,
    )
