"""Answers as they go over the wire: a body in one encoding, its headers and its strong ETag."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Final, Literal, NamedTuple

import brotli
import falcon.asgi

Encoding = Literal["identity", "gzip", "br"]

_PREFERRED: Final[tuple[Encoding, ...]] = ("br", "gzip", "identity")
_LEAST_BYTES: Final = 512  # what fits in one packet anyway gains nothing
_GZIP_LEVEL: Final = 6
_BROTLI_QUALITY: Final = 5
_OVERHEAD_BYTES: Final = 2048  # of the objects that hold an answer and its query, as measured


REVALIDATED: Final = "private, no-cache"
"""The header Cache-Control of what a client may keep, but must ask about each time."""
BY_CALLER: Final = "Accept-Encoding, Authorization"
"""The header Vary of what is not the same for each caller."""


class Preference(NamedTuple):
    """How a client wants bodies.

    :param only_encoded: whether it refuses them unencoded, however short they are.
    """

    encoding: Encoding
    only_encoded: bool = False


@dataclass(frozen=True)
class CacheableResponse:
    """A body, ready to be sent.

    :param etag: strong, with its quotes; two encodings of a body have two.
    :param link: the value of the header Link, or None when there is no next page.
    :param filename: what a browser shall call the body when it saves it, or None.
    :param vary: the request headers that it depends on.
    :param query_bytes: how large the query is that it is kept for, where that is larger than most.
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
        """What keeping it costs, in bytes."""
        return len(self.body) + self.query_bytes + _OVERHEAD_BYTES

    def encoded(self, preference: Preference) -> CacheableResponse:
        """This answer, which must not be encoded yet, as the client prefers it; a short one stays as it is."""
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
        """Make it the response to `req`: 304 without the body when the client has it already."""
        resp.append_header("Vary", self.vary)
        if _matches(req.get_header("If-None-Match"), self.etag):
            resp.set_headers(self.headers[: self._UNCHANGED if self.link is None else self._UNCHANGED + 1])
            resp.status = 304
            req.context.cache = "not-modified"
            return
        resp.set_headers(self.headers)
        resp.data = self.body

    _UNCHANGED: ClassVar[int] = 2
    """How many of `headers` every answer has, also one that says that nothing has changed."""

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """Those of the response that are of the body."""
        optional = (
            ("Link", self.link),
            ("Content-Encoding", self.encoding if self.encoding != "identity" else None),
            ("Content-Disposition", self.filename and f'attachment; filename="{self.filename}"'),
        )
        given = [(name, value) for name, value in optional if value is not None]
        return [
            ("ETag", self.etag),
            ("Cache-Control", self.cache_control),
            *given,
            ("Content-Type", self.content_type),
        ]


CSV: Final = "text/csv; charset=utf-8"


def csv_bytes(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """CSV (RFC 4180) with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")


def etag_of(version: str, query: Hashable, body: bytes) -> str:
    """The strong ETag of `body`, unencoded, with which `query` is answered in the published state `version`.

    The body is part of it so that another release of this program, which may write the same numbers differently, has
    ETags of its own.

    :param query: its `repr` must tell it from any other query.
    """
    digest = hashlib.sha256(repr(query).encode())  # which processors have instructions for
    digest.update(body)
    return f'"{version}-{digest.hexdigest()[:16]}"'


@lru_cache(maxsize=256)
def preference_in(accept_encoding: str | None) -> Preference:
    """The best of the encodings that the header Accept-Encoding accepts; equal ones in the order br, gzip, identity.

    Where it accepts none that we have, unencoded is better than nothing (RFC 9110, 12.5.3).

    >>> preference_in("gzip, deflate, br;q=0.5")
    Preference(encoding='gzip', only_encoded=False)
    """
    weights = _weights(accept_encoding or "")
    others = weights.get("*", 0.0)
    # Whatever is not named nor covered by a star is not acceptable, but for identity, which is the last resort.
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


def _matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the header If-None-Match names `etag`; weakly, as RFC 9110 (13.1.2) has it."""
    if if_none_match is None:
        return False
    named = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return "*" in named or etag in named
