"""The interface of object storages, and the mapping of their failures to errors.

A storage is asynchronous: its coroutines run on fsspec's event loop (`jobs.sources.remote.objects`).
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import ssl
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from core.errors import SourceChanged, SourceError, UsageError
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.url import GOOGLE, HTTP, S3, redacted_remote, scheme_of, with_plain_scheme

_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that are retried; 503 is also SlowDown of S3."""
_TRANSIENT_CODES: Final = frozenset(
    {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "InternalError"}
)
_CONNECTION_ERRORS: Final = frozenset(
    {"ClientConnectionError", "ClientPayloadError", "ConnectionError", "HTTPClientError", "TransportError"}
)
"""Names of exceptions of aiohttp, botocore and google-auth, which need not be installed; subclasses match too."""
_DENIED: Final = frozenset({401, 403})
MISSING: Final = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """An object at one version; reading another version fails.

    :param url: including secrets; not in the representation, which may be logged.
    :param size: in bytes, or None if the server sends no size or no version.
    :param version: the ETag or generation, else modification time and size; empty if there is neither.
    :param modified_ms: modification time, or None.
    :param has_ranges: whether the server supports range requests for it.
    :param has_end: whether the server sends its size or its end, so that a truncated response is detected.
    """

    url: str = field(repr=False)
    size: int | None
    version: str
    modified_ms: int | None = None
    has_ranges: bool = True
    has_end: bool = True

    @property
    def name(self) -> str:
        """Its name in messages, without secrets."""
        return redacted_remote(self.url)

    def changed(self, now: str) -> SourceChanged:
        """The error for a changed version, described by `now`."""
        return SourceChanged(
            f"{self.name} changed while it was read: {now}",
            "Nothing was published. Run the same command again when no program writes to it.",
        )


class Answered(Exception):
    """A server answered with an error status.

    :param status: the HTTP status.
    :param code: the storage's error code, such as ``SlowDown``; or empty.
    """

    def __init__(self, status: int, code: str = "") -> None:
        super().__init__(f"the server answered {status}" + (f" ({code})" if code else ""))
        self.status = status
        self.code = code


class CutOff(Exception):
    """A response had fewer bytes than announced."""

    def __init__(self, received: int, announced: int) -> None:
        super().__init__(f"the response was truncated: received {received} of {announced} bytes")


class Unauthenticated(Exception):
    """No credentials were found; the text names the places that were searched."""


class Storage(Protocol):
    """One kind of object storage. All methods raise `Answered` and connection errors of the library."""

    loop: asyncio.AbstractEventLoop

    async def describe(self, url: str) -> RemoteObject:
        """The object at that URL.

        :raises FileNotFoundError: there is none.
        """

    async def read(self, found: RemoteObject, start: int, end: int) -> bytes:
        """The bytes ``[start, end)``, perhaps fewer.

        :raises SourceChanged: the object's version has changed.
        """

    def stream(self, found: RemoteObject) -> AsyncGenerator[bytes]:
        """All bytes of one response, in pieces.

        :raises SourceChanged: the object's version has changed.
        """

    async def below(self, url: str) -> Sequence[str]:
        """The URLs of all objects in a folder, recursively; empty if the folder does not exist.

        HTTP servers are listed down to `FOLDER_LEVELS` levels, with the folders of the last one.
        """

    async def matching(self, url: str) -> Sequence[str]:
        """The URLs of the objects that match a URL with wildcards."""


_KINDS: Final = {
    **dict.fromkeys(S3, ("s3fs", "jobs.sources.remote.s3", "S3Storage")),
    **dict.fromkeys(GOOGLE, ("gcsfs", "jobs.sources.remote.google", "GoogleStorage")),
    **dict.fromkeys(HTTP, ("aiohttp", "jobs.sources.remote.http", "HttpStorage")),
}
"""The package, module and class of the storage for each scheme."""


def new_storage(url: str, options: RemoteOptions) -> Storage:
    """The storage for `url`, whose scheme is supported.

    :raises SourceError: the packages for it are not installed.
    """
    package, module, name = _KINDS[scheme_of(url)]
    try:
        kind: Any = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in (package, "fsspec"):
            raise
        raise SourceError(
            f"{redacted_remote(url)} cannot be read: the package {error.name} is not installed",
            "Install it: pip install --require-hashes -r pins/requirements-cluster.txt",
        ) from None
    storage: Storage = kind(options)
    return storage


def file_system_at(url: str, option: str) -> tuple[Any, str]:
    """The fsspec file system to write to `url`, with credentials of the environment, and the path there.

    :param option: the option that needs it, for messages.
    :raises UsageError: the packages for it are not installed.
    :raises ValueError: the scheme is not supported for writing.
    """
    try:
        from fsspec.core import url_to_fs

        files, path = url_to_fs(with_plain_scheme(url))
    except ImportError:
        raise UsageError(
            f"{option} needs packages that are not installed",
            "Install them with: pip install --require-hashes -r pins/requirements-cluster.txt",
        ) from None
    return files, str(path)


def raise_unless_missing(error: OSError) -> None:
    """Raise an error of listing a folder, unless the folder does not exist."""
    if not isinstance(error, FileNotFoundError):
        raise error


def is_transient(error: BaseException) -> bool:
    """Whether a retry of the request may succeed."""
    if isinstance(error, Answered):
        return error.status in _TRANSIENT or error.code in _TRANSIENT_CODES
    if any(_is_lasting(cause) for cause in _causes(error)):
        return False
    return isinstance(error, CutOff | TimeoutError | ConnectionError) or any(
        kind.__name__ in _CONNECTION_ERRORS for kind in type(error).__mro__
    )


def _is_lasting(cause: BaseException) -> bool:
    """Whether `cause` of a failed connection is permanent: an unknown host or an invalid certificate."""
    unknown_host = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME
    return unknown_host or isinstance(cause, ssl.SSLCertVerificationError)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__ or getattr(error, "os_error", None)


def source_error(url: str, error: Exception, options: RemoteOptions) -> SourceError:
    """`error` as a `SourceError` for users. Raise it ``from None``, as `error` may contain the URL's secrets."""
    name = redacted_remote(url)
    if isinstance(error, SourceError):
        return error
    if isinstance(error, FileNotFoundError) or (isinstance(error, Answered) and error.status in MISSING):
        return SourceError(f"{name} does not exist", "Check the URL.")
    if isinstance(error, Unauthenticated):
        return SourceError(f"{name} cannot be read: no credentials were found", str(error))
    if isinstance(error, Answered) and error.status in _DENIED:
        return SourceError(f"{name} cannot be read: {error}", "Check the credentials, and what they may read.")
    if isinstance(error, Answered | CutOff):
        reason = str(error)
    elif isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        reason = f"the server sent nothing for {options.timeout_s:g} s"
    elif is_transient(error):
        reason = f"the connection failed ({type(error).__name__})"
    else:
        return SourceError(f"{name} cannot be read ({type(error).__name__})", "Check the URL and the credentials.")
    tried = f", {options.backoff.retries + 1} times in a row" if is_transient(error) and options.backoff.retries else ""
    return SourceError(f"{name} cannot be read: {reason}{tried}", "Check that the server works, then try again.")
