"""Responses with a strong ETag, in the content encoding that the client prefers."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import brotli
import falcon.asgi

Encoding = Literal["identity", "gzip", "br"]

_PREFERRED: Final[tuple[Encoding, ...]] = ("br", "gzip", "identity")
_LEAST_BYTES: Final = 512  # a body that fits in one packet gains nothing from compression
_GZIP_LEVEL: Final = 6
_BROTLI_QUALITY: Final = 5
_OVERHEAD_BYTES: Final = 2048  # measured: the objects of a response and its query


REVALIDATED: Final = "private, no-cache"
"""The header Cache-Control of responses that a client may cache, but must revalidate each time."""
OWN_HEADERS: Final = frozenset(
    ("etag", "cache-control", "link", "content-type", "content-encoding", "content-disposition", "content-length")
)
"""The headers that depend on the response, not on the request alone."""
BY_CALLER: Final = "Accept-Encoding, Authorization"
"""The header Vary of responses that depend on the caller."""


class Preference(NamedTuple):
    """The encoding of bodies that a client prefers.

    :param only_encoded: whether it refuses unencoded bodies, also short ones.
    """

    encoding: Encoding
    only_encoded: bool = False


@dataclass(frozen=True, slots=True)
class CacheableResponse:
    """A body in one encoding, with its headers.

    :param etag: strong, with its quotes; different for each encoding.
    :param link: the value of the header Link, or None if there is no next page.
    :param filename: the name of the file when a browser saves it, or None.
    :param vary: the request headers that it depends on.
    :param query_bytes: the size of the query as the key of the cache, if it is larger than most.
    """

    body: bytes
    content_type: str
    etag: str
    encoding: Encoding = "identity"
    link: str | None = None
    filename: str | None = None
    cache_control: str = REVALIDATED
    vary: str = BY_CALLER
    query_bytes: int = 0

    @property
    def size(self) -> int:
        """Its size in the cache, in bytes."""
        return len(self.body) + self.query_bytes + _OVERHEAD_BYTES

    def encoded(self, preference: Preference) -> CacheableResponse:
        """This unencoded response in the encoding that the client prefers; short bodies are not encoded."""
        encoding = preference.encoding
        if encoding == "identity" or (len(self.body) < _LEAST_BYTES and not preference.only_encoded):
            return self
        body = (
            gzip.compress(self.body, _GZIP_LEVEL, mtime=0)
            if encoding == "gzip"
            else brotli.compress(self.body, mode=brotli.MODE_TEXT, quality=_BROTLI_QUALITY)
        )
        return replace(self, body=body, encoding=encoding, etag=f'{self.etag[:-1]}-{encoding}"')

    def send(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Make it the response to `req`: 304 without the body if the client has it already."""
        resp.append_header("Vary", self.vary)
        is_known = self.is_in(req.get_header("If-None-Match"))
        resp.set_headers(self.headers(is_known=is_known))
        if is_known:
            resp.status = 304
            req.context.cache = "not-modified"
        else:
            resp.data = self.body

    def is_in(self, if_none_match: str | None) -> bool:
        """Whether the header If-None-Match has its ETag, by weak comparison (RFC 9110, 13.1.2)."""
        if if_none_match is None:
            return False
        named = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
        return "*" in named or self.etag in named

    def headers(self, *, is_known: bool) -> list[tuple[str, str]]:
        """The headers that depend on the response: names in `OWN_HEADERS` and values.

        :param is_known: whether it is sent as 304.
        """
        found = [("etag", self.etag), ("cache-control", self.cache_control)]
        if self.link is not None:
            found.append(("link", self.link))
        if is_known:
            return found
        found.append(("content-type", self.content_type))
        if self.encoding != "identity":
            found.append(("content-encoding", self.encoding))
        if self.filename is not None:
            found.append(("content-disposition", f'attachment; filename="{self.filename}"'))
        return found

    def lines(self, *, is_known: bool) -> bytes:
        """Its `headers`, and Content-Length unless it is sent as 304, each with its line break."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in self.headers(is_known=is_known)])
        return lines.encode() if is_known else f"{lines}content-length: {len(self.body)}\r\n".encode()


CSV: Final = "text/csv; charset=utf-8"


def csv_bytes(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """CSV (RFC 4180) with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")


def etag_of(version: str, query: Hashable, body: bytes) -> str:
    """The strong ETag of `body`, unencoded, the response to `query` for the published `version`.

    It depends on the body, so that another release of this program, which may format numbers differently, has other
    ETags.

    :param query: its `repr` must be unique.
    """
    digest = hashlib.sha256(repr(query).encode())  # processors have instructions for SHA-256
    digest.update(body)
    return f'"{version}-{digest.hexdigest()[:16]}"'


@lru_cache(maxsize=256)
def preference_in(accept_encoding: str | None) -> Preference:
    """The encoding that the header Accept-Encoding prefers; of equal ones the first of br, gzip, identity.

    If it accepts none of these, bodies are not encoded (RFC 9110, 12.5.3).

    >>> preference_in("gzip, deflate, br;q=0.5")
    Preference(encoding='gzip', only_encoded=False)
    """
    weights = _weights(accept_encoding or "")
    others = weights.get("*", 0.0)
    # An encoding that is neither named nor matched by a star is not acceptable, except identity as the last resort.
    by_encoding = {encoding: weights.get(encoding, others) for encoding in _PREFERRED}
    by_encoding["identity"] = max(by_encoding["identity"], 1e-6)
    best = max(_PREFERRED, key=by_encoding.__getitem__)
    return Preference(best, only_encoded=weights.get("identity", weights.get("*", 1.0)) == 0.0)


def _weights(accept_encoding: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        name, _, parameter = part.partition(";")
        key, _, weight = parameter.partition("=")
        if name.strip():
            weights[name.strip()] = _weight(weight) if key.strip() == "q" else 1.0
    return weights


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
