"""The settings of the API."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from core.settings.forms import Form

UNIX_PEERS: Final = "unix"
"""Names, among trusted proxies, the peers of a Unix socket, which have no address."""

_ORIGIN: Final = re.compile(r"https?://[^/\s*?#@]+")


class ApiSettings(BaseSettings):
    """What the API listens on, what it waits for, and what it allows."""

    api_bind: Annotated[str, Form("host:port, [IPv6]:port or unix:/path")] = Field(
        default="127.0.0.1:8000", description="Address and port that the API listens on."
    )
    api_workers: int = Field(default=2, ge=1, le=256, description="Processes that serve the API.")
    api_threads: int = Field(
        default=4, ge=1, le=256, description="Threads in which each of these processes asks the store."
    )
    api_queue: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="Requests of each process that may wait for a thread; more are answered with 503 at once.",
    )
    api_store_timeout_s: float = Field(
        default=3.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that the API waits for the store before it gives up.",
    )
    api_freshness_s: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds after which the API looks again whether something new was published or a key revoked.",
    )
    api_max_age_s: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds since the sources were last read after which /api/status and /readyz say degraded; "
        "0 for no limit. Failed runs and missed refreshes degrade without it.",
    )
    api_cache_mb: int = Field(default=64, ge=0, le=65_536, description="Megabytes of answers that each process keeps.")
    api_rate_limit: Annotated[
        str,
        Form(
            "a number of requests and a time, such as 100/second or 6000/minute",
            r"[1-9][0-9]{0,11} ?/ ?(second|minute|hour|day)",
        ),
    ] = Field(
        default="6000/minute", description="Requests allowed per key, or per address without one, such as 100/second."
    )
    api_rate_limit_storage: Annotated[
        str, Form("memory:// or redis://host:6379/2", r"memory://|(rediss?|redis\+unix)://.+")
    ] = Field(
        default="memory://",
        description="Where requests are counted: memory:// (each process by itself) or redis://host:6379/2 (together).",
    )
    api_max_body_kb: int = Field(default=64, ge=1, le=16_384, description="Largest body of a request, in KiB.")
    api_request_timeout_s: float = Field(
        default=10.0, gt=0, allow_inf_nan=False, description="Seconds that a client may take to send its request."
    )
    api_access: Literal["keys", "open-loopback"] = Field(
        default="keys",
        description="Who is served without a key: nobody, or also direct requests from this host (open-loopback; never "
        "behind a proxy).",
    )
    api_trusted_proxies: Annotated[
        str, Form("addresses and networks such as 10.0.0.5, 172.16.0.0/12, or unix; comma separated; or empty")
    ] = Field(
        default="",
        description="Proxies whose X-Forwarded-For, Forwarded and X-Forwarded-Proto are believed: addresses, networks, "
        "or unix for the peers of a Unix socket, comma separated; none without.",
    )
    cors_origins: Annotated[str, Form("origins such as https://app.example, comma separated; or empty")] = Field(
        default="",
        description="Origins whose pages may call the API, comma separated, such as https://app.example; none without.",
    )

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
