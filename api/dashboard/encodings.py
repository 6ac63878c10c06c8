"""One body in each content encoding that a browser may ask for."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from hashlib import sha256

import brotli

_BROTLI_QUALITY = 9  # as small as 11 within some percent, in a tenth of the time


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file as it goes over the wire, encoded once.

    :param digest: 16 hex digits of the SHA-256 of the plain bytes.
    """

    plain: bytes
    gzip: bytes
    br: bytes
    digest: str

    def best(self, accept_encoding: str) -> tuple[bytes, str | None]:
        """The smallest body that `accept_encoding` (the header's value) allows, and its content encoding."""
        accepted = _accepted(accept_encoding)
        if "br" in accepted:
            return self.br, "br"
        if "gzip" in accepted:
            return self.gzip, "gzip"
        return self.plain, None


def encode(plain: bytes) -> Encoded:
    """`plain` in every encoding; the same bytes give the same result."""
    return Encoded(
        plain=plain,
        gzip=gzip.compress(plain, mtime=0),
        br=brotli.compress(plain, quality=_BROTLI_QUALITY),
        digest=sha256(plain).hexdigest()[:16],
    )


def _accepted(header: str) -> set[str]:
    """The codings that an Accept-Encoding header names with a weight above zero."""
    names = set()
    for item in header.lower().split(","):
        name, _, parameter = item.partition(";")
        weight = parameter.replace(" ", "").removeprefix("q=")
        if weight.strip("0.") or not parameter:
            names.add(name.strip())
    return names
