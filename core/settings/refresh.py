"""The settings of refreshes and of their schedule."""

from __future__ import annotations

import shlex
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from core.settings.forms import Form


class RefreshSettings(BaseSettings):
    """How far back refreshes look, and how often beat starts one."""

    refresh_look_back_days: int = Field(
        default=3,
        ge=0,
        le=36_500,
        description="Days before the last reading for which documents may still come late, be changed or be deleted.",
    )
    refresh_every_s: float = Field(
        default=0.0, ge=0, le=604_800, description="Seconds between two refreshes that beat starts; 0 for none."
    )
    refresh_time_limit_s: float = Field(
        default=3600.0,
        gt=0,
        le=604_800,
        description="Seconds after which a refresh that beat started is ended.",
    )
    refresh_options: Annotated[str, Form("options as typed in a shell; or empty")] = Field(
        default="", description="Options of the refreshes that beat starts, such as --where status=paid."
    )

    @field_validator("refresh_options")
    @classmethod
    def _splittable(cls, options: str) -> str:
        try:
            shlex.split(options)
        except ValueError as error:
            raise ValueError("it must be options as typed in a shell: a quotation mark is not closed") from error
        return options
