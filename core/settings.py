"""Every environment variable of the program: its name, unit, default and meaning, in one class.

Only entry points (``__main__``, ``get_app``, the Celery app) read it; everything else is handed what it needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import SettingsError


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

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("it must be an IANA time zone such as Asia/Tehran") from error
        return name


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
