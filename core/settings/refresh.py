"""The settings of refreshes and of their schedule."""

from __future__ import annotations

import shlex
from typing import Annotated, Final

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from core.settings.text_pattern import TextPattern

_NO_REFRESH: Final = ("-h", "--help", "--version")


class RefreshSettings(BaseSettings):
    """The look-back, limits and interval of refreshes."""

    refresh_look_back_days: int = Field(default=3, ge=0, le=36_500)
    """Days before the collection was last read that each refresh also recomputes, because their documents may still
    change."""
    refresh_max_loss_ratio: float = Field(default=0.1, ge=0, le=1)
    """Share of published transactions that days may lose in a refresh or repair; see docs/summaries.md."""
    refresh_max_loss_count: int = Field(default=20, ge=0, le=2**63 - 1)
    """Number of transactions that days may lose; a run stops only above both limits."""
    refresh_every_s: float = Field(default=0.0, ge=0, le=604_800)
    """Seconds between refreshes that beat starts; 0: none. Status uses it to count missed refreshes."""
    refresh_time_limit_s: float = Field(default=3600.0, gt=0, le=604_800)
    """Seconds after which a refresh started by beat is stopped."""
    refresh_options: Annotated[str, TextPattern("options as typed in a shell; or empty")] = ""
    """Command-line options of refreshes started by beat, such as --where status=paid."""

    @field_validator("refresh_options")
    @classmethod
    def _splittable(cls, options: str) -> str:
        try:
            words = shlex.split(options)
        except ValueError as error:
            raise ValueError("it must be options as typed in a shell: a quotation mark is not closed") from error
        if found := next((word for word in words if word in _NO_REFRESH), None):
            raise ValueError(f"it must be options of a refresh, but {found} ends the command at once")
        return options
