"""Objects of Google Cloud Storage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Final

import aiohttp
from fsspec.asyn import get_loop
from gcsfs import GCSFileSystem
from gcsfs.retry import HttpError

from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.storage import Answered, RemoteObject, Storage

_NOT_THE_SAME: Final = frozenset({404, 412, 416})

# It logs failures with the request; we raise them as errors.
logging.getLogger("gcsfs").addHandler(logging.NullHandler())
logging.getLogger("gcsfs").propagate = False


class GoogleStorage(Storage):
    """Objects of Google Cloud Storage, with application default credentials.

    ``GOOGLE_APPLICATION_CREDENTIALS`` is the path of a key file, ``FSSPEC_GS_TOKEN=anon`` reads public buckets, and
    ``STORAGE_EMULATOR_HOST`` is the address of a compatible server.
    """

    def __init__(self, options: RemoteOptions) -> None:
        self.loop: asyncio.AbstractEventLoop = get_loop()
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=options.timeout_s, sock_read=options.timeout_s)
        self._fs: Any = GCSFileSystem(
            access="read_only",
            version_aware=True,
            session_kwargs={"auto_decompress": False, "trust_env": True},
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    async def describe(self, url: str) -> RemoteObject:
        bucket, key, generation = self._fs.split_path(url)
        if not key or key.endswith("/"):
            raise FileNotFoundError
        address = self._fs._format_path("b/{}/o/{}", (bucket, key))
        async with self._answer(address, {"generation": generation} if generation else {}) as answer:
            found = await answer.json()
        modified_ms = int(datetime.fromisoformat(found["updated"]).timestamp() * 1000)
        return RemoteObject(url, int(found["size"]), str(found["generation"]), modified_ms)

    async def read(self, found: RemoteObject, start: int, end: int) -> bytes:
        async with self._content(found, {"Range": f"bytes={start}-{end - 1}"}) as answer:
            return await answer.read()

    async def stream(self, found: RemoteObject) -> AsyncGenerator[bytes]:
        async with self._content(found, {}) as answer:
            async for piece in answer.content.iter_any():
                yield piece

    async def below(self, url: str) -> Sequence[str]:
        return await self._listed(url, self._fs._find(url))

    async def matching(self, url: str) -> Sequence[str]:
        return await self._listed(url, self._fs._glob(url))

    async def _listed(self, url: str, listing: Any) -> Sequence[str]:
        scheme = url.partition("://")[0]
        with suppress(FileNotFoundError):
            try:
                # The names end with the generation, which `describe` looks up again.
                found: list[str] = await listing
            except HttpError as error:
                raise Answered(int(error.code or 0)) from None
            return [f"{scheme}://{path.partition('#')[0]}" for path in sorted(found) if not path.endswith("/")]
        return ()

    @asynccontextmanager
    async def _content(self, found: RemoteObject, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        path = found.url.partition("#")[0]
        # Accept gzip, so that the server sends the stored bytes without transcoding.
        wanted = {"Accept-Encoding": "gzip", **headers}
        try:
            async with self._answer(self._fs.url(path, generation=found.version), {}, wanted) as answer:
                now = answer.headers.get("x-goog-generation", found.version)
                if now != found.version:
                    raise found.changed(f"its generation was {found.version} and is {now}")
                yield answer
        except Answered as error:
            if error.status in _NOT_THE_SAME:
                raise found.changed(f"its generation {found.version} no longer exists") from None
            raise

    @asynccontextmanager
    async def _answer(
        self, address: str, params: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        await self._fs._set_session()
        async with self._fs.session.get(
            address,
            params=self._fs._get_params(params),
            headers=self._fs._get_headers(headers),
            timeout=self._timeout,
        ) as answer:
            if answer.status not in (200, 206):
                raise Answered(answer.status)
            yield answer
