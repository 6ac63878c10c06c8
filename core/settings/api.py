"""The settings of the API."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from core.settings.text_pattern import TextPattern

UNIX_PEERS: Final = "unix"
"""Names, among trusted proxies, the peers of a Unix socket, which have no address."""

_ORIGIN: Final = re.compile(r"https?://[^/\s*?#@]+")


class ApiSettings(BaseSettings):
    """Address, timeouts, limits and access of the API."""

    api_bind: Annotated[str, TextPattern("host:port, [IPv6]:port or unix:/path")] = "127.0.0.1:8000"
    """Address and port of the API."""
    api_workers: int = Field(default=2, ge=1, le=256)
    """Worker processes of the API."""
    api_threads: int = Field(default=4, ge=1, le=256)
    """Threads of each worker process that use the store; summaries in SQLite are read by one separate thread."""
    api_queue: int = Field(default=256, ge=1, le=100_000)
    """Requests of each worker that may wait for one of API_THREADS; further requests get 503 at once."""
    api_store_timeout_s: float = Field(default=3.0, gt=0)
    """Seconds that the API waits for the store before it responds with 503."""
    api_freshness_s: float = Field(default=1.0, ge=0)
    """Maximum seconds until the API notices a new publication, new names, and a new or revoked key."""
    api_stale_if_error_s: float = Field(default=60.0, ge=0)
    """While the store does not answer: seconds after API_FRESHNESS_S for which cached responses are served, and known
    keys and sessions are accepted for reads."""
    api_max_age_s: float = Field(default=0.0, ge=0)
    """Maximum seconds since the sources were last read; after that, the state is degraded. 0: no limit. Failed runs and
    missed refreshes always degrade the state."""
    api_cache_mb: int = Field(default=64, ge=0, le=65_536)
    """Cache of responses of each worker, in megabytes."""
    api_rate_limit: Annotated[
        str,
        TextPattern(
            "a number of requests and a time, such as 100/second or 6000/minute",
            r"[1-9][0-9]{0,11} ?/ ?(second|minute|hour|day)",
        ),
    ] = "6000/minute"
    """Requests allowed per key, or per address for requests without a key, such as 100/second."""
    api_rate_limit_storage: Annotated[
        str, TextPattern("memory:// or redis://host:6379/2", r"memory://|(rediss?|redis\+unix)://.+")
    ] = "memory://"
    """Where requests are counted: memory:// (per worker) or redis://host:6379/2 (for all workers)."""
    api_max_body_kb: int = Field(default=64, ge=1, le=16_384)
    """Maximum size of a request body, in KiB."""
    api_request_timeout_s: float = Field(default=10.0, gt=0)
    """Seconds that a client may take to send its request."""
    api_access: Literal["keys", "open-loopback"] = "keys"
    """keys: every client needs a key. open-loopback: direct requests from this host need none; never use it behind a
    proxy."""
    api_trusted_proxies: Annotated[
        str, TextPattern("addresses and networks such as 10.0.0.5, 172.16.0.0/12, or unix; comma separated; or empty")
    ] = ""
    """Proxies whose X-Forwarded-For, Forwarded and X-Forwarded-Proto are trusted, comma separated: addresses, networks,
    or unix for a Unix socket. Empty: none."""
    cors_origins: Annotated[str, TextPattern("origins such as https://app.example, comma separated; or empty")] = ""
    """Origins whose pages may call the API, comma separated, such as https://app.example. Empty: none."""

    @field_validator("cors_origins")
    @classmethod
    def _known_origins(cls, origins: str) -> str:
        if unknown := [origin for origin in _split(origins) if not _ORIGIN.fullmatch(origin)]:
            raise ValueError(f"{unknown[0]!r} is not an origin such as https://app.example")
        return origins

    @field_validator("api_trusted_proxies")
    @classmethod
    def _known_proxies(cls, proxies: str) -> str:
        for proxy in _split(proxies):
            if proxy != UNIX_PEERS:
                try:
                    ipaddress.ip_network(proxy)
                except ValueError:
                    raise ValueError(f"{proxy!r} is neither an address nor a network such as 172.16.0.0/12") from None
        return proxies

    @property
    def trusted_proxies(self) -> list[str]:
        """`api_trusted_proxies` as a list."""
        return _split(self.api_trusted_proxies)

    @property
    def allowed_origins(self) -> list[str]:
        """`cors_origins` as a list."""
        return _split(self.cors_origins)


def _split(listed: str) -> list[str]:
    return [part.strip() for part in listed.split(",") if part.strip()]
