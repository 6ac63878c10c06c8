"""The settings of the live collection that transactions are read from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from core.calendar.zones import is_zone
from core.settings.forms import Form


class SourceSettings(BaseSettings):
    """Where the raw transactions are, and how they are read there."""

    source_url: Annotated[SecretStr, Form("mongodb://host/database; or empty", r"(mongodb(\+srv)?://.+)?")] = Field(
        default=SecretStr(""),
        description="Live collection that is read where no other source is named: mongodb://host/database.",
    )
    amount_text: bool = Field(default=False, description="Whether text is an amount too, such as -12.50 or ۱۲٫۵.")
    time_format: str = Field(
        default="",
        description="What text and numbers are times: iso, epoch-s, epoch-ms, or a pattern such as %Y/%m/%d %H:%M:%S; "
        "empty: only dates are.",
    )
    time_zone_of_text: Annotated[str, Form("an IANA time zone such as Asia/Tehran; or empty")] = Field(
        default="", description="IANA time zone of times that are text without an offset; empty: they are rejected."
    )
    csv_delimiter: Annotated[str, Form("one ASCII character, tab, or empty", r"([!-~]|tab|\\t|\t)?")] = Field(
        default="", description="What separates the fields of CSV, such as ; or tab; empty: what the header shows."
    )
    csv_decimal_comma: bool = Field(default=False, description="Whether amounts in CSV have a decimal comma.")
    source_cursors: int = Field(
        default=4, ge=1, le=64, description="How many parts of a live collection are read at the same time."
    )
    source_batch_size: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Documents in one answer of a live collection's server."
    )
    source_timeout_s: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        description="Seconds to look for the server of a live collection, unless its URL says otherwise; and seconds "
        "after which a silent answer of object storage is retried.",
    )
    source_answer_timeout_s: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="Seconds that this server may take for one answer; what its URL says goes before.",
    )
    source_retries: int = Field(
        default=8,
        ge=0,
        le=1000,
        description="Failures in a row after which a live collection or remote file is given up.",
    )

    @field_validator("time_zone_of_text")
    @classmethod
    def _known_text_zone(cls, name: str) -> str:
        if name and not is_zone(name):
            raise ValueError("it must be an IANA time zone such as Asia/Tehran; or empty")
        return name
