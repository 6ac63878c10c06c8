"""URLs of remote objects: detects, validates and redacts them."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from core.errors import UsageError
from core.loopback import is_loopback
from jobs.sources.wildcards import has_wildcards

S3: Final = frozenset({"s3", "s3a"})
GOOGLE: Final = frozenset({"gs", "gcs"})
HTTP: Final = frozenset({"http", "https"})

# Also without slashes, so that a misspelt URL is not taken for a file name and printed with its secrets.
_REMOTE: Final = re.compile(r"(?P<scheme>s3a?|gs|gcs|https?|(?!mongodb)[a-z][a-z0-9+.-]*(?=://)):", re.IGNORECASE)
_HOST: Final = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?", re.ASCII)
_SIGNATURE: Final = re.compile(
    r"(x-(amz|goog)-[a-z0-9-]+|signature|expires|awsaccesskeyid|googleaccessid|key-pair-id)(=|$)", re.IGNORECASE
)
"""The query parameters of URLs signed by AWS and Google."""
_FORMS: Final = dict.fromkeys(HTTP, "https://host/path") | {scheme: f"{scheme}://bucket/key" for scheme in S3 | GOOGLE}


def is_remote(argument: str) -> bool:
    """Whether `argument` is a URL of a remote object, even a misspelt one, and not of a file or live collection.

    >>> [is_remote(one) for one in ("s3://dumps/shop.bson", "shop.bson", "mongodb://db.example/shop")]
    [True, False, False]
    """
    return _REMOTE.match(argument) is not None


def scheme_of(url: str) -> str:
    """The scheme of a remote URL, in lower case."""
    found = _REMOTE.match(url)
    return "" if found is None else found["scheme"].lower()


def with_plain_scheme(argument: str) -> str:
    """A URL of a remote object with its scheme in lower case, as libraries expect it; others unchanged.

    >>> [with_plain_scheme(one) for one in ("S3://Dumps/shop.bson", "Shop.bson")]
    ['s3://Dumps/shop.bson', 'Shop.bson']
    """
    scheme = scheme_of(argument)
    return scheme + argument[len(scheme) :]


def is_glob(url: str) -> bool:
    """Whether `url` has wildcards. In HTTP URLs only ``*`` is one, as ``?`` begins a query.

    >>> [is_glob(one) for one in ("s3://dumps/part-?.bson", "https://files.example/one.bson?signature=1")]
    [True, False]
    """
    if scheme_of(url) in HTTP:
        return "*" in url.partition("?")[0]
    return has_wildcards(url)


def redacted_remote(url: str) -> str:
    """`url` without user, password, query and fragment.

    >>> redacted_remote("https://reader:s3cret@files.example/shop.bson?X-Amz-Signature=a1b2")
    'https://files.example/shop.bson?…'
    >>> redacted_remote("https://reader:p/ss@files.example/shop.bson")
    'https://…/shop.bson'
    >>> redacted_remote("s3://key:secret@dumps/shop.bson")
    's3://…/shop.bson'
    """
    scheme = scheme_of(url)
    rest = url[len(scheme) + 1 :].lstrip("/")
    if scheme in HTTP:
        rest, _, _ = rest.partition("#")
        rest, question, _ = rest.partition("?")
    else:
        # Keep wildcards: `?` with a later `=` begins a query, otherwise it is a wildcard.
        question = ""
        if "=" in rest.partition("?")[2]:
            rest, question, _ = rest.partition("?")
    place, slash, path = rest.partition("/")
    _, at, host = place.rpartition("@")
    # What looks like a port may be the beginning of a password with a slash.
    hidden = "@" in path or (at and scheme not in HTTP) or (scheme in HTTP and not _HOST.fullmatch(host))
    if hidden:
        host, path = "…", path.rpartition("/")[2].rpartition("@")[2]
    return f"{scheme}://{host}{slash}{path}" + ("?…" if question else "")


def remote_key(url: str) -> str:
    """A key that is equal for two URLs of the same object and different otherwise; without secrets.

    It is a digest of the URL without the password and the parameters of a signature, which may change.

    >>> remote_key("https://files.example/a?X-Amz-Signature=1&shop=2") == remote_key("https://files.example/a?shop=2")
    True
    >>> remote_key("https://files.example/a?shop=1") == remote_key("https://files.example/a?shop=2")
    False
    """
    plain = url
    if scheme_of(url) in HTTP:
        parts = urlsplit(url)
        user, at, host = parts.netloc.rpartition("@")
        query = "&".join(one for one in parts.query.split("&") if not _SIGNATURE.match(one))
        plain = urlunsplit((parts.scheme, user.partition(":")[0] + at + host, parts.path, query, ""))
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def require_readable(url: str) -> None:
    """Raise unless the form of `url` is valid.

    :raises UsageError: it has an unsupported or unencrypted scheme, no host or bucket, or contains credentials.
    """
    scheme, shown = scheme_of(url), redacted_remote(url)
    if scheme not in S3 | GOOGLE | HTTP:
        raise UsageError(
            f"{shown} cannot be read: {scheme}:// is not supported",
            "Supported: s3://, gs://, https:// and mongodb://; name a local file by its path.",
        )
    parts = None
    with suppress(ValueError):
        parts = urlsplit(url)
    if parts is None or not url[len(scheme) :].startswith("://") or not parts.netloc:
        raise UsageError(f"{shown} is not a valid URL", f"Write it as {_FORMS[scheme]}.")
    if scheme in HTTP:
        if not parts.hostname or not _HOST.fullmatch(parts.netloc.rpartition("@")[2]):
            raise UsageError(
                f"{shown} is not a valid URL",
                f"Write it as {_FORMS['https']}; in a password, @ is %40, / is %2F and : is %3A.",
            )
        if scheme == "http" and not is_loopback(parts.hostname):
            raise UsageError(f"{shown} is not encrypted", "Use https://; http:// is read from this machine only.")
    elif "@" in parts.netloc:
        raise UsageError(
            f"{shown} contains a user or a key",
            "Credentials are read from the usual environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "GOOGLE_APPLICATION_CREDENTIALS.",
        )
