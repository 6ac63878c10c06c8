"""Files of HTTP servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from email.utils import parsedate_to_datetime
from functools import partialmethod
from typing import Any, Final

import aiohttp
import yarl
from fsspec.asyn import get_loop
from fsspec.implementations.http import HTTPFileSystem

from core.errors import SourceError
from core.loopback import is_loopback
from jobs.sources.dump_folder import FOLDER_LEVELS
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.storage import Answered, RemoteObject, Storage, raise_unless_missing
from jobs.sources.remote.url import redacted_remote

_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_EMPTY: Final = re.compile(r"bytes \*/0")


class _Files(HTTPFileSystem):  # type: ignore[misc]
    """Raises the errors of all folders of a listing; fsspec leaves these folders out."""

    _walk = partialmethod(HTTPFileSystem._walk, on_error=raise_unless_missing)

    async def _ls(self, url: str, detail: bool = True, **options: Any) -> Sequence[Any]:
        found = await super()._ls(url, detail=True, **options)
        # Some servers write ./name in their links.
        links = [link | {"name": link["name"].replace("/./", "/")} for link in found]
        return links if detail else sorted(link["name"] for link in links)


class HttpStorage(Storage):
    """Files of HTTP servers, read by range requests if supported; folders are the links of their index pages.

    Credentials are from the URL or ``~/.netrc``, proxies from the environment.
    """

    def __init__(self, options: RemoteOptions) -> None:
        self.loop: asyncio.AbstractEventLoop = get_loop()
        self._fs: Any = _Files(
            client_kwargs={
                "timeout": aiohttp.ClientTimeout(
                    total=None, sock_connect=options.timeout_s, sock_read=options.timeout_s
                ),
                # No content encoding: sizes and ranges are of stored bytes.
                "auto_decompress": False,
                "headers": {"Accept-Encoding": "identity"},
                "trust_env": True,
            },
            skip_instance_cache=True,
        )

    async def describe(self, url: str) -> RemoteObject:
        # By GET, as a URL may be signed for this method only.
        async with self._answer(url, 0, 1) as answer:
            if answer.status == 206 and (found := _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))):
                size: int | None = int(found[3])
            elif answer.status == 416 and _EMPTY.fullmatch(answer.headers.get("Content-Range", "")):
                size = 0
            elif answer.status == 200:
                size = answer.content_length
            else:
                raise Answered(answer.status)
            version = _version(answer, size)
            has_end = size is not None or "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
            if not version:  # later responses may be of another version
                return RemoteObject(url, None, "", _modified_ms(answer), has_ranges=False, has_end=has_end)
            return RemoteObject(url, size, version, _modified_ms(answer), answer.status != 200, has_end)

    async def read(self, found: RemoteObject, start: int, end: int) -> bytes:
        async with self._answer(found.url, start, end) as answer:
            if answer.status not in (200, 206, 416):
                raise Answered(answer.status)
            part = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            self._require_same(found, answer, int(part[3]) if part else answer.content_length)
            if answer.status != 206 or part is None or int(part[1]) != start:
                raise SourceError(
                    f"{found.name} cannot be read: the server supported range requests at first, and then did not",
                    "Copy the file, and read the copy.",
                )
            return await answer.read()

    async def stream(self, found: RemoteObject) -> AsyncGenerator[bytes]:
        async with self._answer(found.url) as answer:
            if answer.status != 200:
                raise Answered(answer.status)
            self._require_same(found, answer, answer.content_length)
            async for piece in answer.content.iter_any():
                yield piece

    async def below(self, url: str) -> Sequence[str]:
        # Links may be circular, so the levels are limited.
        files: set[str] = set()
        seen: set[str] = set()
        top = {url.rstrip("/") + "/"}
        folders = top
        with _statuses():
            for _ in range(FOLDER_LEVELS):
                seen |= folders
                try:
                    links = {link["name"] for one in sorted(folders) for link in await self._fs._ls(one)}
                except FileNotFoundError:
                    if folders is top:
                        return []
                    raise SourceError(
                        f"{redacted_remote(url)} links to a folder that does not exist",
                        "Check its index pages, or name the files to read.",
                    ) from None
                # A page may link to itself in another order: ?C=N;O=D
                links = {link for link in links if link.partition("?")[0] not in seen}
                folders = {link for link in links if link.endswith("/")}
                files |= links - folders
            if not seen - top and not files and await self._fs._isfile(url):
                return [url]
        return sorted(files | folders)

    async def matching(self, url: str) -> Sequence[str]:
        with suppress(FileNotFoundError), _statuses():
            found: list[str] = await self._fs._glob(url)
            return sorted(found)
        return ()

    @asynccontextmanager
    async def _answer(
        self, url: str, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to a GET of ``[start, end)`` or of all bytes, with an unread body."""
        session: aiohttp.ClientSession = await self._fs.set_session()
        headers = {} if start is None or end is None else {"Range": f"bytes={start}-{end - 1}"}
        # A signed URL must not be changed; one with spaces or non-ASCII letters must be percent-encoded.
        address = yarl.URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)
        async with session.get(address, headers=headers) as answer:
            if answer.url.scheme == "http" and not is_loopback(answer.url.host):
                raise SourceError(
                    f"{redacted_remote(url)} redirects to {redacted_remote(str(answer.url))}, which is not encrypted",
                    "Name the https:// URL of the file itself.",
                )
            yield answer

    def _require_same(self, found: RemoteObject, answer: aiohttp.ClientResponse, size: int | None) -> None:
        if (now := _version(answer, size)) != found.version or (found.size is not None and size != found.size):
            raise found.changed(f"it was {_described(found.version, found.size)} and is {_described(now, size)}")


def _version(answer: aiohttp.ClientResponse, size: int | None) -> str:
    """The version of a file; empty if the server sends none."""
    if etag := answer.headers.get("ETag"):
        return f"ETag {etag}"
    modified = answer.headers.get("Last-Modified")
    return f"of {modified} with {size} bytes" if modified and size is not None else ""


def _described(version: str, size: int | None) -> str:
    return f"{version or 'without ETag'}, {'of unknown size' if size is None else f'{size} bytes'}"


def _modified_ms(answer: aiohttp.ClientResponse) -> int | None:
    with suppress(ValueError):
        return int(parsedate_to_datetime(answer.headers.get("Last-Modified", "")).timestamp() * 1000)
    return None


@contextmanager
def _statuses() -> Iterator[None]:
    """Convert fsspec's errors for a status to `Answered`."""
    try:
        yield
    except aiohttp.ClientResponseError as error:
        raise Answered(error.status) from None
