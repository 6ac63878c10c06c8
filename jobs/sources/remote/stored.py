"""Remote objects as sources: a single object, those of a folder, or all that match wildcards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import unquote

from core.errors import SourceError
from jobs.sources.dump_folder import FolderFile, only_file, parts_of
from jobs.sources.remote.objects import remote
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.storage import RemoteObject
from jobs.sources.remote.url import redacted_remote, remote_key, scheme_of
from jobs.sources.stored import SinglePass, Stored


@dataclass(frozen=True, slots=True)
class StoredObject(Stored):
    """A remote object with a version; see `Stored`. Its representation has no secrets.

    :param found: the object.
    :param options: time-outs and retries.
    """

    found: RemoteObject
    options: RemoteOptions

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.found.name

    @property
    def key(self) -> str:  # type: ignore[override]
        return remote_key(self.found.url)

    @property
    def size(self) -> int | None:  # type: ignore[override]
        """None if it can only be read as a whole."""
        return self.found.size if self.found.has_ranges else None

    @property
    def version(self) -> str:  # type: ignore[override]
        return self.found.version

    @property
    def has_end(self) -> bool:
        return self.found.has_end

    def open(self, start: int = 0, end: int | None = None) -> IO[bytes]:
        opened: Any = remote(self.options).open(self.found, start, end)
        return opened  # type: ignore[no-any-return]

    def require_unchanged(self) -> None:
        now = remote(self.options).describe(self.found.url)
        if now is None:
            raise self.found.changed("it was removed")
        if (now.version, now.size) != (self.found.version, self.found.size):
            raise self.found.changed(f"it was {self.found.version} and is {now.version or now.size}")


def stored_object(url: str, collection: str | None, options: RemoteOptions) -> tuple[Stored, bool]:
    """The object at that URL, or the only one to read of a folder; and whether that is a dump.

    An object without a version is read only once, as two responses could be of two versions.

    :raises UsageError: the URL is not supported.
    :raises SourceError: the object or the collection is missing; the folder has several sources; the storage does not
        answer, or refuses.
    """
    found, inside_dump = _find(url, collection, options)
    if found.version:
        return StoredObject(found, options), inside_dump
    opened: Any = remote(options).open(found)
    return SinglePass(found.name, opened, has_end=found.has_end), inside_dump


def modified_ms(url: str, collection: str | None, options: RemoteOptions) -> int | None:
    """The modification time of the object of `stored_object`, or None if unknown.

    :raises UsageError: see `stored_object`.
    :raises SourceError: see `stored_object`.
    """
    found, _ = _find(url, collection, options)
    return found.modified_ms


def _find(url: str, collection: str | None, options: RemoteOptions) -> tuple[RemoteObject, bool]:
    objects = remote(options)
    found = None if url.endswith("/") else objects.describe(url)
    if found is not None:
        return found, False
    chosen, inside_dump = only_file(redacted_remote(url), _files_below(url, options), collection)
    found = objects.describe(chosen.place)
    if found is None:
        raise SourceError(f"{redacted_remote(chosen.place)} was removed while it was read", "Try again.")
    return found, inside_dump


def _files_below(url: str, options: RemoteOptions) -> list[FolderFile[str]]:
    files = [_folder_file(url.rstrip("/"), one, options) for one in remote(options).below(url)]
    if not files:
        raise SourceError(f"{redacted_remote(url)} does not exist", "Check the URL.")
    return files


def sources_below(url: str, collection: str | None, options: RemoteOptions) -> Sequence[str]:
    """The URLs of the sources of a folder: itself if it is a dump, else the dumps of its shards, or its files.

    :param url: ends with a slash.
    :raises SourceError: it does not exist; which of its files to read is ambiguous; the storage does not answer, or
        refuses.
    """
    files, dumps = parts_of(redacted_remote(url), _files_below(url, options), collection)
    return [*(one.place for one in files), *(f"{url}{name}/" if name else url for name in dumps)]


def matching(url: str, options: RemoteOptions) -> Sequence[str]:
    """The URLs of the objects that match a URL with wildcards, at least one.

    :raises SourceError: none matches; the storage does not answer, or refuses.
    """
    found = remote(options).matching(url)
    if not found:
        raise SourceError(f"no object matches {redacted_remote(url)}", "Check the URL.")
    return found


def _folder_file(folder: str, url: str, options: RemoteOptions) -> FolderFile[str]:
    """The file at `url`, which is below `folder`."""

    def read() -> bytes:
        found = remote(options).describe(url)
        if found is None:
            raise FileNotFoundError
        with remote(options).open(found) as opened:
            return opened.read()

    is_http = scheme_of(url).startswith("http")
    *folders, name = url.removeprefix(f"{folder}/").split("/")
    database = folders[-1] if folders else folder.rpartition("/")[2]
    return FolderFile(unquote(database), unquote(name) if is_http else name, tuple(folders), read, url)
