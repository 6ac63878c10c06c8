"""The settings of the live collection that transactions are read from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from core.settings.forms import Form


class SourceSettings(BaseSettings):
    """Where the raw transactions are, and how they are read there."""

    source_url: Annotated[SecretStr, Form("mongodb://host/database; or empty", r"(mongodb(\+srv)?://.+)?")] = Field(
        default=SecretStr(""),
        description="Live collection that is read where no other source is named: mongodb://host/database.",
    )
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
