"""Checkpoints: the results of finished partitions, kept in a folder until what was counted is published.

A run that was killed goes on with those that are there. Each is named for what it depends on: the program, the plan,
the source as it was when it was listed, and the range. It is no pickle: somebody who can write to the folder can
falsify numbers, but cannot run a program.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import secrets
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Final, Protocol
from urllib.parse import unquote

import polars as pl

from core.calendar.zones import rules_source
from core.errors import Interrupted, ServiceError, UsageError
from core.stores.runs import Counts
from jobs.aggregate.partial import PARTIAL_SCHEMA
from jobs.decode.batch import LeadingRejects
from jobs.partitions.count_partition import KIND_SCHEMA, PartitionResult, Plan
from jobs.runs.rejects import Rejects
from jobs.sources.partition import Partition

_ROOT: Final = Path(__file__).parents[2]
_ENDING: Final = ".partition"
_MAGIC: Final = b"partition-1\n"
_LENGTHS: Final = struct.Struct("<4Q")
_DIGEST_BYTES: Final = 32
_BLOCK_BYTES: Final = 1024 * 1024
_LOCAL_SCHEMES: Final = frozenset({"file", "local"})
_PACKAGES: Final = ("numba", "numpy", "polars", "pyarrow", "pymongo")


class Place(Protocol):
    """Where results are kept, each under a name."""

    shown: str
    """What messages call it."""

    def names(self) -> list[str]:
        """The names of all that is there; none where the place itself is not there yet.

        :raises OSError: it cannot be read.
        """

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """What is kept as `name`, as a seekable file.

        :raises OSError: there is nothing, or it cannot be read.
        """

    def write(self, name: str, content: IO[bytes]) -> None:
        """Keep `content`, a seekable file at its beginning, as `name`. Threads may do so at a time.

        :raises OSError: it cannot be written.
        """

    def remove(self, name: str) -> None:
        """Remove what is kept as `name`, if there is something, and with the last the place itself.

        :raises OSError: it cannot be removed.
        """


class LocalFolder:
    """A folder of this host, made when it is needed, which only its owner may read: rejects are kept whole."""

    def __init__(self, path: Path) -> None:
        self.shown = str(path)
        self._path = path.absolute()

    def names(self) -> list[str]:
        """See `Place.names`."""
        try:
            return sorted(one.name for one in self._path.iterdir())
        except FileNotFoundError:
            return []

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """See `Place.open`."""
        return (self._path / name).open("rb")

    def write(self, name: str, content: IO[bytes]) -> None:
        """See `Place.write`; all of it is there, or nothing."""
        try:
            self._write(name, content)
        except FileNotFoundError:  # another run with this folder has just begun or ended, and tidied it
            content.seek(0)
            self._write(name, content)

    def _write(self, name: str, content: IO[bytes]) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Of mode 0600; what a killed run leaves of it is removed with the rest.
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
        """See `Place.remove`."""
        (self._path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others use it, or it holds something else
            self._path.rmdir()


class RemoteFolder:
    """A folder at a URL such as ``s3://bucket/folder``, through fsspec, with the credentials of the environment."""

    def __init__(self, url: str, shown: str) -> None:
        from jobs.sources.remote.storage import file_system_at

        self.shown = shown
        self._files, self._path = file_system_at(url, f"--checkpoint {shown}")

    def names(self) -> list[str]:
        """See `Place.names`."""
        with _os_errors():
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._path, detail=False)
            except FileNotFoundError:
                return []
        return sorted(str(one).rstrip("/").rpartition("/")[2] for one in found)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """See `Place.open`."""
        with _os_errors(), self._files.open(f"{self._path}/{name}", "rb") as file:
            yield file

    def write(self, name: str, content: IO[bytes]) -> None:
        """See `Place.write`. What a failure leaves is not taken later, for its digest."""
        # In no transaction of fsspec, of which a storage has only one at a time.
        with _os_errors(), self._files.open(f"{self._path}/{name}", "wb") as file:
            while block := content.read(_BLOCK_BYTES):
                file.write(block)

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        with _os_errors(), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(f"{self._path}/{name}")


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    """What a library for some storage raises of its own, as the errors of files."""
    try:
        yield
    except (OSError, ServiceError):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def place_at(argument: str) -> Place:
    """The folder or URL `argument`.

    :raises UsageError: it cannot be used.
    """
    if "://" not in argument:
        return LocalFolder(Path(argument))
    scheme, _, path = argument.partition("://")
    if scheme.lower() in _LOCAL_SCHEMES:
        if not path.startswith("/"):
            raise UsageError(f"--checkpoint {scheme}://… names no folder of this host", "Write the path of one.")
        return LocalFolder(Path(unquote(path)))
    shown = argument.partition("?")[0]
    if "@" in shown:
        raise UsageError("--checkpoint names a URL with a user or key", "Credentials are read from the environment.")
    try:
        return RemoteFolder(argument, shown)
    except ValueError as error:
        raise UsageError(f"--checkpoint {shown} is no URL that can be written ({error})", "Name a folder.") from None


class Checkpoint:
    """The results of finished partitions of one plan.

    :param fingerprint: of what else the numbers depend on, as plain text.
    """

    def __init__(self, place: Place, fingerprint: str) -> None:
        self._place = place
        self._fingerprint = fingerprint
        self._stored_names: set[str] = set()
        self.reused = 0
        """How many results were taken from it."""

    @contextlib.contextmanager
    def named_when_interrupted(self) -> Iterator[None]:
        """Inside, an `Interrupted` says that the next run goes on from here, if it does."""
        try:
            yield
        except Interrupted as error:
            if self._stored_names:
                error.hint = f"Run the same command again; it goes on with the results in {self._place.shown}."
            raise

    @contextlib.contextmanager
    def mark(self) -> Iterator[tuple[Place, str]]:
        """The place, and the name of something that is there until the end of the block.

        :raises ServiceError: the folder cannot be written.
        """
        name = f"mark-{secrets.token_hex(8)}"
        with _errors_of(self._place):
            self._place.write(name, io.BytesIO(b"mark"))
        try:
            yield self._place, name
        finally:
            with _errors_of(self._place):
                self._place.remove(name)

    def begin(self, partitions: Sequence[Partition], plan: Plan) -> tuple[str, ...]:
        """See what is there, and throw away what is of sources that have changed since; what a user should know.

        :raises ServiceError: the folder cannot be read or written.
        """
        with _errors_of(self._place):
            names = self._place.names()
            identified = [one for one in partitions if one.identity() is not None]
            current: dict[str, set[str]] = {}
            for one in identified:
                current.setdefault(_source_digest(one), set()).add(self._name(one, plan).rpartition("-")[0])
            thrown_away: dict[str, int] = {}
            for name in names:
                source, _, _ = name.partition("-")
                if source not in current or name.split(".")[0].count("-") != 2:
                    continue
                if name.endswith(_ENDING) and name.rpartition("-")[0] in current[source]:
                    self._stored_names.add(name)
                    continue
                self._place.remove(name)
                thrown_away[source] = thrown_away.get(source, 0) + name.endswith(_ENDING)
        named = {_source_digest(one): one.name for one in identified}
        return tuple(
            f"{count} result(s) of {named[source]} in the checkpoint were thrown away: it has changed since, or was "
            "counted by another version of the program or with other options"
            for source, count in thrown_away.items()
            if count
        )

    def load(self, partition: Partition, plan: Plan) -> PartitionResult | None:
        """The result of `partition`, or None where there is none that can be used."""
        entry = self.entry(partition, plan)
        result = None if entry is None else entry.load(plan)
        self.reused += result is not None
        return result

    def keep(self, partition: Partition, plan: Plan, result: PartitionResult, *, takes_rejects: bool) -> None:
        """Keep a result, where the same partition would always give it.

        :param takes_rejects: whether rejects were of use while it was counted.
        :raises ServiceError: it cannot be written.
        """
        entry = self.entry(partition, plan)
        if entry is not None and entry.keep(plan, result, takes_rejects=takes_rejects):
            self._stored_names.add(entry.name)

    def entry(self, partition: Partition, plan: Plan) -> Entry | None:
        """Where the result of `partition` is or goes; None: it cannot be kept."""
        if partition.identity() is None:
            return None
        name = self._name(partition, plan)
        return Entry(self._place, name, name in self._stored_names)

    def record(self, entry: Entry, *, reused: bool) -> None:
        """Know of a result that another process has kept, or has taken from here if `reused`."""
        self.reused += reused
        self._stored_names.add(entry.name)

    def remove(self) -> None:
        """Remove all that this run has kept or could use.

        :raises ServiceError: that failed.
        """
        with _errors_of(self._place):
            of_this_run = {name.rpartition("-")[0] for name in self._stored_names}
            for name in self._place.names():
                if name.rpartition("-")[0] in of_this_run:
                    self._place.remove(name)

    def _name(self, partition: Partition, plan: Plan) -> str:
        reading = plan.reading
        counted = (self._fingerprint, program_digest(), rules_source(), plan.local_days.zone_name, plan.rejects.size)
        options = (asdict(reading.fields), asdict(reading.window), reading.collection)
        version = _digest(counted, options, partition.source_version())
        return f"{_source_digest(partition)}-{version}-{_digest(partition.identity())}{_ENDING}"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the result of one partition is or goes; picklable.

    :param is_there: whether there is one.
    """

    place: Place
    name: str
    is_there: bool

    def load(self, plan: Plan) -> PartitionResult | None:
        """The result, or None where there is none that can be used."""
        if not self.is_there:
            return None
        try:
            with self.place.open(self.name) as file:
                return _result(file, plan)
        except (OSError, ValueError, KeyError, struct.error, pl.exceptions.PolarsError):
            return None  # cut short or of another hand: it is counted again

    def keep(self, plan: Plan, result: PartitionResult, *, takes_rejects: bool) -> bool:
        """Keep a result, where the same partition would always give it; whether it was kept.

        :raises ServiceError: it cannot be written.
        """
        if result.failure is not None:
            return False
        if (result.counts.rejected and not takes_rejects) or plan.stops_after(result.leading):
            return False
        with _errors_of(self.place), tempfile.SpooledTemporaryFile(4 * _BLOCK_BYTES, dir=_folder(plan)) as content:
            _write(result, content)
            content.seek(0)
            self.place.write(self.name, content)
        return True


@contextlib.contextmanager
def _errors_of(place: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServiceError(
            f"the checkpoint {place.shown} cannot be used: {error.strerror or error}",
            "Nothing was published. Check the folder, its permissions and its space, or run without --checkpoint.",
        ) from None


def _folder(plan: Plan) -> str | None:
    """Where the quarantine file is or will be: of the places for files of some size the one that is known."""
    quarantine = plan.rejects.quarantine
    return str(quarantine.parent) if quarantine is not None and quarantine.parent.is_dir() else None


def _source_digest(partition: Partition) -> str:
    return _digest(partition.source_version()[:1])


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()[:20]


@cache
def program_digest() -> str:
    """What tells this version of the program, and of the packages that count, from every other."""
    digest = hashlib.sha256()
    for package in ("core", "jobs"):
        for source in sorted((_ROOT / package).rglob("*.py")):
            digest.update(source.relative_to(_ROOT).as_posix().encode() + b"\0")
            digest.update(source.read_bytes())
    for name in _PACKAGES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return digest.hexdigest()


def _write(result: PartitionResult, file: IO[bytes]) -> None:
    """Write `result`: the lengths of four parts, the parts, and the SHA-256 of it all."""
    about = {
        "first": result.first,
        "last": result.last,
        "counts": asdict(result.counts),
        "rejects_by_reason": result.rejects_by_reason,
        "leading": asdict(result.leading),
        "length": result.length,
        "first_names": result.rejects.first_names,
    }
    parts = [json.dumps(about).encode()]
    for frame in (result.daily, result.kinds):
        content = io.BytesIO()
        frame.write_ipc(content, compression="zstd")
        parts.append(content.getvalue())
    digest = hashlib.sha256()

    def put(content: bytes) -> None:
        digest.update(content)
        file.write(content)

    put(_MAGIC + _LENGTHS.pack(*map(len, parts), result.rejects.size))
    for part in parts:
        put(part)
    for block in result.rejects.blocks():
        put(block)
    file.write(digest.digest())


def _result(file: IO[bytes], plan: Plan) -> PartitionResult:
    """What `_write` wrote; its rejects are copied in blocks, as there may be much of them.

    :raises ValueError: it is something else, or not all of it.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    digest = hashlib.sha256()

    def take(count: int) -> bytes:
        content = file.read(count)
        digest.update(content)
        return content

    head = take(len(_MAGIC) + _LENGTHS.size)
    lengths = _LENGTHS.unpack_from(head, len(_MAGIC))
    if not head.startswith(_MAGIC) or len(head) + sum(lengths) + _DIGEST_BYTES != size:
        raise ValueError("it is no whole result of a partition")
    *parts, rejects_bytes = *map(take, lengths[:-1]), lengths[-1]
    rejects = Rejects.of(
        plan.rejects, (take(min(_BLOCK_BYTES, rejects_bytes - at)) for at in range(0, rejects_bytes, _BLOCK_BYTES))
    )
    if digest.digest() != file.read():
        raise ValueError("it was changed since it was written")
    about: dict[str, Any] = json.loads(parts[0])
    daily, kinds = (pl.read_ipc(io.BytesIO(part)) for part in parts[1:3])
    if daily.schema != PARTIAL_SCHEMA or kinds.schema != KIND_SCHEMA:
        raise ValueError("its frames have other columns")
    rejects.first_names = tuple(about["first_names"])
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
