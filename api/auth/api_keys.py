"""Tokens: what a client sends, and what of it is stored.

A token is ``tss_<id>_<secret>``. The id finds the stored key; of the token only the SHA-256 is kept. The secret has 256
random bits, so that a plain hash is enough: there is nothing to guess.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import Final

_ID_BYTES: Final = 7  # of which ten characters of base32 hold 50 bits: two keys hardly ever share an id
_ID_LENGTH: Final = 10
_SECRET_BYTES: Final = 32
_TOKEN: Final = re.compile(r"tss_([a-z2-7]{10})_[A-Za-z0-9_-]{43}")


def new_token() -> tuple[str, str]:
    """A new key's id and its token, which is shown once and kept nowhere."""
    key_id = base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode("ascii").lower()[:_ID_LENGTH]
    return key_id, token_of(key_id)


def token_of(key_id: str) -> str:
    """A new token with the id `key_id`."""
    return f"tss_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def id_in(token: str) -> str | None:
    """The id of the key that `token` claims to be, or None when it is no token at all."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else None


def digest_of(token: str) -> bytes:
    """The SHA-256 of `token`, 32 bytes."""
    return hashlib.sha256(token.encode("utf-8")).digest()
