"""Objects of S3 and of compatible servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partialmethod
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from fsspec.asyn import get_loop
from s3fs import S3FileSystem

from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.storage import Answered, RemoteObject, Storage, Unauthenticated, raise_unless_missing

_CONNECTIONS: Final = 64
_PIECE_BYTES: Final = 1024 * 1024
_NOT_THE_SAME: Final = frozenset({404, 412, 416})


class _Files(S3FileSystem):  # type: ignore[misc]
    """Raises the errors of all folders of a listing; fsspec leaves these folders out."""

    _walk = partialmethod(S3FileSystem._walk, on_error=raise_unless_missing)


class S3Storage(Storage):
    """Objects of S3, with botocore's credentials: environment, ``~/.aws``, instance roles.

    ``AWS_ENDPOINT_URL`` is the address of a compatible server; ``FSSPEC_S3_ANON=true`` reads public buckets.
    """

    def __init__(self, options: RemoteOptions) -> None:
        self.loop: asyncio.AbstractEventLoop = get_loop()
        self._fs: Any = _Files(
            config_kwargs={
                "connect_timeout": options.timeout_s,
                "read_timeout": options.timeout_s,
                "retries": {"total_max_attempts": 1},  # `Remote` retries
                "max_pool_connections": _CONNECTIONS,
            },
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        self._fs.retries = 1

    async def describe(self, url: str) -> RemoteObject:
        bucket, key, version_id = self._fs.split_path(url)
        if not key or key.endswith("/"):
            raise FileNotFoundError
        with _botocore_errors():
            head = await self._fs._call_s3("head_object", Bucket=bucket, Key=key, **_of_version(version_id))
        modified_ms = int(head["LastModified"].timestamp() * 1000)
        return RemoteObject(url, head["ContentLength"], head["ETag"], modified_ms)

    async def read(self, found: RemoteObject, start: int, end: int) -> bytes:
        async with self._body(found, Range=f"bytes={start}-{end - 1}") as body:
            content: bytes = await body.read()
        return content

    async def stream(self, found: RemoteObject) -> AsyncGenerator[bytes]:
        async with self._body(found) as body:
            async for piece in body.iter_chunks(_PIECE_BYTES):
                yield piece

    async def below(self, url: str) -> Sequence[str]:
        with _botocore_errors():
            return _urls(url, await self._fs._find(url))

    async def matching(self, url: str) -> Sequence[str]:
        with _botocore_errors():
            return _urls(url, await self._fs._glob(url))

    @asynccontextmanager
    async def _body(self, found: RemoteObject, **options: str) -> AsyncIterator[Any]:
        bucket, key, version_id = self._fs.split_path(found.url)
        options |= _of_version(version_id)
        try:
            with _botocore_errors():
                answer = await self._fs._call_s3("get_object", Bucket=bucket, Key=key, IfMatch=found.version, **options)
        except (Answered, FileNotFoundError) as error:
            if isinstance(error, FileNotFoundError) or error.status in _NOT_THE_SAME:
                raise found.changed(f"its version with the ETag {found.version} no longer exists") from None
            raise
        with _botocore_errors():
            async with answer["Body"] as body:
                # Some servers ignore If-Match.
                if answer["ETag"] != found.version:
                    raise found.changed(f"its ETag was {found.version} and is {answer['ETag']}")
                yield body


def _of_version(version_id: str | None) -> dict[str, str]:
    return {"VersionId": version_id} if version_id else {}


def _urls(url: str, paths: Sequence[str]) -> list[str]:
    scheme = url.partition("://")[0]
    return [f"{scheme}://{path}" for path in sorted(paths) if not path.endswith("/")]


@contextmanager
def _botocore_errors() -> Iterator[None]:
    """Convert botocore's errors, which s3fs wraps in OSError, to those of `Storage`."""
    try:
        yield
    except (BotoCoreError, ClientError, OSError) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, BotoCoreError | ClientError):
            cause = cause.__cause__
        if isinstance(cause, NoCredentialsError | PartialCredentialsError):
            hint = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FSSPEC_S3_ANON=true for a public bucket."
            raise Unauthenticated(hint) from None
        if isinstance(cause, ClientError):
            status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            raise Answered(status, str(cause.response.get("Error", {}).get("Code", ""))) from None
        raise
