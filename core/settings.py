"""Every environment variable of the program: its name, unit, default and meaning, in one class.

Only entry points (``__main__``, ``get_app``, the Celery app) read it; everything else is handed what it needs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import SettingsError

_RATE = re.compile(r"[1-9][0-9]{0,11} ?/ ?(second|minute|hour|day)")
_ORIGIN = re.compile(r"https?://[^/\s*?#@]+")


class Settings(BaseSettings):
    """The settings of all processes. Environment variables bear the field's name in capitals."""

    model_config = SettingsConfigDict(case_sensitive=False, extra="ignore", frozen=True)

    store_url: str = Field(
        default="sqlite:///summaries.db", description="Where summaries are kept: sqlite:///path or mongodb://host/db."
    )
    time_zone: str = Field(default="Asia/Tehran", description="IANA time zone whose local days transactions belong to.")
    calendar: Literal["jalali", "gregorian"] = Field(
        default="jalali", description="Calendar that names days, weeks and months."
    )
    currency: str = Field(default="IRR", description="ISO 4217 code of the unit of amounts, for display only.")
    quarantine_dir: Path = Field(default=Path("quarantine"), description="Folder for the files of rejected documents.")
    threads: int = Field(default=0, ge=0, le=256, description="Decoding threads; 0 means one for each usable core.")
    store_timeout_s: float = Field(
        default=30.0, gt=0, allow_inf_nan=False, description="Seconds to wait for a store that does not answer."
    )
    api_bind: str = Field(default="127.0.0.1:8000", description="Address and port that the API listens on.")
    api_workers: int = Field(default=2, ge=1, le=256, description="Processes that serve the API.")
    api_threads: int = Field(default=4, ge=1, le=256, description="Threads of each of these processes.")
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
    api_cache_mb: int = Field(default=64, ge=0, le=65_536, description="Megabytes of answers that each process keeps.")
    api_rate_limit: str = Field(
        default="6000/minute", description="Requests allowed per key, or per address without one, such as 100/second."
    )
    api_rate_limit_storage: str = Field(
        default="memory://",
        description="Where requests are counted: memory:// (each process by itself) or redis://host:6379/2 (together).",
    )
    api_max_body_kb: int = Field(default=64, ge=1, le=16_384, description="Largest body of a request, in KiB.")
    api_request_timeout_s: float = Field(
        default=10.0, gt=0, allow_inf_nan=False, description="Seconds that a client may take to send its request."
    )
    cors_origins: str = Field(
        default="",
        description="Origins whose pages may call the API, comma separated, such as https://app.example; none without.",
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("it must be an IANA time zone such as Asia/Tehran") from error
        return name

    @field_validator("api_rate_limit")
    @classmethod
    def _known_rate(cls, rate: str) -> str:
        if not _RATE.fullmatch(rate):
            raise ValueError("it must be a number of requests and a time, such as 100/second or 6000/minute")
        return rate

    @field_validator("cors_origins")
    @classmethod
    def _known_origins(cls, origins: str) -> str:
        if unknown := [origin for origin in _split(origins) if not _ORIGIN.fullmatch(origin)]:
            raise ValueError(f"{unknown[0]!r} is not an origin such as https://app.example")
        return origins

    @property
    def allowed_origins(self) -> list[str]:
        """`cors_origins` as a list."""
        return _split(self.cors_origins)


def _split(listed: str) -> list[str]:
    return [part.strip() for part in listed.split(",") if part.strip()]


def read_settings() -> Settings:
    """The settings from the environment.

    :raises SettingsError: a variable's value is not allowed; names each such variable, what was found, what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc']).upper()} is {problem['input']!r}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        ]
        hint = "Change the environment variable, or unset it for its default."
        raise SettingsError("; ".join(problems), hint) from None
