"""Remote objects as sources: a single object, one in a dump's folder, or all that match wildcards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import unquote

from core.errors import SourceError
from jobs.sources.dump_folder import DumpedFile, chosen_file
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
        """See `Stored`."""
        return self.found.name

    @property
    def key(self) -> str:  # type: ignore[override]
        """See `Stored`."""
        return remote_key(self.found.url)

    @property
    def size(self) -> int | None:  # type: ignore[override]
        """See `Stored`; None if it can only be read as a whole."""
        return self.found.size if self.found.has_ranges else None

    @property
    def version(self) -> str:  # type: ignore[override]
        """See `Stored`."""
        return self.found.version

    def open(self, start: int = 0, end: int | None = None) -> IO[bytes]:
        """See `Stored.open`."""
        opened: Any = remote(self.options).open(self.found, start, end)
        return opened  # type: ignore[no-any-return]

    def require_unchanged(self) -> None:
        """See `Stored.require_unchanged`."""
        now = remote(self.options).describe(self.found.url)
        if now is None:
            raise self.found.changed("it was removed")
        if (now.version, now.size) != (self.found.version, self.found.size):
            raise self.found.changed(f"it was {self.found.version} and is {now.version or now.size}")


def stored_object(url: str, collection: str | None, options: RemoteOptions) -> tuple[Stored, bool]:
    """The object at that URL, or the transactions in a dump's folder; and whether it is such a folder.

    An object without a version is read only once, as two responses could be of two versions.

    :raises UsageError: the URL is not supported.
    :raises SourceError: the object or the collection is missing; the storage does not answer, or refuses.
    """
    found, inside_dump = _find(url, collection, options)
    if found.version:
        return StoredObject(found, options), inside_dump
    opened: Any = remote(options).open(found)
    return SinglePass(found.name, opened), inside_dump


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
    files = [_dumped(url, one, options) for one in objects.below(url)]
    if not files:
        raise SourceError(f"{redacted_remote(url)} does not exist", "Check the URL.")
    chosen = chosen_file(redacted_remote(url), files, collection)
    found = objects.describe(chosen.place)
    if found is None:
        raise SourceError(f"{redacted_remote(chosen.place)} was removed meanwhile", "Try again.")
    return found, True


def matching(url: str, options: RemoteOptions) -> Sequence[str]:
    """The URLs of the objects that match a URL with wildcards, at least one.

    :raises SourceError: none matches; the storage does not answer, or refuses.
    """
    found = remote(options).matching(url)
    if not found:
        raise SourceError(f"no object matches {redacted_remote(url)}", "Check the URL.")
    return found


def _dumped(folder: str, url: str, options: RemoteOptions) -> DumpedFile[str]:
    def read() -> bytes:
        found = remote(options).describe(url)
        if found is None:
            raise FileNotFoundError
        with remote(options).open(found) as opened:
            return opened.read()

    folders, _, name = url.rpartition("/")
    is_http = scheme_of(url).startswith("http")
    database = folders.rpartition("/")[2]
    return DumpedFile(
        unquote(database),
        unquote(name) if is_http else name,
        folders == folder.rstrip("/"),
        read,
        url,
    )
