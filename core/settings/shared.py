"""The settings that every part of the program reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from core.calendar.zones import is_zone
from core.settings.forms import Form


class SharedSettings(BaseSettings):
    """Where the summaries are, and what they mean."""

    store_url: Annotated[
        str, Form("sqlite:///relative.db, sqlite:////absolute.db or mongodb://user:password@host:27017/database")
    ] = Field(default="sqlite:///summaries.db", description="Where summaries, runs, keys and notifications are kept.")
    time_zone: Annotated[str, Form("an IANA time zone such as Asia/Tehran")] = Field(
        default="Asia/Tehran", description="IANA time zone whose local days transactions belong to."
    )
    calendar: Literal["jalali", "gregorian"] = Field(
        default="jalali", description="Calendar that names days, weeks and months."
    )
    currency: Annotated[str, Form("1 to 16 letters, such as IRR; or empty", r"([^\W\d_]{1,16})?")] = Field(
        default="",
        description="ISO 4217 code of the unit of amounts. It is kept with the store: empty means that of the store, "
        "and IRR for a new one; another than that of the store is refused.",
    )
    amount_scale: Annotated[str, Form("0 to 9, or empty", r"[0-9]?")] = Field(
        default="",
        description="Decimal places of amounts, which are counted in units of the last place, such as 2 for cents. It "
        "is kept with the store; empty means 0 for runs, and that of the store for servers.",
    )
    quarantine_dir: Annotated[Path, Form("the path of a folder", r".+")] = Field(
        default=Path("quarantine"), description="Folder for the files of rejected documents."
    )
    max_quarantine_mb: int = Field(
        default=1024,
        ge=0,
        le=1_048_576,
        description="MiB that the file of rejects of one run may have; later rejects are only counted.",
    )
    threads: int = Field(default=0, ge=0, le=256, description="Decoding threads; 0 means one for each usable core.")
    store_timeout_s: float = Field(
        default=30.0, gt=0, allow_inf_nan=False, description="Seconds to wait for a store that does not answer."
    )
    command_log: Literal["text", "json"] = Field(
        default="text",
        description="What commands write on standard error: sentences, or JSON lines that tell of each run.",
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if not is_zone(name):
            raise ValueError("it must be an IANA time zone such as Asia/Tehran")
        return name
